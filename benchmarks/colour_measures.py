"""What is measured of a coloured picture, and how the measures of many pictures are put together.

Every picture gives numbers of its own; what is a matter of all pixels (shares, quantiles, calibration) is also added up
in counts, so that nothing grows with the number of pictures.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from skimage.color import xyz_tristimulus_values
from skimage.color.colorconv import xyz_from_rgb
from torch import Tensor

from pixelwise.classes.oklab import LINEAR, light_of, oklab_of
from pixelwise.counts import PixelCounts
from pixelwise.picture_metrics import colourfulness, psnr, squared_error
from pixelwise.shapes import ClassIds, Logits, Pixels

CONFIDENCES = 15  # bins of the confidence in the likeliest class
STEP, STEPS = 0.01, 20_000  # of CIEDE2000, for its quantiles
DOUBT_STEP, DOUBT_STEPS = 0.00002, 20_000  # of the doubt, for bins of equally many pixels
DOUBT_BINS = 10
WHITE = torch.tensor(xyz_tristimulus_values(illuminant="D65", observer="2"), dtype=torch.float32)
TO_XYZ = torch.tensor(xyz_from_rgb, dtype=torch.float32) / WHITE[:, None]
CLASSES = ("cross_entropy", "accuracy", "accuracy_top5", "balanced_accuracy", "calibration_error")
LOOKS = ("psnr", "psnr_pooled", "ciede2000", "ciede2000_median", "ciede2000_p95", "colourfulness")
MORE_LOOKS = ("colourfulness_truth", "colourfulness_gap_of_means", "colourfulness_mean_gap", "light_change")
METRICS = (*CLASSES, *LOOKS, *MORE_LOOKS, "doubt_correlation", "milliseconds")


def lab_of(pixels: Pixels) -> Float[Tensor, "n 3 h w"]:
    """CIELAB of sRGB bytes under D65, in float32: a tenth of the time that scikit-image takes."""
    linear = LINEAR.index_select(0, pixels.flatten().int()).view(pixels.shape)
    xyz = torch.einsum("ij,njhw->nihw", TO_XYZ, linear)
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp_min(1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def ciede2000_of(one: Float[Tensor, "n 3 h w"], other: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n h w"]:
    """CIEDE2000 of every pixel of two pictures in CIELAB (Sharma, Wu and Dalal 2005), in float32."""
    (l1, a1, b1), (l2, a2, b2) = one.unbind(1), other.unbind(1)
    middle = ((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * torch.sqrt(middle / (middle + 25.0**7))
    c1, c2 = torch.hypot(a1 * stretch, b1), torch.hypot(a2 * stretch, b2)
    h1, h2 = torch.atan2(b1, a1 * stretch), torch.atan2(b2, a2 * stretch)
    turn = torch.remainder(h2 - h1 + math.pi, 2 * math.pi) - math.pi  # the shorter way round
    hue = torch.remainder(h1 + turn / 2, 2 * math.pi)
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    shape = 1 - 0.17 * torch.cos(hue - math.radians(30)) + 0.24 * torch.cos(2 * hue)
    shape += 0.32 * torch.cos(3 * hue + math.radians(6)) - 0.20 * torch.cos(4 * hue - math.radians(63))
    away = (light - 50) ** 2
    by_light = (l2 - l1) / (1 + 0.015 * away / torch.sqrt(20 + away))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = 2 * torch.sqrt(c1 * c2) * torch.sin(turn / 2) / (1 + 0.015 * chroma * shape)
    blue = math.radians(60) * torch.exp(-(((torch.rad2deg(hue) - 275) / 25) ** 2))
    crossed = -2 * torch.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * torch.sin(blue) * by_chroma * by_hue
    return torch.sqrt((by_light**2 + by_chroma**2 + by_hue**2 + crossed).clamp_min(0))


@dataclass(frozen=True, eq=False)
class Truth:
    """A colour picture, and what is asked of it again and again.

    Args:
        pixels: one picture.
        name: its file's.
        kind: where it comes from.
    """

    pixels: Pixels
    name: str = ""
    kind: str = ""

    @cached_property
    def lab(self) -> Float[Tensor, "1 3 h w"]:
        """CIELAB."""
        return lab_of(self.pixels)

    @cached_property
    def oklab(self) -> Float[Tensor, "1 3 h w"]:
        """OKLab."""
        return oklab_of(self.pixels)

    @cached_property
    def light(self) -> Float[Tensor, "1 1 h w"]:
        """OKLab's L, by the way that painting takes."""
        return light_of(self.pixels)

    @cached_property
    def colourfulness(self) -> float:
        """Of Hasler and Süsstrunk, with signed channels."""
        return colourfulness(self.pixels).item()


@dataclass(frozen=True, eq=False)
class Answer:
    """One row's answer to one picture.

    Args:
        shown: the picture in colour.
        logits: of the classes for every pixel, where it has any.
        ids: the true classes, where there are logits.
        doubt: expected error of every pixel's chroma, where it is told.
        milliseconds: from the grey picture to the colours, where it is a network's.
    """

    shown: Pixels
    logits: Logits | None = None
    ids: ClassIds | None = None
    doubt: Float[Tensor, "h w"] | None = None
    milliseconds: float = math.nan


class Pooled:
    """Counts over all pixels of some pictures.

    Args:
        k: classes.
    """

    def __init__(self, k: int) -> None:
        self.counts = PixelCounts(k)
        self.pixels, self.squares = 0, 0.0  # of all answers; of the squared errors of red, green and blue
        self.differences = torch.zeros(STEPS, dtype=torch.int64)  # pixels by CIEDE2000
        self.confidences = torch.zeros(3, CONFIDENCES, dtype=torch.float64)  # pixels, confidence, hits
        self.doubts = torch.zeros(3, DOUBT_STEPS, dtype=torch.float64)  # pixels, squared doubt, squared error
        self.moments = torch.zeros(6, dtype=torch.float64)  # n, doubt, error, their squares, their product

    def include(self, other: "Pooled") -> None:
        """Add the counts of other pictures."""
        self.counts.confusion += other.counts.confusion
        self.counts.top_hits += other.counts.top_hits
        self.counts.loss_sum += other.counts.loss_sum
        self.pixels += other.pixels
        self.squares += other.squares
        for name in ("differences", "confidences", "doubts", "moments"):
            getattr(self, name).add_(getattr(other, name))

    def quantile(self, share: float) -> float:
        """CIEDE2000 that a share of the pixels stays below, to 0.01."""
        reached = self.differences.cumsum(0) >= share * self.differences.sum()
        return (int(reached.int().argmax()) + 0.5) * STEP

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: how far confidence and share of hits are apart, over bins, by their pixels."""
        pixels, confidence, hits = self.confidences
        return ((confidence - hits).abs().sum() / pixels.sum()).item()

    @property
    def doubt_correlation(self) -> float:
        """Pearson's, over pixels, of the expected error and the one that was made."""
        n, x, y, xx, yy, xy = self.moments.tolist()
        spread = (n * xx - x * x) * (n * yy - y * y)
        return (n * xy - x * y) / math.sqrt(spread) if spread > 0 else math.nan

    def doubt_table(self) -> list[tuple[float, float]]:
        """Expected and made root mean square error, for ten bins of equally many pixels, the surest first."""
        pixels = self.doubts[0]
        place = ((pixels.cumsum(0) - pixels / 2) / pixels.sum() * DOUBT_BINS).long().clamp(0, DOUBT_BINS - 1)
        found = torch.zeros(3, DOUBT_BINS, dtype=torch.float64).index_add_(1, place, self.doubts)
        return [(math.sqrt(e / n), math.sqrt(m / n)) for n, e, m in found.T.tolist() if n]


def measured(answer: Answer, truth: Truth, k: int) -> tuple[dict[str, float], Pooled]:
    """The numbers of one picture, and its counts.

    Args:
        answer: what is measured.
        truth: against what.
        k: classes.
    """
    pooled = Pooled(k)
    shown = answer.shown
    values = dict.fromkeys(METRICS, math.nan)
    error, difference = squared_error(shown, truth.pixels), ciede2000_of(lab_of(shown), truth.lab).flatten()
    pooled.pixels = difference.numel()
    pooled.squares = error.item() * difference.numel()
    pooled.differences += torch.bincount((difference / STEP).long().clamp(max=STEPS - 1), minlength=STEPS)
    values["psnr"] = values["psnr_pooled"] = psnr(error).item()
    values["ciede2000"] = difference.mean(dtype=torch.float64).item()
    values["ciede2000_median"], values["ciede2000_p95"] = pooled.quantile(0.5), pooled.quantile(0.95)
    values["colourfulness"], values["colourfulness_truth"] = colourfulness(shown).item(), truth.colourfulness
    gap = abs(values["colourfulness"] - truth.colourfulness)
    values["colourfulness_gap_of_means"] = values["colourfulness_mean_gap"] = gap
    values["light_change"] = (light_of(shown) - truth.light).abs().max().item() * 255
    values["milliseconds"] = answer.milliseconds
    if answer.logits is not None and answer.ids is not None:
        _count_classes(pooled, answer.logits, answer.ids)
        values.update(_of_classes(pooled))
    if answer.doubt is not None:
        made = (oklab_of(shown) - truth.oklab)[0, 1:].square().sum(dim=0).sqrt()
        _count_doubt(pooled, answer.doubt.flatten().double(), made.flatten().double())
        values["doubt_correlation"] = pooled.doubt_correlation
    return values, pooled


def _count_classes(pooled: Pooled, logits: Logits, ids: ClassIds) -> None:
    pooled.counts.add(logits, ids)
    confidence, likeliest = logits.log_softmax(dim=1).max(dim=1)
    confidence, hits = confidence.exp().flatten().double(), (likeliest == ids).flatten().double()
    place = (confidence * CONFIDENCES).long().clamp(max=CONFIDENCES - 1)
    for into, what in zip(pooled.confidences, (torch.ones_like(hits), confidence, hits), strict=True):
        into += torch.bincount(place, what, minlength=CONFIDENCES)


def _count_doubt(pooled: Pooled, doubt: Float[Tensor, "m"], made: Float[Tensor, "m"]) -> None:
    place = (doubt / DOUBT_STEP).long().clamp(max=DOUBT_STEPS - 1)
    for into, what in zip(pooled.doubts, (torch.ones_like(doubt), doubt**2, made**2), strict=True):
        into += torch.bincount(place, what, minlength=DOUBT_STEPS)
    sums = (doubt.sum(), made.sum(), doubt @ doubt, made @ made, doubt @ made)
    pooled.moments += torch.stack([torch.tensor(float(len(doubt)), dtype=torch.float64), *sums])


def _of_classes(pooled: Pooled) -> dict[str, float]:
    own = {name: getattr(pooled.counts, name) for name in CLASSES[:-1]}
    return {**own, "calibration_error": pooled.calibration_error}


def summarized(pictures: Sequence[Mapping[str, float]], pooled: Pooled) -> dict[str, float]:
    """The numbers of many pictures: means over pictures, or over pixels where they are a matter of pixels."""

    def mean(name: str) -> float:
        return statistics.fmean(picture[name] for picture in pictures)

    of_means = abs(mean("colourfulness") - mean("colourfulness_truth"))
    values = {
        name: mean(name)
        for name in ("psnr", "ciede2000", "colourfulness", "colourfulness_truth", "colourfulness_mean_gap")
    }
    values["psnr_pooled"] = psnr(torch.tensor(pooled.squares / pooled.pixels, dtype=torch.float64)).item()
    values["ciede2000_median"], values["ciede2000_p95"] = pooled.quantile(0.5), pooled.quantile(0.95)
    values["colourfulness_gap_of_means"] = of_means
    values["light_change"] = max(picture["light_change"] for picture in pictures)
    values["milliseconds"] = statistics.median(picture["milliseconds"] for picture in pictures)
    values["doubt_correlation"] = pooled.doubt_correlation
    if pooled.counts.pixels:
        values.update(_of_classes(pooled))
    return {name: values.get(name, math.nan) for name in METRICS}
