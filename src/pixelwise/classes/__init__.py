"""What a pixel can be. A palette and a label set are two sets of classes; nothing else knows the difference."""
