"""Batches in an order that depends on the seed and the epoch alone, so that a run can go on from any of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..classes.class_set import ClassSet
from ..shapes import ClassIds
from .pictures import Pictures

Batch = tuple[Float[Tensor, "n c h w"], ClassIds]
# What a model is called with, and the true classes of its answer.
Given = tuple[tuple[Any, ...], ClassIds]
PIXELS_AT_ONCE = 102_400  # a hundred pictures of 32 x 32, or one photograph; results do not depend on it


@runtime_checkable
class Feed(Protocol):
    """What a model is trained on and measured on, whatever it is that the model sees."""

    def __len__(self) -> int:
        """Pictures in it."""
        ...

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        ...

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, flips: bool = False, skip: int = 0
    ) -> Iterator[Given]:
        """One epoch's batches, in an order that depends on seed and epoch alone, from the one after `skip`."""
        ...

    def in_order(self) -> Iterator[Given]:
        """Everything once, in batches that fit into memory."""
        ...


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
    join_last: bool = False,
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
        join_last: let a last batch of a single picture join the one before.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(encoded), generator=generator)
    mirrored = torch.rand(len(encoded), generator=generator) < (0.5 if flips else 0.0)
    starts = _starts(len(encoded), batch_size, join_last)
    for start, end in list(zip(starts, [*starts[1:], len(encoded)], strict=True))[skip:]:
        chosen = order[start:end]
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


@dataclass(frozen=True, eq=False)
class PictureFeed:
    """Pictures as a class set shows them to a network.

    Args:
        classes: the class set.
        encoded: pictures and their true classes.
        join_last: let a last batch of a single picture join the one before, since BatchNorm cannot learn from one.
        crop: side of random crops in training, in pixels, one place for all pictures of a batch; 0: whole pictures.
    """

    classes: ClassSet
    encoded: Encoded
    join_last: bool = False
    crop: int = 0

    def __len__(self) -> int:
        return len(self.encoded)

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return len(_starts(len(self), batch_size, self.join_last))

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, flips: bool = False, skip: int = 0
    ) -> Iterator[Given]:
        """One epoch's batches of (what the network sees, true classes)."""
        found = batches(
            self.encoded,
            self.classes,
            batch_size,
            seed=seed,
            epoch=epoch,
            flips=flips,
            skip=skip,
            join_last=self.join_last,
        )
        for step, (seen, truth) in enumerate(found, start=skip):
            rows, columns = _cropped(truth.shape[1:], self.crop, (seed * 1_000_003 + epoch) * 1_000_003 + step)
            yield (seen[..., rows, columns],), truth[..., rows, columns]

    def in_order(self) -> Iterator[Given]:
        """Everything once, in batches that fit into memory."""
        start = 0
        for some, seen in in_order(self.encoded.pictures, self.classes, batch_size(self.encoded.pictures)):
            yield (seen,), self.encoded.ids[start : start + len(some)]
            start += len(some)


def _cropped(size: torch.Size, side: int, seed: int) -> tuple[slice, slice]:
    """The rows and columns of a random crop; all of them where it is as large as the picture, or 0."""
    if not side:
        return slice(None), slice(None)
    generator = torch.Generator().manual_seed(seed % 2**63)
    starts = [int(torch.randint(max(0, length - side) + 1, (1,), generator=generator)) for length in size]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def batch_size(pictures: Pictures) -> int:
    """How many pictures to ask for at once, so that memory does not depend on their size."""
    return max(1, PIXELS_AT_ONCE // max(1, math.prod(pictures.pixels.shape[2:])))


def _starts(count: int, batch_size: int, join_last: bool) -> list[int]:
    """Where batches begin."""
    starts = list(range(0, count, batch_size))
    return starts[:-1] if join_last and len(starts) > 1 and count - starts[-1] == 1 else starts
