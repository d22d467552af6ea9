"""Whole pictures of any size through a network, in bounded memory."""
