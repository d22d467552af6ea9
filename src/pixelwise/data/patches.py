"""Photographs cut into small squares at several scales, so that networks learn from few of them in little time.

A large scale (small short side) shows whole scenes in a patch, a small one shows texture.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ..shapes import Rgb
from .images import to_image, to_tensor

# n colour squares of s x s pixels, cut from a picture of another size.
Patches: TypeAlias = UInt8[Tensor, "n 3 s s"]

WORTH_TWO = 1.25  # patches in a length from which on both ends are taken instead of the middle
LONGEST_STRIP = 16  # of a very long picture, the middle part of at most 16 times its short side is used


def cut_patches(rgb: Rgb, patch: int, scales: Sequence[int], cover: bool = False) -> Patches:
    """The squares of `patch` x `patch` pixels of a centred grid, at each scale that does not enlarge the picture.

    Args:
        rgb: one picture.
        patch: side of the squares, in pixels.
        scales: short sides to which the picture is reduced, in pixels; those below `patch` are left out. If none
            is left the picture is cut at its own size, enlarged only when it is smaller than a patch.
        cover: where one square in the middle would leave much unseen, take one at both ends.
    """
    image = _without_long_ends(to_image(rgb))
    short = min(image.size)
    sizes = [size for size in sorted(set(scales)) if patch <= size <= short] or [max(short, patch)]
    return torch.cat([_grid(to_tensor(_resized(image, size)), patch, cover) for size in sizes])


def _without_long_ends(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = LONGEST_STRIP * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def _resized(image: Image.Image, short: int) -> Image.Image:
    width, height = image.size
    scale = short / min(width, height)
    size = max(short, round(width * scale)), max(short, round(height * scale))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _grid(rgb: Rgb, patch: int, cover: bool) -> Patches:
    rows, columns = (list(_starts(length, patch, cover)) for length in rgb.shape[1:])
    return torch.stack([rgb[:, y : y + patch, x : x + patch] for y in rows for x in columns])


def _starts(length: int, patch: int, cover: bool) -> Iterator[int]:
    count = length // patch
    if cover and count == 1 and length >= WORTH_TWO * patch:
        return iter((0, length - patch))
    first = (length - count * patch) // 2
    return iter(range(first, first + count * patch, patch))
