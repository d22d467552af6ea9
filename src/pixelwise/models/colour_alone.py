"""No network at all: a pixel's own red, green and blue are all its features. The baseline of everything deep."""

import torch
from jaxtyping import Float
from torch import Tensor

from .segmenter import Features, Segmenter, last_layer

NAME = "colour_alone"


class ColourAlone(Segmenter):
    """A linear choice between classes by colour, its squares and products, so that a class can be a ball of colours.

    Args:
        k: classes.
    """

    channels = (9,)
    head_prefixes = ()
    preprocessing = "red, green and blue in 0 to 1, their squares and products"

    def __init__(self, k: int) -> None:
        super().__init__()
        self.last = last_layer(sum(self.channels), k)

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """The colours and their products, two by two, in the pictures' own size."""
        red, green, blue = torch.split(seen, 1, dim=1)
        products = [red * red, green * green, blue * blue, red * green, red * blue, green * blue]
        return (torch.cat([seen, *products], dim=1),)
