"""A model's answers counted pixel by pixel, in batches that fit into memory."""

from torch import nn

from ..classes.class_set import ClassSet
from ..counts import PixelCounts
from ..data.batches import Encoded, Feed, PictureFeed
from ..models.answer import logits_of


def count_pixels(model: nn.Module, classes: ClassSet, encoded: Encoded) -> PixelCounts:
    """The counts of a model on pictures whose true classes are known."""
    return count_feed(model, PictureFeed(classes, encoded))


def count_feed(model: nn.Module, feed: Feed) -> PixelCounts:
    """The counts of a model on everything in a feed, of as many classes as the model gives logits."""
    counts: PixelCounts | None = None
    for given, ids in feed.in_order():
        logits = logits_of(model, *given)
        counts = counts or PixelCounts(logits.shape[1])
        counts.add(logits, ids)
    return counts or PixelCounts(1)
