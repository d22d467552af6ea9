"""How well a model tells labelled regions apart, with the majority (always the commonest class) beside it.

Void pixels are left out; `…_void_as_background` counts them as class 0 instead. Intervals are of 95 %, from drawing
the pictures again 1,000 times. The foreground is every class but the first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from ..classes.labels import VOID, Labels
from ..config import Split
from ..counts import PixelCounts
from ..data.batches import batch_size, in_order
from ..data.pictures import Pictures
from ..errors import BadData
from ..models.answer import logits_of
from ..segment_metrics import (
    bootstrap_interval,
    boundary_f1,
    foreground,
    iou,
    overlaps,
    ratios,
    summands,
    thresholded,
    void_as_background,
)
from ..shapes import ClassIds
from .watch import Watch, unwatched

Interval = tuple[float, float]


class PictureScore(NamedTuple):
    """One picture's foreground: means over the foreground classes it has; NaN where it has none."""

    name: str
    iou: float
    thresholded: float


@dataclass(frozen=True, kw_only=True)
class SegmentEvaluation:
    """How well a model segments a split; shares are 0 to 1, the loss nats a pixel; what is absent is NaN.

    `iou` pools the pixels of all pictures, and `miou` is its mean over classes. `mean_picture_iou` is a mean over
    pictures of their own foreground. `thresholded_iou` and `boundary_f1` are, for each foreground class, means over the
    pictures that have it, then a mean over these classes.
    """

    task: str
    model: str
    data: str
    split: Split
    pictures: int
    pixels: int  # labelled ones
    pixel_accuracy: float
    cross_entropy: float
    iou: dict[str, float]
    miou: float
    mean_picture_iou: float
    thresholded_iou: float
    boundary_f1: float
    iou_void_as_background: dict[str, float]
    thresholded_iou_void_as_background: float
    majority_pixel_accuracy: float
    majority_iou: dict[str, float]
    iou_interval: dict[str, Interval]
    miou_interval: Interval
    mean_picture_iou_interval: Interval
    thresholded_iou_interval: Interval
    per_picture: tuple[PictureScore, ...] = ()  # in the pictures' order; not in the mapping

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "SegmentEvaluation":
        """An evaluation from the values that `to_mapping` gave."""
        return cls(**{name: _read(value) for name, value in values.items()})

    def to_mapping(self) -> dict[str, Any]:
        """The values by name, as JSON can hold them; what is absent is None."""
        names = [field.name for field in fields(self) if field.name != "per_picture"]
        return {name: _written(getattr(self, name)) for name in names}

    def pictures_table(self) -> list[dict[str, Any]]:
        """One row a picture, worst foreground first, pictures without any last, as JSON can hold them."""
        order = sorted(self.per_picture, key=lambda p: (math.isnan(p.iou), p.iou))
        return [{"picture": p.name, "iou": _written(p.iou), "thresholded_iou": _written(p.thresholded)} for p in order]


def evaluate_segment(
    model: nn.Module,
    labels: Labels,
    pictures: Pictures,
    *,
    names: tuple[str, str, Split],
    watch: Watch = unwatched,
) -> SegmentEvaluation:
    """Evaluate a model that segments, with its baseline, in one pass over the pictures.

    Args:
        model: gives logits for what the labels show it; the likeliest class is its answer.
        labels: its classes.
        pictures: what to evaluate on, with their true classes.
        names: of the model, the data and the split.
        watch: shows progress over the batches.

    Raises:
        BadData: there are no pictures, no labelled pixels, or classes that the model does not know.
        Diverged: the model's answers are not numbers.
    """
    _check(pictures, labels, f"the {names[2]} split of {names[1]}")
    k, size = len(labels), batch_size(pictures)
    counts, gathered = PixelCounts(k), []
    for some, seen in watch(in_order(pictures, labels, size), math.ceil(len(pictures) / size)):
        logits = logits_of(model, seen)
        counts.add(logits, some.ids)
        gathered.append(_Measured.of(logits.argmax(dim=1).to(torch.uint8), some.ids, k))
    measured = _Measured.joined(gathered)
    return SegmentEvaluation(
        task="segment",
        model=names[0],
        data=names[1],
        split=names[2],
        pictures=len(pictures),
        pixels=counts.pixels,
        pixel_accuracy=counts.accuracy,
        cross_entropy=counts.cross_entropy,
        iou=_by_name(labels, counts.iou),
        miou=counts.miou,
        boundary_f1=foreground(measured.boundary_f1.nanmean(dim=0)).item(),
        iou_void_as_background=_by_name(labels, iou(*measured.overlaps_all.sum(dim=0))),
        thresholded_iou_void_as_background=foreground(_thresholded(measured.overlaps_all).nanmean(dim=0)).item(),
        **_majority(labels, counts),
        **_over_pictures(labels, measured.overlaps, pictures.names),
    )


def _check(pictures: Pictures, labels: Labels, where: str) -> None:
    if not len(pictures):
        raise BadData(f"{where} has no pictures to evaluate on")
    if pictures.ids is None:
        raise BadData(f"{where} has no masks to compare answers with; give pictures with masks")
    known = pictures.ids[pictures.ids != VOID]
    if not len(known):
        raise BadData(f"the masks of {where} are void throughout; label some pixels")
    if int(known.max()) >= len(labels):
        raise BadData(f"{where} has class {int(known.max())}, but the model knows 0 to {len(labels) - 1}")


@dataclass(frozen=True, eq=False)
class _Measured:
    """What each picture adds: intersections and unions, with void left out and with all pixels, and contours' F1."""

    overlaps: Int64[Tensor, "n 2 k"]
    overlaps_all: Int64[Tensor, "n 2 k"]
    boundary_f1: Float64[Tensor, "n k"]

    @classmethod
    def of(cls, answer: ClassIds, truth: ClassIds, k: int) -> "_Measured":
        every = void_as_background(truth)
        return cls(
            torch.stack(overlaps(answer, truth, k), dim=1),
            torch.stack(overlaps(answer, every, k), dim=1),
            boundary_f1(answer, truth, k),
        )

    @classmethod
    def joined(cls, parts: Sequence["_Measured"]) -> "_Measured":
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def _thresholded(both: Int64[Tensor, "n 2 k"]) -> Float64[Tensor, "n k"]:
    return thresholded(both[:, 0], both[:, 1])


def _majority(labels: Labels, counts: PixelCounts) -> dict[str, Any]:
    """The scores of answering with these pictures' commonest class everywhere; the lowest of equals."""
    shares = counts.confusion.sum(dim=1).double() / counts.pixels
    own = torch.zeros_like(shares).masked_fill(shares == 0, math.nan)
    own[shares.argmax()] = shares.max()
    return {"majority_pixel_accuracy": shares.max().item(), "majority_iou": _by_name(labels, own)}


def _over_pictures(labels: Labels, both: Int64[Tensor, "n 2 k"], names: Sequence[str]) -> dict[str, Any]:
    """What depends on which pictures there are: their own scores, means over them, and intervals."""
    own, steps = foreground(iou(both[:, 0], both[:, 1])), _thresholded(both)
    pooled = bootstrap_interval(both)
    score = foreground(steps).tolist()
    return {
        "mean_picture_iou": own.nanmean().item(),
        "thresholded_iou": foreground(steps.nanmean(dim=0)).item(),
        "iou_interval": dict(zip(labels.names, map(_interval, pooled.unbind(dim=1)), strict=True)),
        "miou_interval": _interval(bootstrap_interval(both, lambda sums: ratios(sums).nanmean(dim=-1))),
        "mean_picture_iou_interval": _interval(bootstrap_interval(summands(own))),
        "thresholded_iou_interval": _interval(
            bootstrap_interval(summands(steps), lambda sums: foreground(ratios(sums)))
        ),
        "per_picture": tuple(map(PictureScore, names, own.tolist(), score)),
    }


def _by_name(labels: Labels, values: Float64[Tensor, "k"]) -> dict[str, float]:
    return dict(zip(labels.names, values.tolist(), strict=True))


def _interval(ends: Float64[Tensor, "2"]) -> Interval:
    low, high = ends.tolist()
    return low, high


def _written(value: Any) -> Any:  # noqa: ANN401 - any field's value
    if isinstance(value, dict):
        return {name: _written(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_written(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _read(value: Any) -> Any:  # noqa: ANN401 - anything JSON can hold
    if isinstance(value, dict):
        return {name: _read(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return tuple(_read(inner) for inner in value)
    return math.nan if value is None else value
