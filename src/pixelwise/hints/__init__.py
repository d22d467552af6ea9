"""Colours that a user says: a few painted pixels, whose chroma spreads over the thing that they lie on.

A hint says hue and chroma; the lightness stays the picture's.
"""

from .grid import Seeds, joined, region_seeds, seeds, spread
from .pixels import Hint, Hints, Said, load_hints, outside, placed, said, scaled

__all__ = [
    "Hint",
    "Hints",
    "Said",
    "Seeds",
    "joined",
    "load_hints",
    "outside",
    "placed",
    "region_seeds",
    "said",
    "scaled",
    "seeds",
    "spread",
]
