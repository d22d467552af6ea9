"""What a rule says of one of torch's functions: the shapes that it makes, what it does in a network, what it costs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .symbols import SymbolicInt, plain_of


class Role(StrEnum):
    """What a function does in a network; it decides what counts under which convention."""

    CONVOLUTION = "convolution"  # or any other product with weights
    POOLING = "pooling"
    UPSAMPLING = "upsampling"
    TABLE = "table"  # one value looked up for each pixel
    NORMALIZATION = "normalization"
    ELEMENTWISE = "elementwise"
    JOIN = "join"  # side by side, in a new tensor
    VIEW = "view"  # the same values, cut, repeated or in another order
    LOSS = "loss"


class NotFollowed(Exception):
    """A use of a function that its rule does not know."""


class Shape(tuple[int, ...]):
    """The sizes of a tensor."""

    @property
    def elements(self) -> int:
        """How many values it has."""
        return math.prod(self)


@dataclass(frozen=True)
class Made:
    """What a function makes: one shape or several, and at what cost."""

    shapes: Shape | list[Shape]
    role: Role = Role.VIEW
    connections: int = 0  # multiply-adds of products with weights
    looked_at: int = 0  # values looked at by pooling and enlarging
    internals: tuple[int, ...] = ()  # elements of tensors inside it that backward may need

    @property
    def every(self) -> list[Shape]:
        """The shapes, in a list in any case."""
        return self.shapes if isinstance(self.shapes, list) else [self.shapes]

    @property
    def first(self) -> Shape:
        """The shape, or the first of several."""
        return self.every[0]


Rule = Callable[..., Made]
Sizes = int | Sequence[int]


def each(value: Sizes, n: int) -> tuple[int, ...]:
    """One number for each of n axes."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * n


def view(sizes: Sequence[int]) -> Made:
    """The same values in some sizes."""
    return Made(Shape(sizes))


def broadcast(*shapes: Shape) -> Shape:
    """The shape in which tensors meet: sizes of one are repeated."""
    found: list[int] = []
    for back in range(1, max(map(len, shapes), default=0) + 1):
        there = [s[-back] for s in shapes if len(s) >= back]
        large = [size for size in there if plain_of(size) != 1]
        size = next((s for s in large if isinstance(s, SymbolicInt)), large[0] if large else there[0])
        for other in large:
            bool(size == other)  # where the formulas differ, that the values agree is a condition
        found.insert(0, size)
    return Shape(found)
