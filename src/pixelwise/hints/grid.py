"""Hints on the grid of cells that a network answers: they correct the answer, less the farther away.

Far is measured along the way that crosses the least of edges, as in Yatziv and Sapiro 2006, "Fast image and video
colorization using chrominance blending" (https://doi.org/10.1109/TIP.2005.864231), here also of the network's answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from .pixels import Said

if TYPE_CHECKING:
    from scipy.sparse import csr_array

RUNS_AT_ONCE = 1 << 12  # bounds the tables of what share of a cell lies under a run

# Distances are measured in the one at which a correction has fallen to 1/e.
STEP = 0.04  # from one cell to the next, where nothing changes; 0.02 errs less on the whole and stains the sky
LIGHT = 0.15  # the step of lightness that is as far as that
CHROMA = 0.03  # the step of the answer's chroma
DOUBT = 0.3  # the Hellinger distance of the answer's probabilities
TONE = 0.25  # the difference of lightness to the hint's own, whichever way leads there
REACH = 3.0  # beyond it a correction, exp(-9), is less than a byte shows
RIVALRY = 3.0  # weights of several hints are distance ** -RIVALRY, as Yatziv and Sapiro mix them
NO_DISTANCE = 1e-4  # of a hint to itself, so that its weight is finite
SHADE = 0.5  # how far chroma follows lightness: 1 is the same paint in less light, 0 the same chroma
DARKEST = 0.1  # added to both lightnesses of which the ratio is taken
MOST_SHADE = 1.5  # and no ratio is beyond that
NEIGHBOURS = (  # in the last two axes: to the right, below, and the two corners below
    (np.s_[..., :, :-1], np.s_[..., :, 1:]),
    (np.s_[..., :-1, :], np.s_[..., 1:, :]),
    (np.s_[..., :-1, :-1], np.s_[..., 1:, 1:]),
    (np.s_[..., :-1, 1:], np.s_[..., 1:, :-1]),
)


@dataclass(frozen=True, eq=False)
class Seeds:
    """The cells of a grid from which hints spread; in them their chroma is exact."""

    which: Int64[Tensor, "h w"]  # the hint of a cell, -1 where there is none
    chromas: Float[Tensor, "p 2"]  # a and b of each hint


def seeds(said: Said, grid: tuple[int, int]) -> Seeds:
    """The cells of a grid over the whole picture from which hints spread.

    They are those of which the hint covers at least half as much as of its most covered cell: of a dot all that it
    touches, of a broad brush no cell at its rim that shows mostly something else. Of two hints in a cell the one that
    covers more of it counts, of equals the later.

    Args:
        said: of the picture's pixels.
        grid: rows and columns of cells.
    """
    which = np.full(grid, -1, np.int64)
    most = np.zeros(grid)
    runs = said.runs.numpy()
    for number in range(len(said.chromas)):
        share = _share(runs[runs[:, 3] == number], said.size, grid)
        here = (share >= most - 1e-9) & (share > 0) & (share >= share.max() / 2)
        which[here] = number
        most = np.maximum(most, share)
    return Seeds(torch.from_numpy(which), said.chromas)


def _share(runs: np.ndarray, size: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """How much of every cell lies under some runs that do not overlap, 0 to 1."""
    share = np.zeros(grid)
    for start in range(0, len(runs), RUNS_AT_ONCE):
        some = runs[start : start + RUNS_AT_ONCE]
        down = _overlap(some[:, 0], some[:, 0] + 1, grid[0] / size[0], grid[0])
        share += down.T @ _overlap(some[:, 1], some[:, 2], grid[1] / size[1], grid[1])
    return share


def _overlap(first: np.ndarray, after: np.ndarray, cells_of_pixel: float, cells: int) -> np.ndarray:
    """How much of each cell along an axis lies between two pixels, for every pair of these."""
    edges = np.arange(cells)
    inside: np.ndarray = np.clip(after[:, None] * cells_of_pixel - edges, 0, 1)
    return inside - np.clip(first[:, None] * cells_of_pixel - edges, 0, 1)


def region_seeds(region: Bool[Tensor, "h w"], chroma: Float[Tensor, "2"]) -> Seeds:
    """A region of cells of which one chroma was said. Lock the others to keep it within the region."""
    return Seeds(region.long() - 1, chroma.reshape(1, 2))


def joined(earlier: Seeds, later: Seeds) -> Seeds:
    """Both; where both say something, the later."""
    moved = later.which + len(earlier.chromas)
    which = torch.where(later.which >= 0, moved, earlier.which)
    return Seeds(which, torch.cat([earlier.chromas, later.chromas.to(earlier.chromas)]))


def spread(
    light: Float[Tensor, "h w"],
    chroma: Float[Tensor, "2 h w"],
    seeds: Seeds,
    probabilities: Float[Tensor, "k h w"] | None = None,
    locked: Bool[Tensor, "h w"] | None = None,
) -> Float[Tensor, "2 h w"]:
    """The chroma of every cell, corrected by hints. Where they lie it is theirs, without any it is the network's.

    The nearer a hint, the more its own chroma counts, darker or lighter as the cell is; the farther, the more it is the
    network's answer, moved by as much as the answer was wrong at the hint.

    Args:
        light: of the cells, 0 to 1.
        chroma: a and b, the network's answer.
        seeds: the cells in which there are hints.
        probabilities: of the network's classes; where they change is then an edge, instead of where chroma does.
        locked: cells that no hint changes, nor passes, even one that lies on them.
    """
    from scipy.ndimage import median_filter  # a third of a second to load, which pictures without hints do not wait for
    from scipy.sparse.csgraph import dijkstra

    shape, which = light.shape, seeds.which.flatten().numpy()
    seen = median_filter(light.double().numpy(), 3, mode="nearest").ravel()  # an edge stays, texture is no obstacle
    answer = chroma.double().numpy().reshape(2, -1)
    free = np.ones(len(which), bool) if locked is None else ~locked.flatten().numpy()
    sources = [np.flatnonzero((which == number) & free) for number in range(len(seeds.chromas))]
    numbers = [number for number, cells in enumerate(sources) if len(cells)]
    if not numbers:
        return chroma.clone()
    ways = _ways(shape, seen, answer, None if probabilities is None else probabilities.numpy(), free)
    distance = np.stack([dijkstra(ways, indices=sources[i], min_only=True, limit=REACH) for i in numbers])
    lights = np.array([[seen[sources[i]].mean()] for i in numbers])
    distance = np.hypot(distance, (seen - lights) / TONE)
    nearest = distance.min(axis=0)
    weights = np.where(np.isfinite(distance), np.maximum(distance, NO_DISTANCE) ** -RIVALRY, 0)
    weights /= np.maximum(weights.sum(axis=0), 1e-12)
    own = seeds.chromas.double().numpy()[numbers]
    ratios = np.clip((seen + DARKEST) / (lights + DARKEST), 1 / MOST_SHADE, MOST_SHADE) ** SHADE
    wanted = np.einsum("pm,pc->cm", weights * ratios, own)
    before = np.einsum("pm,pc->cm", weights, np.stack([answer[:, sources[i]].mean(axis=1) for i in numbers]))
    share = np.exp(-(nearest**2))
    made = answer + share * (wanted - share * answer - (1 - share) * before)
    for i, chroma_said in zip(numbers, own, strict=True):
        made[:, sources[i]] = chroma_said[:, None]
    return torch.from_numpy(made.reshape(2, *shape)).to(chroma)


def _ways(
    shape: Sequence[int], light: np.ndarray, answer: np.ndarray, probabilities: np.ndarray | None, free: np.ndarray
) -> "csr_array":
    """How far it is from each cell to its eight neighbours, by squares, so that one edge is farther than a slope."""
    from scipy.sparse import csr_array

    cells = np.arange(light.size).reshape(shape)
    one, other = (np.concatenate([cells[pair[i]].ravel() for pair in NEIGHBOURS]) for i in (0, 1))
    across = cells.size * 2 - sum(shape)  # the pairs that share a side come first
    cost = np.full(one.size, STEP)
    cost[across:] *= 2**0.5
    cost += ((light[one] - light[other]) / LIGHT) ** 2
    if probabilities is None:
        cost += np.square((answer[:, one] - answer[:, other]) / CHROMA).sum(axis=0)
    else:
        roots = np.sqrt(np.maximum(probabilities, 0))
        alike = [np.einsum("khw,khw->hw", roots[a], roots[b]).ravel() for a, b in NEIGHBOURS]
        cost += (1 - np.concatenate(alike)) / DOUBT**2
    open_ = free[one] & free[other]
    one, other, cost = one[open_], other[open_], cost[open_]
    both = (np.concatenate([one, other]), np.concatenate([other, one]))
    return csr_array((np.concatenate([cost, cost]), both), shape=(light.size, light.size))
