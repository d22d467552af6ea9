"""A few painted pixels teach the last layer: strokes in a file become masks, as ilastik works, on deep features.

A stroke's file is JSON: {"classes": ["background", "flower"], "pictures": {"a.jpg": [{"class": "flower", "radius": 2,
"points": [[x, y], …]}]}}, in pixels of the upright picture, x to the right. Consecutive points are joined.

From so few pixels the last layer is found at once: multinomial logistic regression with a squared penalty, a convex
problem, by L-BFGS. Coarse features say where in the picture a pixel lies, which a few strokes would take for what it
is; they are therefore trusted half as much (models/hypercolumn.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits
from torch import Tensor

from .classes.labels import VOID, Labels
from .errors import BadData, BadSetting
from .models.head import Head
from .models.segmenter import Features, Segmenter, at_pixels, stacked
from .shapes import Rgb

ClassMap = UInt8[Tensor, "_ _"]  # one picture's classes, void where there is none
PENALTY = 1e-2  # of the squared weights
STEPS = 100  # of L-BFGS, at most; a fifth is usual
NOWHERE = -1e4  # the bias of a class that nobody painted
MOST_PIXELS = 20_000  # of the strokes; more say nothing new


@dataclass(frozen=True)
class Stroke:
    """A line that was painted with a round brush."""

    label: str
    radius: float  # pixels; 0 is one pixel wide
    points: tuple[tuple[float, float], ...]  # x to the right, y down


@dataclass(frozen=True)
class Strokes:
    """Strokes on pictures, by the pictures' names."""

    labels: Labels
    pictures: Mapping[str, tuple[Stroke, ...]]


def load_strokes(path: Path) -> Strokes:
    """Strokes from a file.

    Raises:
        BadData: it is missing, is not JSON, or does not hold strokes.
    """
    expected = (
        'expected {"classes": ["background", "flower"], "pictures": {"a.jpg": [{"class": "flower", "radius": 2, '
        '"points": [[10, 20], [30, 40]]}]}}'
    )
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        labels = Labels(tuple(str(name) for name in given["classes"]), tuple(given.get("colours", ())))
        pictures = {str(name): tuple(_stroke(s, labels) for s in found) for name, found in given["pictures"].items()}
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
        BadSetting,
    ) as error:
        raise BadData(f"strokes {path} cannot be read ({type(error).__name__}: {error}); {expected}") from None
    if len(labels) < 2:
        raise BadData(f"strokes {path} have one class; expected two or more, so that there is a choice")
    if not any(pictures.values()):
        raise BadData(f"strokes {path} hold no stroke; {expected}")
    return Strokes(labels, pictures)


def _stroke(given: Mapping[str, Any], labels: Labels) -> Stroke:
    label, radius = str(given["class"]), float(given.get("radius", 1))
    if label not in labels.names:
        raise ValueError(f"class {label!r} is not one of {', '.join(labels.names)}")
    points = tuple((float(x), float(y)) for x, y in given["points"])
    if not points or not 0 <= radius <= 10_000 or not all(abs(v) <= 1e6 for point in points for v in point):
        raise ValueError(f"a stroke of class {label!r} with radius {radius:g} and {len(points)} points")
    return Stroke(label, radius, points)


def painted(strokes: Sequence[Stroke], labels: Labels, size: tuple[int, int]) -> UInt8[Tensor, "h w"]:
    """The classes of the pixels under some strokes, void elsewhere; later strokes lie over earlier ones.

    Args:
        strokes: in pixels of a picture of this size.
        labels: the classes.
        size: rows and columns.

    Raises:
        BadData: a stroke lies wholly outside of the picture.
    """
    image = Image.new("L", (size[1], size[0]), VOID)
    draw = ImageDraw.Draw(image)
    for stroke in strokes:
        value, r = labels.names.index(stroke.label), stroke.radius
        inside = [(x, y) for x, y in stroke.points if -r <= x < size[1] + r and -r <= y < size[0] + r]
        if not inside:
            raise BadData(
                f"a stroke of class {stroke.label!r} lies outside of its picture of {size[1]} x {size[0]} pixels; "
                "points are [x, y] in pixels of the upright picture"
            )
        if len(stroke.points) > 1:
            draw.line(stroke.points, fill=value, width=max(1, round(2 * r)))
        for x, y in stroke.points:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=value)
    return torch.from_numpy(np.array(image))


def scaled(strokes: Sequence[Stroke], factor: float) -> tuple[Stroke, ...]:
    """The same strokes on a picture that is `factor` times as large."""
    return tuple(
        Stroke(
            s.label, s.radius * factor, tuple(((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) for x, y in s.points)
        )
        for s in strokes
    )


@dataclass(frozen=True, eq=False)
class PaintedPixels:
    """Features of painted pixels, and their classes; and what standardizes features."""

    features: Float[Tensor, "p c"]
    ids: UInt8[Tensor, "p"]
    mean: Float[Tensor, "c"]
    deviation: Float[Tensor, "c"]


@dataclass(frozen=True, eq=False)
class Looked:
    """One picture as a network sees it, with all that does not change from stroke to stroke."""

    features: Features
    whole: Float[Tensor, "1 c _ _"]  # the features stacked
    mean: Float[Tensor, "c"]
    square: Float[Tensor, "c"]  # mean of the squares


def look(segmenter: Segmenter, seen: Rgb) -> Looked:
    """Look at a picture once, so that strokes on it are answered at once."""
    with torch.no_grad():
        features = segmenter.features(seen.unsqueeze(0).float() / 255)
        whole = stacked(features, segmenter.align_corners)
        mean = torch.cat([feature.mean(dim=(0, 2, 3)) for feature in features])
        square = torch.cat([feature.square().mean(dim=(0, 2, 3)) for feature in features])
    return Looked(features, whole, mean, square)


def painted_pixels(segmenter: Segmenter, drawn: Sequence[tuple[Looked, ClassMap]]) -> PaintedPixels:
    """What is known of the painted pixels of some pictures.

    Features are standardized by the pictures themselves, painted or not; the painted pixels are too few to tell.

    Args:
        segmenter: the network that has looked at them.
        drawn: pictures, and their painted classes in the size that the network saw, void where nothing was painted.
    """
    found, ids = [], []
    for looked, classes in drawn:
        flat = (classes != VOID).flatten().nonzero().squeeze(1)
        if len(flat) > MOST_PIXELS:
            flat = flat[torch.linspace(0, len(flat) - 1, MOST_PIXELS).long()]
        found.append(at_pixels(looked.whole, classes.shape, flat, segmenter.align_corners)[0, :, 0].T)
        ids.append(classes.flatten()[flat])
    mean = torch.stack([looked.mean for looked, _ in drawn]).mean(dim=0)
    square = torch.stack([looked.square for looked, _ in drawn]).mean(dim=0)
    trust = segmenter.trust or (1.0,) * len(segmenter.channels)
    trusts = torch.cat([torch.full((c,), t) for c, t in zip(segmenter.channels, trust, strict=True)])
    return PaintedPixels(torch.cat(found), torch.cat(ids), mean, (square - mean.square()).clamp_min(0).sqrt() / trusts)


def fit_head(segmenter: Segmenter, k: int, pixels: PaintedPixels) -> Head:
    """The last layer that painted pixels teach, each class weighing alike however much of it was painted.

    Raises:
        BadData: fewer than two classes are painted, so that there is nothing to tell apart.
    """
    counts = torch.bincount(pixels.ids.long(), minlength=k)
    if int((counts > 0).sum()) < 2:
        raise BadData("only one class is painted; paint a stroke of another, so that there is something to tell apart")
    head = Head(segmenter, k, pixels.mean, pixels.deviation)
    standardized = ((pixels.features - head.shift) * head.scale).double().numpy()
    data = (standardized, pixels.ids.numpy(), counts.numpy())
    start = np.zeros(k * (standardized.shape[1] + 1))
    with threadpool_limits(1, "blas"):  # its threads would spin on, and stand in the way of torch's
        found = minimize(_penalized_loss, start, data, method="L-BFGS-B", jac=True, options={"maxiter": STEPS})
    weight, bias = np.split(found.x.reshape(k, -1), [-1], axis=1)
    bias[counts.numpy() == 0] = NOWHERE
    with torch.no_grad():
        head.last.weight.copy_(torch.from_numpy(weight)[:, :, None, None])
        assert head.last.bias is not None
        head.last.bias.copy_(torch.from_numpy(bias[:, 0]))
    return head.eval()


def _penalized_loss(
    flat: np.ndarray, features: np.ndarray, ids: np.ndarray, counts: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean over classes of the mean cross-entropy of their pixels, plus the squared weights; and its gradient.

    scipy's L-BFGS calls it some thirty times, which takes a fifth of the time that torch's takes on so little.
    """
    k = len(counts)
    with_bias = flat.reshape(k, -1)
    weight, bias = with_bias[:, :-1], with_bias[:, -1]
    log_p = log_softmax(features @ weight.T + bias, axis=1)
    share = 1 / counts[ids] / (counts > 0).sum()
    rows = np.arange(len(ids))
    loss = -(share * log_p[rows, ids]).sum() + PENALTY * np.square(weight).sum()
    slope = np.exp(log_p)
    slope[rows, ids] -= 1
    slope *= share[:, None]
    gradient = np.concatenate([slope.T @ features + 2 * PENALTY * weight, slope.sum(axis=0)[:, None]], axis=1)
    return float(loss), gradient.ravel()
