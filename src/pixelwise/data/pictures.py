"""Pictures of one size in memory, and a data set's three splits.

The test split is named test and never trained or chosen on; validation is a part of the training pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set in three splits; no picture is in two of them. Its title is for people, its name for the table."""

    name: str
    title: str
    train: Pictures
    validation: Pictures
    test: Pictures

    def split(self, name: Split) -> Pictures:
        """One split by its name."""
        pictures: Pictures = getattr(self, name)
        return pictures
