"""Pictures of one size in memory, and a data set's three splits.

The test split is named test and never trained or chosen on; validation is a part of the training pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..config import Split
from ..errors import BadData
from ..shapes import Pixels
from .split import content_hash


@dataclass(frozen=True, eq=False)
class Pictures:
    """n pictures of one size and their names."""

    pixels: Pixels
    names: Sequence[str]

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.names):
            raise BadData(f"{len(self.pixels)} pictures but {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: Sequence[int]) -> "Pictures":
        """The pictures at some indices, in that order."""
        return Pictures(self.pixels[list(indices)], [self.names[i] for i in indices])

    @property
    def sha256(self) -> str:
        """Fingerprint of the pixels, their shape and order."""
        return content_hash(self.pixels)


def evenly_spaced(count: int, most: int) -> list[int]:
    """Which of `count` things to take so that at most `most` are, evenly spaced, so that nobody picked them."""
    taken = min(count, most)
    return [i * count // taken for i in range(taken)]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set in three splits; no picture is in two of them. Its title is for people, its name for the table."""

    name: str
    title: str
    train: Pictures
    validation: Pictures
    test: Pictures

    def split(self, name: Split) -> Pictures:
        """One split by its name; "all" is the three together."""
        parts = [self.train, self.validation, self.test] if name == "all" else [getattr(self, name)]
        names = [name for part in parts for name in part.names]
        return Pictures(torch.cat([part.pixels for part in parts]), names)
