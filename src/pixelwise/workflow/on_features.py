"""A colour network on a frozen trunk: only its head goes through the loop, on features that were computed once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from ..classes.palette import AnyPalette
from ..data.batches import Encoded
from ..features import FeatureCache
from ..feeds import CellFeed, as_rgb
from ..models.colour_hypercolumn import FeatureHead, HypercolumnColours
from .filling import FillRow, filled

AT_ONCE = 64  # pictures made grey; bounds the memory that takes


def learner(model: nn.Module) -> nn.Module:
    """What of a model goes through the loop; its weights bear the names that they have in the model."""
    return FeatureHead(model.head) if isinstance(model, HypercolumnColours) else model


def on_features(
    palette: AnyPalette, train: Encoded, validation: Encoded, zooms: tuple[float, ...]
) -> tuple[CellFeed, CellFeed]:
    """Feeds of the trunk's features, to train on as enlarged by some zooms, and to measure on as they are used."""
    size, model = train.pictures.pixels.shape[2:], HypercolumnColours
    views = {zoom: (FeatureCache(model.trunk(zoom)), model.size_of_cells(size, zoom)) for zoom in {1.0, *zooms}}
    learnt = CellFeed(tuple(views[zoom] for zoom in sorted(set(zooms))), _grey(palette, train), train)
    return learnt, CellFeed((views[1.0],), _grey(palette, validation), validation)


def _grey(palette: AnyPalette, encoded: Encoded) -> UInt8[Tensor, "n 1 h w"]:
    """What the network sees of some pictures, without its being repeated for red, green and blue."""
    pixels = encoded.pictures.pixels
    grey = torch.empty_like(pixels[:, :1])
    for start in range(0, len(pixels), AT_ONCE):
        grey[start : start + AT_ONCE] = palette.grey_shown(pixels[start : start + AT_ONCE])[:, :1]
    return grey


def computed(
    feeds: tuple[CellFeed, CellFeed], flips: bool, stopping: Callable[[], bool], folder: Path
) -> Iterator[FillRow]:
    """Compute the features that are not there yet, of the training pictures' mirror images too if they are used.

    Raises:
        Interrupted: `stopping` said so; what was computed is kept.
    """
    train, validation = feeds
    wanted = [(train, False), (validation, False), *([(train, True)] if flips else [])]
    total, before = sum(len(feed) * len(feed.views) for feed, _ in wanted), 0
    for feed, mirrored in wanted:
        for start in range(0, len(feed), AT_ONCE):
            grey = feed.grey[start : start + AT_ONCE]
            shown = as_rgb(grey.flip(3) if mirrored else grey)
            for cache, _ in feed.views:
                yield from filled(cache, [(before, shown)], total, stopping, folder)
                before += len(grey)
