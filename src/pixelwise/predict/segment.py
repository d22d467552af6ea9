"""The classes of every pixel of a picture of any size, in the picture's own size and in bounded memory.

The network sees the picture with its long side as it was trained on, or in the picture's own size. What is larger than
a tile goes through in overlapping tiles, whose logits are averaged with weights that fall linearly towards the edges of
a tile, so that there are no seams. Logits are enlarged to the picture's size for some rows at a time: k numbers for
every pixel of a large picture, 8 GB for 100 megapixels and 21 classes, are never in memory together.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from ..data.images import to_image, to_tensor
from ..errors import BadSetting
from ..models.answer import logits_of
from ..shapes import Rgb, RgbOfAnySize

TILE = 768  # pixels a side of what the network sees in one go
OVERLAP = 192  # pixels that neighbouring tiles share, at least
LEAST = 32  # pixels a side; a smaller picture is continued, since some networks fail on less
AT_ONCE = 16_000_000  # logits in the picture's own size


def segment(model: nn.Module, rgb: Rgb, size: int | None = None) -> UInt8[Tensor, "h w"]:
    """The likeliest class of every pixel, the lowest of equals.

    Needs 64 MB, or what one row of the picture takes, and the logits of what is seen, 4 bytes for each of k classes
    and every pixel of one row of tiles: at most 4k * 768 * width, a few times.

    Args:
        model: gives k logits for every pixel of pictures in 0 to 1.
        rgb: the picture.
        size: of the long side as the network sees it, in pixels; None: the picture's own.

    Raises:
        BadSetting: the size is less than one pixel.
        Diverged: the network's answers are not numbers.
    """
    found = [logits.argmax(dim=0).to(torch.uint8) for logits in logit_rows(model, rgb, size)]
    return torch.cat(found)


def class_probabilities(model: nn.Module, rgb: Rgb, size: int | None = None) -> Float[Tensor, "k h w"]:
    """The probabilities of all classes, all in memory: 4k bytes for every pixel. The arguments are those of `segment`.

    Raises:
        BadSetting: the size is less than one pixel.
        Diverged: the network's answers are not numbers.
    """
    return torch.cat([logits.softmax(dim=0) for logits in logit_rows(model, rgb, size)], dim=1)


def logit_rows(model: nn.Module, rgb: Rgb, size: int | None = None) -> Iterator[Float[Tensor, "k _ w"]]:
    """Logits in the picture's own size, some rows at a time from the top, with what `segment` takes.

    They are `F.interpolate(seen logits, mode="bilinear", align_corners=False)`, to rounding.
    """
    seen = as_seen(rgb, size)
    before, after = seen.shape[1], rgb.shape[1]
    rows, shares = _sources(before, after)
    kept, top, done = None, 0, 0  # rows of logits from row `top` on; how many rows of the picture are given
    for band in _seen_rows(model, seen):
        kept = band if kept is None else torch.cat([kept, band], dim=1)
        there = top + kept.shape[1]
        ready = after if there == before else int(torch.searchsorted(rows, there - 1))
        while done < ready:
            end = min(ready, done + max(1, AT_ONCE // (len(kept) * rgb.shape[2])))
            upper = rows[done:end] - top
            lower = (upper + 1).clamp(max=kept.shape[1] - 1)
            yield _wide(torch.lerp(kept[:, upper], kept[:, lower], shares[done:end, None]), rgb.shape[2])
            done = end
        if done < after:
            past = min(int(rows[done]) - top, kept.shape[1])
            kept, top = kept[:, past:], top + past


def as_seen(rgb: Rgb, size: int | None) -> RgbOfAnySize:
    """The picture with its long side in `size` pixels, resampled as training pictures are, but in its own shape.

    Raises:
        BadSetting: the size is less than one pixel.
    """
    if size is None:
        return rgb
    if size < 1:
        raise BadSetting(f"size {size}; expected the pixels of the long side as the network sees it, 1 or more")
    h, w = rgb.shape[1:]
    height, width = (max(1, round(side * size / max(h, w))) for side in (h, w))
    if (height, width) == (h, w):
        return rgb
    return to_tensor(to_image(rgb).resize((width, height), Image.Resampling.LANCZOS))


def _sources(before: int, after: int) -> tuple[Tensor, Tensor]:
    """For each of the rows after resampling: the row before that lies above it, and its distance from that."""
    scale = torch.tensor(before, dtype=torch.float32) / after  # in float32, since F.interpolate rounds so, too
    place = (scale * (torch.arange(after) + 0.5) - 0.5).clamp(min=0)
    rows = place.long().clamp(max=before - 1)
    return rows, (place - rows).clamp(max=1)


def _wide(logits: Float[Tensor, "k r _"], width: int) -> Float[Tensor, "k r w"]:
    size = (logits.shape[1], width)
    return F.interpolate(logits.unsqueeze(0), size=size, mode="bilinear", align_corners=False)[0]


def _seen_rows(model: nn.Module, seen: Rgb) -> Iterator[Float[Tensor, "k _ w"]]:
    """Logits of the picture as it is seen, some rows at a time from the top: rows that no later tile reaches."""
    h = seen.shape[1]
    starts = _starts(h)
    carried, carried_weights = None, None
    for start, following in zip(starts, [*starts[1:], h], strict=True):
        logits = _tile_row(model, seen[:, start : start + TILE])
        weights = _ramp(logits.shape[1])
        logits *= weights.unsqueeze(1)
        if carried is not None and carried_weights is not None:
            logits[:, : carried.shape[1]] += carried
            weights[: len(carried_weights)] += carried_weights
        done = following - start
        yield logits[:, :done] / weights[:done, None]
        carried, carried_weights = logits[:, done:], weights[done:]


def _tile_row(model: nn.Module, seen: Rgb) -> Float[Tensor, "k h w"]:
    """Logits of a picture that is at most one tile high; a mean where tiles overlap."""
    _, h, w = seen.shape
    if w <= TILE:
        return _one_tile(model, seen)
    total, weights = torch.zeros(0), torch.zeros(w)
    for start in _starts(w):
        tile = slice(start, start + TILE)
        logits = _one_tile(model, seen[:, :, tile])
        if not total.numel():
            total = torch.zeros(len(logits), h, w)
        total[:, :, tile] += logits * _ramp(TILE)
        weights[tile] += _ramp(TILE)
    return total.div_(weights)


def _one_tile(model: nn.Module, seen: Rgb) -> Float[Tensor, "k h w"]:
    """Logits of what the network sees in one go. A small picture is continued by its last row and column."""
    h, w = seen.shape[1:]
    x = seen.float().unsqueeze(0) / 255
    below, beside = max(0, LEAST - h), max(0, LEAST - w)
    if below or beside:
        x = F.pad(x, (0, beside, 0, below), mode="replicate")
    return logits_of(model, x)[0, :, :h, :w].clone()


def _starts(length: int) -> list[int]:
    """Where tiles begin, evenly spaced, so that they cover a length and overlap enough."""
    if length <= TILE:
        return [0]
    count = math.ceil((length - OVERLAP) / (TILE - OVERLAP))
    return [round(i * (length - TILE) / (count - 1)) for i in range(count)]


def _ramp(length: int) -> Float[Tensor, "length"]:
    """Weights that rise linearly from the edges of a tile to its middle, and are nowhere zero."""
    place = torch.arange(length) + 0.5
    return torch.minimum(place, length - place)
