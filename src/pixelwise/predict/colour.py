"""Whole photographs coloured by a network, in their own size and in bounded memory.

A large picture is cut into tiles, each seen with a margin around it that is as wide as the network looks, so that the
tiles fit together as if the picture had gone through whole.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..classes.chroma import ChromaPalette
from ..classes.dials import Dials, decided, swapped
from ..classes.palette import AnyPalette
from ..models.answer import logits_of
from ..models.colour_hypercolumn import HypercolumnColours
from ..models.conv import MyConv2d
from ..models.lookup import Lookup
from ..shapes import Grey, Rgb
from .photograph import chroma_of, look, painted

TILE = 448  # pixels; a multiple of every network's halvings
UNKNOWN_REACH = 64  # pixels, for networks that are not built on MyConv2d


def colourize(
    model: nn.Module,
    palette: AnyPalette,
    picture: Rgb,
    dials: Dials | None = None,
    shares: Float[Tensor, "k"] | None = None,
) -> Rgb:
    """A picture in colour, in its own size; only its grey is looked at.

    Every pixel takes the annealed mean colour of its probabilities, moved along to the true grey value, so that the
    picture's own light stays; where that would leave the range of bytes, the colour is made paler (never clipped).

    Args:
        model: gives logits for a grey picture.
        palette: its classes.
        picture: in grey or in colour.
        dials: how answers become colours; None: the usual way.
        shares: of the classes in the training pictures, for the dial of rare colours; None: all alike.

    Raises:
        Diverged: the network's answers are not numbers.
        BadSetting: the dials leave no colour.
    """
    dials = dials or Dials()
    shares = torch.full((len(palette),), 1 / len(palette)) if shares is None else shares
    if isinstance(model, HypercolumnColours) and isinstance(palette, ChromaPalette):
        looked = look(model, palette, picture)
        return painted(picture, chroma_of(looked, palette, shares, dials), looked.guide)
    return _pixel_by_pixel(model, palette, picture, dials, shares)


def _pixel_by_pixel(
    model: nn.Module, palette: AnyPalette, picture: Rgb, dials: Dials, shares: Float[Tensor, "k"]
) -> Rgb:
    """A picture through a network that answers for every pixel."""
    shown, grey = swapped(palette, dials.swapped), palette.see(picture.unsqueeze(0))
    coloured = torch.empty_like(picture)
    for rows, columns, seen, inner in _tiles(grey, reach_of(model)):
        probabilities = decided(logits_of(model, seen)[inner], palette, shares, dials)
        coloured[:, rows, columns] = shown.tinted(grey[:, :, rows, columns], probabilities)[0]
    return coloured


def reach_of(model: nn.Module) -> int:
    """How far around a pixel a network of the house looks, at most, in pixels; a multiple of its halvings.

    With filters that reach r pixels to a side, residual_unet, the widest looker, convolves twice at full, half,
    quarter, half and full size: 2r + 4r + 8r + 4r + 2r = 20r, and 3 pixels more for the blocks that pooling makes.
    """
    known: int | None = getattr(model, "reach", None)
    if known is not None:
        return known
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
