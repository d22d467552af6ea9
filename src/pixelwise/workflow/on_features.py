"""A colour network on a frozen trunk: only its head goes through the loop, on features that were computed once."""

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn

from ..classes.palette import AnyPalette
from ..data.batches import Encoded
from ..features import FeatureCache
from ..feeds import CellFeed
from ..models.colour_hypercolumn import FeatureHead, HypercolumnColours
from ..shapes import Pixels
from .filling import FillRow, filled

AT_ONCE = 64  # pictures made grey; bounds the memory that takes


def learner(model: nn.Module) -> nn.Module:
    """What of a model goes through the loop; its weights bear the names that they have in the model."""
    return FeatureHead(model.head) if isinstance(model, HypercolumnColours) else model


def on_features(
    model: HypercolumnColours, palette: AnyPalette, train: Encoded, validation: Encoded
) -> tuple[CellFeed, CellFeed]:
    """Feeds of the trunk's features, to train and to measure on."""
    cache = FeatureCache(model.trunk)
    cells = model.size_of_cells(train.pictures.pixels.shape[2:])
    return CellFeed(cache, palette, train, cells), CellFeed(cache, palette, validation, cells)


def computed(
    feeds: tuple[CellFeed, CellFeed], flips: bool, stopping: Callable[[], bool], folder: Path
) -> Iterator[FillRow]:
    """Compute the features that are not there yet, of the training pictures' mirror images too if they are used.

    Raises:
        Interrupted: `stopping` said so; what was computed is kept.
    """
    train, validation = feeds
    wanted = [(train, False), (validation, False), *([(train, True)] if flips else [])]

    def parts() -> Iterator[tuple[int, Pixels]]:
        before = 0
        for feed, mirrored in wanted:
            for start in range(0, len(feed), AT_ONCE):
                pixels = feed.encoded.pictures.pixels[start : start + AT_ONCE]
                shown = feed.classes.grey_shown(pixels.flip(3) if mirrored else pixels)
                yield before, shown.contiguous()
                before += len(pixels)

    return filled(train.cache, parts(), sum(len(feed) for feed, _ in wanted), stopping, folder)
