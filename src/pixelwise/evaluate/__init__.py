"""A model's answers on some pictures, counted, with the baselines beside them."""
