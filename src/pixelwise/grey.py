"""What "grey" means here: the mean of red, green and blue, as in the classic exercise.

The sum of three bytes has 766 values, so a grey picture made from a colour picture carries 766 exact levels;
a scanned 8-bit grey picture uses every third of them.
"""

import torch

from .shapes import Grey, GreyLevels, Pixels

GREY_LEVELS = 766  # red + green + blue: 0 to 765


def grey_of(pixels: Pixels) -> Grey:
    """The mean of red, green and blue of every pixel, from 0 (black) to 1 (white), in float32."""
    return pixels.sum(dim=1, keepdim=True, dtype=torch.float32) / (GREY_LEVELS - 1)


def shown_in_grey(pixels: Pixels) -> Pixels:
    """Colour pictures as people see them in grey: the mean, rounded to a byte, in all three planes."""
    return (grey_of(pixels) * 255).round().to(torch.uint8).expand_as(pixels)


def grey_levels(grey: Grey) -> GreyLevels:
    """The level, 0 to 765, of every grey value; exact for values that `grey_of` made."""
    return (grey.squeeze(1) * (GREY_LEVELS - 1)).round().clamp(0, GREY_LEVELS - 1).long()
