"""The networks: each a small module that gives every pixel k logits."""
