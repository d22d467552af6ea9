"""Whole photographs through a network, in their own size and in bounded memory.

A large picture is cut into tiles, each seen with a margin around it. The margin is wider than the networks look, so
the tiles fit together as if the picture had gone through whole.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .classes.palette import Palette
from .grey import grey_of
from .models.answer import logits_of
from .shapes import Grey, Rgb

TILE = 448  # pixels; a multiple of every network's halvings
MARGIN = 64  # pixels; residual_unet, the widest looker of the house, sees 45 around a pixel


def colourize(model: nn.Module, palette: Palette, picture: Rgb) -> Rgb:
    """A picture in colour, in its own size; only its grey is looked at.

    Every pixel takes the mean colour of its probabilities, moved along to the true grey value, so that the picture's
    own light stays; where that would leave the range of bytes, the colour is made paler (never clipped).
    """
    grey = grey_of(picture.unsqueeze(0))
    coloured = torch.empty_like(picture)
    for rows, columns, seen, inner in _tiles(grey):
        probabilities = logits_of(model, seen)[inner].softmax(dim=1)
        coloured[:, rows, columns] = tinted(palette, grey[:, :, rows, columns], probabilities)[0]
    return coloured


def tinted(palette: Palette, grey: Grey, probabilities: Tensor) -> Tensor:
    """Mean colours at the given grey values, as bytes; their mean of red, green and blue is the grey's, to rounding."""
    mean = torch.einsum("nkhw,kc->nchw", probabilities, palette.colours.float())
    tint = mean - mean.mean(dim=1, keepdim=True)  # what is left of a colour without its grey
    room = torch.where(tint > 0, 1 - grey, grey) / tint.abs().clamp_min(1e-6)
    paler = room.amin(dim=1, keepdim=True).clamp(0, 1)
    return ((grey + paler * tint) * 255).round().clamp(0, 255).to(torch.uint8)


def _tiles(grey: Grey) -> Iterator[tuple[slice, slice, Grey, tuple[slice, ...]]]:
    """Rows and columns of each tile, what is seen around it, and where the tile lies in that."""
    _, _, h, w = grey.shape
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            above, before = min(MARGIN, top), min(MARGIN, left)
            bottom, right = min(top + TILE, h), min(left + TILE, w)
            seen = grey[:, :, top - above : bottom + MARGIN, left - before : right + MARGIN]
            inner = slice(above, above + bottom - top), slice(before, before + right - left)
            yield slice(top, bottom), slice(left, right), seen, (slice(None), slice(None), *inner)
