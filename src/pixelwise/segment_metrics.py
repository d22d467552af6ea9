"""How well regions and their boundaries are found, picture by picture, and how sure one can be of the means.

IoU            intersection over union of a class's true and answered region; NaN where a picture has neither.
thresholded    ceil(clamp(20 (IoU - 1/2), 0, 10)) / 10: nothing up to one half, full marks above 0.95.
boundary F1    harmonic mean of the shares of contour pixels that lie near the other contour (Csurka et al. 2013).
bootstrap      percentile interval over pictures, which are what was sampled; pixels are not (Efron 1979).

Classes are 0 to k - 1 and the foreground is all but class 0. Void pixels (id 255) of the truth count for nothing.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from torch import Tensor

from .classes.labels import VOID
from .shapes import ClassIds

Counts: TypeAlias = Int64[Tensor, "n k"]
Scores: TypeAlias = Float64[Tensor, "n k"]
Region: TypeAlias = Bool[np.ndarray, "h w"]
Points: TypeAlias = Int64[np.ndarray, "_ 2"]

Statistic = Callable[[Float64[Tensor, "r *any"]], Tensor]
"""Makes r values, or r rows of values, of r sums over pictures."""


def void_as_background(truth: ClassIds) -> ClassIds:
    """The truth with void counted as class 0, so that nothing is left out."""
    return truth.masked_fill(truth == VOID, 0)


def overlaps(answer: ClassIds, truth: ClassIds, k: int) -> tuple[Counts, Counts]:
    """Pixels in the intersection and in the union of each picture's true and answered regions, void left out."""
    known = truth != VOID
    hits = _tally(truth, answer == truth, k)  # were void answered too, its tally lies behind the k classes
    return hits, _tally(truth, known, k) + _tally(answer, known, k) - hits


def _tally(ids: ClassIds, counted: Bool[Tensor, "n h w"], k: int) -> Counts:
    n = len(ids)
    cells = ids.long() + 256 * torch.arange(n).view(-1, 1, 1)
    return torch.bincount(cells[counted], minlength=256 * n).view(n, 256)[:, :k]


def iou(intersections: Tensor, unions: Tensor) -> Float64[Tensor, "*any"]:
    """Intersection over union; NaN where there is no union, since the class is then absent."""
    return intersections.double() / unions


def thresholded(intersections: Counts, unions: Counts) -> Scores:
    """ceil(clamp(20 (IoU - 1/2), 0, 10)) / 10, exact at its steps; NaN where the class is absent."""
    # In integers, since 20 (0.55 - 0.5) is a little more than 1 in floating point and would round up to 2.
    whole = unions.clamp(min=1)
    tenths = -torch.div(10 * whole - 20 * intersections, whole, rounding_mode="floor")
    return (tenths.clamp(0, 10).double() / 10).masked_fill(unions == 0, math.nan)


def foreground(values: Float64[Tensor, "*any k"]) -> Float64[Tensor, "*any"]:
    """Mean over the classes 1 to k - 1 that are not NaN; NaN where there are none."""
    return values[..., 1:].nanmean(dim=-1)


def boundary_f1(answer: ClassIds, truth: ClassIds, k: int) -> Scores:
    """F1 of each picture's and class's contour, within 0.75 % of the diagonal (Csurka, Larlus and Perronnin 2013).

    A contour is the pixels of a region that touch another class above, below, left or right; the edge of the picture
    is none. Void is first given to the nearest labelled class: where annotators left a narrow band of void between
    two classes, the true contour is taken to run along its middle. F1 is 0 where the class is in one of answer and
    truth alone, 1 where it fills both pictures, and NaN where it is in neither or the truth is void throughout.

    Args:
        answer: ids 0 to k - 1.
        truth: the same, or void.
        k: the number of classes.
    """
    reach = boundary_tolerance(truth.shape[1], truth.shape[2])
    scores = torch.full((len(truth), k), math.nan, dtype=torch.float64)
    for i, (own, true) in enumerate(zip(answer.numpy(), truth.numpy(), strict=True)):
        if bool((true == VOID).all()):
            continue
        filled = _without_void(true)
        for label in np.union1d(own, filled).tolist():
            scores[i, label] = _f1(own == label, filled == label, reach)
    return scores


def boundary_tolerance(height: int, width: int) -> int:
    """0.75 % of a picture's diagonal in whole pixels, rounded up, so at least 1."""
    square = -(-9 * (height**2 + width**2) // 400**2)  # of 3/400 of the diagonal, rounded up
    return math.isqrt(square - 1) + 1


def _without_void(ids: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    void = ids == VOID
    if not void.any():
        return ids
    rows, columns = distance_transform_edt(void, return_distances=False, return_indices=True)
    filled: UInt8[np.ndarray, "h w"] = ids[rows, columns]
    return filled


def _f1(own: Region, true: Region, reach: int) -> float:
    if not own.any() or not true.any():
        return 0.0
    answered, known = _contour(own), _contour(true)
    if not len(answered) or not len(known):  # a region that fills its picture has no contour
        return float(len(answered) == len(known))
    precision, recall = _share_near(answered, known, reach), _share_near(known, answered, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _contour(region: Region) -> Points:
    around = np.pad(region, 1, mode="edge")
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.argwhere(region & ~inside)


def _share_near(points: Points, others: Points, reach: int) -> float:
    """Share of some points that have one of the others within reach, in Euclidean distance."""
    distances, _ = cKDTree(others).query(points)
    return float((distances <= reach).mean())


def summands(values: Float64[Tensor, "n *any"]) -> Float64[Tensor, "n 2 *any"]:
    """Values of pictures as what to add and what to divide by, so that NaN is left out of their mean."""
    return torch.stack([values.nan_to_num(nan=0.0), (~values.isnan()).double()], dim=1)


def ratios(sums: Float64[Tensor, "r 2 *any"]) -> Float64[Tensor, "r *any"]:
    """The first sum by the second: the mean of `summands`, or the pooled IoU of intersections and unions."""
    return sums[:, 0] / sums[:, 1]


def bootstrap_interval(
    per_picture: Float[Tensor, "n *any"] | Int64[Tensor, "n *any"],
    statistic: Statistic = ratios,
    *,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> Float64[Tensor, "2 *_"]:
    """Between what two values a statistic of n pictures lies when n of them are drawn again, with replacement.

    Args:
        per_picture: what is added up over pictures, such as intersections and unions, stacked: shape (n, 2, k).
        statistic: makes values of the sums of all resamples at once; NaN resamples are left out.
        seed: of the draws.
        resamples: how many times n pictures are drawn.
        level: the share of resamples that lie within; the rest lie half below, half above.
    """
    n = len(per_picture)
    flat = per_picture.double().reshape(n, -1)
    generator = torch.Generator().manual_seed(seed)
    draws = (torch.randint(n, (n,), generator=generator) for _ in range(resamples))
    times = (torch.bincount(draw, minlength=n).double() for draw in draws)  # one resample in memory at a time
    sums = torch.stack([drawn @ flat for drawn in times]).view(resamples, *per_picture.shape[1:])
    tail = (1 - level) / 2
    return statistic(sums).nanquantile(torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0)
