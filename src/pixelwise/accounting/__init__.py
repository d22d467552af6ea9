"""What a network costs: weights, outputs and connections as formulas; the memory and compute of fine-tuning."""
