"""Whole photographs coloured by a network, in their own size and in bounded memory.

A large picture is cut into tiles, each seen with a margin around it that is as wide as the network looks, so that the
tiles fit together as if the picture had gone through whole.
"""

from collections.abc import Iterator

import torch
from torch import nn

from ..classes.palette import AnyPalette
from ..models.answer import logits_of
from ..models.conv import MyConv2d
from ..models.lookup import Lookup
from ..shapes import Grey, Rgb

TILE = 448  # pixels; a multiple of every network's halvings
UNKNOWN_REACH = 64  # pixels, for networks that are not built on MyConv2d


def colourize(model: nn.Module, palette: AnyPalette, picture: Rgb) -> Rgb:
    """A picture in colour, in its own size; only its grey is looked at.

    Every pixel takes the mean colour of its probabilities, moved along to the true grey value, so that the picture's
    own light stays; where that would leave the range of bytes, the colour is made paler (never clipped).
    """
    grey = palette.see(picture.unsqueeze(0))
    coloured = torch.empty_like(picture)
    for rows, columns, seen, inner in _tiles(grey, reach_of(model)):
        probabilities = logits_of(model, seen)[inner].softmax(dim=1)
        coloured[:, rows, columns] = palette.tinted(grey[:, :, rows, columns], probabilities)[0]
    return coloured


def reach_of(model: nn.Module) -> int:
    """How far around a pixel a network of the house looks, at most, in pixels; a multiple of its halvings.

    With filters that reach r pixels to a side, residual_unet, the widest looker, convolves twice at full, half,
    quarter, half and full size: 2r + 4r + 8r + 4r + 2r = 20r, and 3 pixels more for the blocks that pooling makes.
    """
    kernels = [layer.kernel for layer in model.modules() if isinstance(layer, MyConv2d)]
    if not kernels:
        return 0 if isinstance(model, Lookup) else UNKNOWN_REACH
    return 24 * max(1, max(kernels) // 2)


def _tiles(grey: Grey, margin: int) -> Iterator[tuple[slice, slice, Grey, tuple[slice, ...]]]:
    """Rows and columns of each tile, what is seen around it, and where the tile lies in that."""
    _, _, h, w = grey.shape
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            above, before = min(margin, top), min(margin, left)
            bottom, right = min(top + TILE, h), min(left + TILE, w)
            seen = grey[:, :, top - above : bottom + margin, left - before : right + margin]
            inner = slice(above, above + bottom - top), slice(before, before + right - left)
            yield slice(top, bottom), slice(left, right), seen, (slice(None), slice(None), *inner)
