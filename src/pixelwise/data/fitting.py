"""Labelled pictures of any size and shape brought to one square size, so that they fit into one tensor."""

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ..classes.labels import VOID
from .images import to_image, to_tensor


def letterboxed(
    rgb: UInt8[Tensor, "3 h w"], ids: UInt8[Tensor, "h w"], size: int
) -> tuple[UInt8[Tensor, "3 s s"], UInt8[Tensor, "s s"]]:
    """A picture and its classes in a square of `size` pixels, in the upper left corner, with its shape kept.

    The long side becomes `size`, whether that reduces or enlarges; the short side follows, rounded, and is at least
    one pixel. The picture is resampled with Lanczos. Of the classes the nearest one is taken, since no class lies
    between two others. What the picture leaves empty at the right or at the bottom repeats its last column or row, so
    that no artificial edge is seen there, and is void, so that it counts for nothing. A picture whose long side has
    `size` pixels already is not resampled: its pixels and classes come through as they are.
    """
    h, w = ids.shape
    long = max(h, w)
    height, width = max(1, round(h * size / long)), max(1, round(w * size / long))
    if (height, width) != (h, w):
        rgb = to_tensor(to_image(rgb).resize((width, height), Image.Resampling.LANCZOS))
        ids = _nearest(ids, height, width)
    below, beside = size - height, size - width
    if not below and not beside:
        return rgb, ids
    pixels = np.pad(rgb.numpy(), ((0, 0), (0, below), (0, beside)), mode="edge")
    classes = np.pad(ids.numpy(), ((0, below), (0, beside)), constant_values=VOID)
    return torch.from_numpy(pixels), torch.from_numpy(classes)


def _nearest(ids: Tensor, height: int, width: int) -> Tensor:
    image = Image.fromarray(ids.contiguous().numpy()).resize((width, height), Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(image))
