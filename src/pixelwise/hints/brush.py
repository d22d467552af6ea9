"""Which pixels lie under a round brush, as runs along rows: a large picture then needs no map of its size.

A run is the two positions at which it begins and ends. Positions count the pixels row by row, and one more at the end
of each row, so that runs of two rows never touch.
"""

from collections.abc import Sequence

import numpy as np

RUNS_AT_ONCE = 1 << 20  # before those that overlap are joined
THINNEST = 0.5  # the radius of a brush that is one pixel wide


def runs_under(points: Sequence[tuple[float, float]], radius: float, size: tuple[int, int]) -> np.ndarray:
    """The runs of pixels that are no farther than the radius from a line through some points; in order, and apart.

    Points are moved to the middles of pixels, so that the thinnest line covers a pixel wherever it passes.

    Args:
        points: x to the right, y down.
        radius: in pixels; 0 is one pixel wide.
        size: rows and columns.
    """
    x, y = np.floor(np.array(points).T + 0.5)
    found, nothing = [np.empty((0, 2), np.int64)], np.empty((0, 2), np.int64)
    for i in range(max(1, len(x) - 1)):
        found.append(_runs_under_line(x[i : i + 2], y[i : i + 2], max(radius, THINNEST), size))
        if sum(map(len, found)) > RUNS_AT_ONCE:
            found = [uncovered(np.concatenate(found), nothing)]
    return uncovered(np.concatenate(found), nothing)


def _runs_under_line(x: np.ndarray, y: np.ndarray, radius: float, size: tuple[int, int]) -> np.ndarray:
    """The pixels that are no farther than the radius from a line between two points, or from one: a run in each row.

    What is near a line is convex, so that a row's run reaches from the leftmost end of the discs about the two points
    and of the band between them to the rightmost one.
    """
    rows = np.arange(max(0, np.ceil(y.min() - radius)), min(size[0] - 1, np.floor(y.max() + radius)) + 1)
    below = rows - y[:, None]
    half = np.where(np.abs(below) <= radius, np.sqrt(np.maximum(radius**2 - below**2, 0)), -np.inf)
    left, right = (x[:, None] - half).min(axis=0), (x[:, None] + half).max(axis=0)
    if len(x) == 2 and (length := float(np.hypot(dx := x[1] - x[0], dy := y[1] - y[0]))):
        along = _where_linear(dx, below[0] * dy - x[0] * dx, 0.0, length**2)
        across = _where_linear(dy, -below[0] * dx - x[0] * dy, -radius * length, radius * length)
        low, high = np.maximum(along[0], across[0]), np.minimum(along[1], across[1])
        left, right = (
            np.minimum(left, np.where(low <= high, low, np.inf)),
            np.maximum(right, np.where(low <= high, high, -np.inf)),
        )
    first = np.ceil(np.clip(left - 1e-6, 0, size[1])).astype(np.int64)
    after = np.floor(np.clip(right + 1e-6, -1, size[1] - 1)).astype(np.int64) + 1
    runs = rows.astype(np.int64) * (size[1] + 1) + np.stack([first, after])
    kept: np.ndarray = runs.T[first < after]
    return kept


def _where_linear(slope: float, start: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """From which x to which `low <= slope * x + start <= high`; from infinity to minus infinity if nowhere."""
    if slope == 0:
        everywhere = (low <= start) & (start <= high)
        return np.where(everywhere, -np.inf, np.inf), np.where(everywhere, np.inf, -np.inf)
    ends = np.sort(np.stack([(low - start) / slope, (high - start) / slope]), axis=0)
    return ends[0], ends[1]


def uncovered(runs: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The runs without what is taken, in order; those that touch are joined."""
    places = np.concatenate([runs.T, taken.T], axis=1).ravel()
    steps = np.zeros((2, 2, len(runs) + len(taken)), np.int64)  # how many of either begin less how many end
    steps[0, :, : len(runs)] = steps[1, :, len(runs) :] = [[1], [-1]]
    order = np.argsort(places, kind="stable")
    places, depth = places[order], steps.reshape(2, -1)[:, order].cumsum(axis=1)
    free = (depth[0, :-1] > 0) & (depth[1, :-1] == 0) & (places[:-1] < places[1:])
    first, after = places[:-1][free], places[1:][free]
    begins = np.append(True, first[1:] != after[:-1])[: len(first)]
    return np.stack([first[begins], after[np.append(begins[1:], True)[: len(first)]]], axis=1)
