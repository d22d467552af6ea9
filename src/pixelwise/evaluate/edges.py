"""How right a network is near edges and far from them.

An edge runs between two pixels above, below or beside each other that belong to different classes. A pixel's distance
is the Chebyshev distance, in pixels, to the nearest pixel that touches an edge: 0 for those pixels themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float64, Int64
from scipy.ndimage import distance_transform_cdt
from torch import Tensor, nn

from ..classes.labels import VOID
from ..classes.palette import AnyPalette
from ..data.batches import batch_size, in_order
from ..data.pictures import Pictures
from ..models.answer import logits_of
from ..shapes import ClassIds, Logits

STARTS = (0, 1, 2, 3, 4, 6)  # the first distance of each bin; the last bin has no end
FEWEST = 1000  # pixels; a bin with fewer joins its neighbour
NO_EDGE = 1 << 15  # the distance where a picture has no edge at all: farther than any


@dataclass(frozen=True, eq=False)
class EdgeCounts:
    """Pixels by their distance to an edge: how many, how many answered rightly, and their summed loss in nats."""

    starts: tuple[int, ...]  # the first distance of each bin, in pixels
    pixels: Int64[Tensor, "bins"]
    hits: Int64[Tensor, "bins"]
    loss_sums: Float64[Tensor, "bins"]

    @property
    def names(self) -> list[str]:
        """What each bin holds, such as 0, 4-5 and 6+."""
        ends = [*(start - 1 for start in self.starts[1:]), None]
        return [_said(start, end) for start, end in zip(self.starts, ends, strict=True)]

    @property
    def accuracy(self) -> Float64[Tensor, "bins"]:
        """Share of pixels whose likeliest class is the true one; NaN where there are no pixels."""
        return self.hits.double() / self.pixels

    @property
    def cross_entropy(self) -> Float64[Tensor, "bins"]:
        """Nats per pixel; NaN where there are no pixels."""
        return self.loss_sums / self.pixels

    @property
    def shares(self) -> Float64[Tensor, "bins"]:
        """The share of all pixels that each bin has."""
        return self.pixels.double() / self.pixels.sum()

    def merged(self, fewest: int = FEWEST) -> "EdgeCounts":
        """Bins with fewer pixels joined to the next farther one, the last to the one before."""
        first = [0]
        for place in range(1, len(self.starts)):
            if int(self.pixels[first[-1] : place].sum()) >= fewest:
                first.append(place)
        if len(first) > 1 and int(self.pixels[first[-1] :].sum()) < fewest:
            first.pop()
        ends = [*first[1:], len(self.starts)]

        def joined(values: Tensor) -> Tensor:
            return torch.stack([values[a:b].sum() for a, b in zip(first, ends, strict=True)])

        starts = tuple(self.starts[place] for place in first)
        return EdgeCounts(starts, joined(self.pixels), joined(self.hits), joined(self.loss_sums))


def edge_distance(ids: ClassIds) -> Int64[Tensor, "n h w"]:
    """Chebyshev distance in pixels to the nearest pixel with a neighbour of another class, which is at 0 itself.

    Of four neighbours; the rim of a picture is no edge. Pictures of one class alone have 32,768 throughout.
    """
    distances = np.full(ids.shape, NO_EDGE, dtype=np.int64)
    for i, edge in enumerate(touching(ids).numpy()):
        if edge.any():
            distances[i] = distance_transform_cdt(~edge, metric="chessboard")
    return torch.from_numpy(distances)


def touching(ids: ClassIds) -> Bool[Tensor, "n h w"]:
    """Which pixels have another class above, below, left or right."""
    edge = torch.zeros(ids.shape, dtype=torch.bool)
    rows, columns = ids[:, 1:] != ids[:, :-1], ids[:, :, 1:] != ids[:, :, :-1]
    edge[:, 1:] |= rows
    edge[:, :-1] |= rows
    edge[:, :, 1:] |= columns
    edge[:, :, :-1] |= columns
    return edge


def hits_by_distance(
    model: nn.Module,
    palette: AnyPalette,
    pictures: Pictures,
    *,
    starts: Sequence[int] = STARTS,
    fewest: int = FEWEST,
) -> EdgeCounts:
    """Pixels, hits and losses of a model that colours, in bins of distance to the nearest edge between true classes.

    Args:
        model: gives logits for a grey picture.
        palette: its classes.
        pictures: what to measure on.
        starts: the first distance of each bin, rising from 0.
        fewest: bins with fewer pixels are joined, see `EdgeCounts.merged`.

    Raises:
        Diverged: the model's answers are not numbers.
    """
    total = _none(starts)
    for some, seen in in_order(pictures, palette, batch_size(pictures)):
        total = _sum(total, count_by_distance(logits_of(model, seen), palette.encode(some.pixels), starts))
    return total.merged(fewest)


def count_by_distance(logits: Logits, ids: ClassIds, starts: Sequence[int] = STARTS) -> EdgeCounts:
    """The counts of some answers; void pixels count for nothing, though they can be a neighbour of another class."""
    truth = ids.long()
    bins = torch.bucketize(edge_distance(ids), torch.tensor(list(starts[1:]), dtype=torch.int64), right=True)
    known = truth != VOID
    losses = F.cross_entropy(logits.float(), truth, ignore_index=VOID, reduction="none")[known].double()
    hits, bins = (logits.argmax(dim=1) == truth)[known], bins[known]
    k = len(starts)
    return EdgeCounts(
        tuple(starts),
        torch.bincount(bins, minlength=k),
        torch.bincount(bins[hits], minlength=k),
        torch.bincount(bins, weights=losses, minlength=k),
    )


def _none(starts: Sequence[int]) -> EdgeCounts:
    k = len(starts)
    whole = torch.zeros(k, dtype=torch.int64)
    return EdgeCounts(tuple(starts), whole, whole, torch.zeros(k, dtype=torch.float64))


def _sum(a: EdgeCounts, b: EdgeCounts) -> EdgeCounts:
    return EdgeCounts(a.starts, a.pixels + b.pixels, a.hits + b.hits, a.loss_sums + b.loss_sums)


def _said(start: int, end: int | None) -> str:
    if end is None:
        return f"{start}+"
    return f"{start}" if end == start else f"{start}–{end}"
