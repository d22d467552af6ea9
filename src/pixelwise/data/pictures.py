"""Pictures of one size in memory, and a data set's three splits.

The test split is named test and never trained or chosen on; validation is a part of the training pictures.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from ..classes.labels import Labels
from ..config import Split
from ..errors import BadData
from ..shapes import ClassIds, Pixels
from .split import content_hash


@dataclass(frozen=True, eq=False)
class Pictures:
    """n pictures of one size, their names, and the true class of every pixel where pictures are labelled."""

    pixels: Pixels
    names: Sequence[str]
    ids: ClassIds | None = None

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.names):
            raise BadData(f"{len(self.pixels)} pictures but {len(self.names)} names")
        if self.ids is not None and self.ids.shape != (len(self.pixels), *self.pixels.shape[2:]):
            raise BadData(f"masks of shape {tuple(self.ids.shape)} for pictures of {tuple(self.pixels.shape)}")

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: Sequence[int]) -> "Pictures":
        """The pictures at some indices, in that order."""
        some = list(indices)
        ids = None if self.ids is None else self.ids[some]
        return Pictures(self.pixels[some], [self.names[i] for i in some], ids)

    @property
    def sha256(self) -> str:
        """Fingerprint of the pixels and classes, their shape and order."""
        own = content_hash(self.pixels)
        return own if self.ids is None else hashlib.sha256((own + content_hash(self.ids)).encode()).hexdigest()


def evenly_spaced(count: int, most: int) -> list[int]:
    """Which of `count` things to take so that at most `most` are, evenly spaced, so that nobody picked them."""
    taken = min(count, most)
    return [i * count // taken for i in range(taken)]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set in three splits; no picture is in two of them. Its title is for people, its name for the table.

    A labelled data set also says what its classes are.
    """

    name: str
    title: str
    train: Pictures
    validation: Pictures
    test: Pictures
    labels: Labels | None = field(default=None, kw_only=True)

    def split(self, name: Split) -> Pictures:
        """One split by its name; "all" is the three together."""
        parts = [self.train, self.validation, self.test] if name == "all" else [getattr(self, name)]
        names = [name for part in parts for name in part.names]
        ids = [part.ids for part in parts if part.ids is not None]
        return Pictures(torch.cat([part.pixels for part in parts]), names, torch.cat(ids) if ids else None)
