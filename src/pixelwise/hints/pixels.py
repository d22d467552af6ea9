"""Hints in pixels: their file, which pixels lie under them, and a painted strip with what they say laid over it.

A file of hints is JSON: {"pictures": {"a.jpg": [{"colour": "#8a2b1f", "radius": 3, "points": [[x, y], …]}]}}, in pixels
of the upright picture, x to the right. One point is a disc; of several, consecutive ones are joined by a line.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ..classes.oklab import chromas_of
from ..errors import BadData
from .brush import runs_under, uncovered

RADIUS = 3.0  # of a brush of which nothing is said
MOST_HINTS, MOST_POINTS = 500, 10_000  # on one picture; they bound the time and memory that a file can take


@dataclass(frozen=True)
class Hint:
    """A line, or a disc, of one colour, painted with a round brush."""

    colour: str  # #rrggbb
    radius: float  # pixels; 0 is one pixel wide
    points: tuple[tuple[float, float], ...]  # x to the right, y down


@dataclass(frozen=True)
class Hints:
    """Hints on pictures, by the pictures' names."""

    pictures: Mapping[str, tuple[Hint, ...]]


@dataclass(frozen=True, eq=False)
class Said:
    """The pixels of a picture that lie under hints, as runs along its rows, so that large pictures need no maps."""

    size: tuple[int, int]  # rows and columns
    runs: Int64[Tensor, "m 4"]  # row, first column, column after the last, and which hint; apart, ordered by row
    chromas: Float[Tensor, "p 2"]  # a and b of each hint


def load_hints(path: Path) -> Hints:
    """Hints from a file.

    Raises:
        BadData: it is missing, is not JSON, or does not hold hints.
    """
    expected = 'expected {"pictures": {"a.jpg": [{"colour": "#8a2b1f", "radius": 3, "points": [[10, 20], [30, 40]]}]}}'
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        pictures = {str(name): _hints(found) for name, found in given["pictures"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadData(f"hints {path} cannot be read ({type(error).__name__}: {error}); {expected}") from None
    if not any(pictures.values()):
        raise BadData(f"hints {path} hold no hint; {expected}")
    return Hints(pictures)


def _hints(given: object) -> tuple[Hint, ...]:
    if not isinstance(given, list) or not all(isinstance(hint, dict) for hint in given):
        raise TypeError("the hints of a picture are not a list of objects")
    hints = tuple(_hint(hint) for hint in given)
    points = sum(len(hint.points) for hint in hints)
    if len(hints) > MOST_HINTS or points > MOST_POINTS:
        raise ValueError(
            f"{len(hints)} hints of {points} points on one picture, not at most {MOST_HINTS} of {MOST_POINTS}"
        )
    return hints


def _hint(given: Mapping[str, Any]) -> Hint:
    colour, radius = given["colour"], _number(given.get("radius", RADIUS))
    if not isinstance(colour, str) or not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise ValueError(f"colour {str(colour)[:40]!r} is not #rrggbb")
    points = tuple((_number(x), _number(y)) for x, y in given["points"])
    if not points:
        raise ValueError(f"a hint of colour {colour} has no point")
    if not 0 <= radius <= 10_000 or not all(abs(v) <= 1e6 for point in points for v in point):
        raise ValueError(f"a hint of colour {colour} has radius {radius:g}, or points, of no picture's size")
    return Hint(colour.lower(), radius, points)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{str(value)[:40]!r} is not a number")
    return float(value)


def scaled(hints: Sequence[Hint], factor: float) -> tuple[Hint, ...]:
    """The same hints on a picture that is `factor` times as large."""
    return tuple(
        Hint(
            h.colour,
            h.radius * factor,
            tuple(((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) for x, y in h.points),
        )
        for h in hints
    )


def said(hints: Sequence[Hint], size: tuple[int, int]) -> Said:
    """What hints say of which pixels; later hints lie over earlier ones.

    Args:
        hints: in pixels of a picture of this size.
        size: rows and columns.

    Raises:
        BadData: a hint lies wholly outside of the picture.
    """
    taken, stride = np.empty((0, 2), np.int64), size[1] + 1  # of positions from row to row
    runs = [np.empty((0, 4), np.int64)]
    for number, hint in reversed(list(enumerate(hints))):
        under = runs_under(hint.points, hint.radius, size)
        if not len(under):
            raise BadData(
                f"a hint of colour {hint.colour} lies outside of its picture of {size[1]} x {size[0]} pixels; "
                "points are [x, y] in pixels of the upright picture"
            )
        seen = uncovered(under, taken)
        taken = np.concatenate([taken, seen])
        runs.append(_with_rows(seen, stride, number))
    colours = torch.tensor([list(bytes.fromhex(hint.colour[1:])) for hint in hints], dtype=torch.uint8)
    return Said(size, _in_order(runs), chromas_of(colours.reshape(-1, 3)))


def _with_rows(runs: np.ndarray, stride: int, number: int) -> np.ndarray:
    """Runs of positions as `Said` has them."""
    rows, first = np.divmod(runs[:, 0], stride)
    return np.stack([rows, first, runs[:, 1] - rows * stride, np.full_like(rows, number)], axis=1)


def _in_order(runs: Sequence[np.ndarray]) -> Int64[Tensor, "m 4"]:
    found = np.concatenate(runs)
    return torch.from_numpy(found[np.lexsort(found.T[1::-1])])


def outside(said: Said, cells: Bool[Tensor, "gh gw"]) -> Said:
    """The same hints without the pixels that lie in some cells of a grid over the picture."""
    (height, width), (rows, columns), stride = said.size, cells.shape, said.size[1] + 1
    edges = (cells.int().diff(dim=1, prepend=torch.zeros(rows, 1), append=torch.zeros(rows, 1)) != 0).nonzero()
    ends = torch.stack([edges[:, 0], -(-edges[:, 1] * width // columns)], dim=1).view(-1, 2, 2)  # of runs of cells
    touched = torch.from_numpy(np.unique(said.runs[:, 0].numpy()))
    row, run = (touched[:, None] * rows // height == ends[:, 0, 0]).nonzero().T
    taken = touched[row, None] * stride + ends[run, :, 1]
    kept = [np.empty((0, 4), np.int64)]
    for number in range(len(said.chromas)):
        own = said.runs[said.runs[:, 3] == number]
        left = uncovered((own[:, :1] * stride + own[:, 1:3]).numpy(), taken.numpy())
        kept.append(_with_rows(left, stride, number))
    return Said(said.size, _in_order(kept), said.chromas)


def placed(chroma_rows: Float[Tensor, "2 r w"], first_row: int, said: Said) -> Float[Tensor, "2 r w"]:
    """A strip of rows of a full-size chroma map, with what was said laid over it.

    Args:
        chroma_rows: a and b.
        first_row: of the picture, at which the strip begins.
        said: of a picture as wide as the strip.

    Raises:
        BadData: the strip does not lie in the picture of which it was said.
    """
    _, r, w = chroma_rows.shape
    if w != said.size[1] or not 0 <= first_row <= said.size[0] - r:
        raise BadData(
            f"rows {first_row} to {first_row + r} of {w} columns are not of the picture of {said.size[1]} x "
            f"{said.size[0]} pixels on which the hints were drawn; draw them on this one"
        )
    made = chroma_rows.clone()
    begin, end = torch.searchsorted(said.runs[:, 0].contiguous(), torch.tensor([first_row, first_row + r])).tolist()
    for row, first, after, number in said.runs[begin:end].tolist():
        made[:, row - first_row, first:after] = said.chromas[number, :, None].to(made)
    return made
