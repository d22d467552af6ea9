"""The interface that every set of classes shares: what the network sees, what it must answer, how answers look."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from ..shapes import ClassIds, Pixels, Probabilities


@runtime_checkable
class ClassSet(Protocol):
    """k classes that a pixel can belong to."""

    @property
    def names(self) -> Sequence[str]:
        """One name for each class."""
        ...

    @property
    def display_colours(self) -> Sequence[str]:
        """One `#rrggbb` for each class."""
        ...

    @property
    def void(self) -> int | None:
        """The id of pixels that belong to no class and do not count, if there are such pixels."""
        ...

    def see(self, pixels: Pixels) -> Tensor:
        """What the network is shown of a colour picture."""
        ...

    def encode(self, pixels: Pixels) -> ClassIds:
        """The true class of every pixel."""
        ...

    def paint(self, probabilities: Probabilities) -> Pixels:
        """A picture of the likeliest class of every pixel."""
        ...
