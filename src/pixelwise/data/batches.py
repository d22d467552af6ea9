"""Batches in an order that depends on the seed and the epoch alone, so that a run can go on from any of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..classes.class_set import ClassSet
from ..shapes import ClassIds
from .pictures import Pictures

Batch = tuple[Float[Tensor, "n c h w"], ClassIds]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Pictures and their true classes, worked out once."""

    pictures: Pictures
    ids: ClassIds

    @classmethod
    def by(cls, classes: ClassSet, pictures: Pictures) -> "Encoded":
        """Some pictures with the classes they are labelled with, or else those that the class set sees in them."""
        return cls(pictures, classes.encode(pictures.pixels) if pictures.ids is None else pictures.ids)

    def __len__(self) -> int:
        return len(self.pictures)


def batches(
    encoded: Encoded,
    classes: ClassSet,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    flips: bool = False,
    skip: int = 0,
) -> Iterator[Batch]:
    """One epoch of (what the network sees, true classes), shuffled; the last batch may be short.

    Args:
        encoded: the pictures and their true classes.
        classes: the class set, which says what the network sees.
        batch_size: pictures in a batch.
        seed: with `epoch`, fixes the order and the flips.
        epoch: 1 for the first.
        flips: mirror each picture left to right with probability 1/2.
        skip: batches to leave out at the start, as when a run goes on in the middle of an epoch.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(encoded), generator=generator)
    mirrored = torch.rand(len(encoded), generator=generator) < (0.5 if flips else 0.0)
    starts = range(0, len(encoded), batch_size)
    for start in starts[skip:]:
        chosen = order[start : start + batch_size]
        pixels, truth, mirror = encoded.pictures.pixels[chosen], encoded.ids[chosen], mirrored[chosen].view(-1, 1, 1)
        if flips:
            pixels = torch.where(mirror.unsqueeze(1), pixels.flip(3), pixels)
            truth = torch.where(mirror, truth.flip(2), truth)
        yield classes.see(pixels), truth


def in_order(pictures: Pictures, classes: ClassSet, batch_size: int) -> Iterator[tuple[Pictures, Tensor]]:
    """(pictures, what the network sees of them) from first to last."""
    for start in range(0, len(pictures), batch_size):
        some = pictures.take(range(start, min(start + batch_size, len(pictures))))
        yield some, classes.see(some.pixels)
