"""Cached features as something to train on: whole maps, or a sample of labelled pixels, both in the one loop.

A sample is enough: neighbouring pixels say nearly the same, and a last layer has a thousand numbers to learn. Eighty
thousand pixels of all pictures fit into memory as one batch, on which L-BFGS finds the minimum of a convex problem in
seconds, without a learning rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from .classes.labels import VOID
from .data.batches import Encoded, Given
from .data.pictures import Pictures
from .errors import BadData
from .features import FeatureCache
from .models.colour_hypercolumn import grey_of_cells
from .models.head import Head
from .models.segmenter import at_pixels, stacked
from .shapes import Pixels

SAMPLED = 80_000  # pixels of all pictures
MOST_OF_ONE = 4_000  # pixels of one picture
FEWEST_OF_ONE = 50
MEASURED_AT_ONCE = 8  # pictures
SURE = 2.0  # nats by which the likeliest class leads: seven times as likely as the next
SURE_SHARE = 1.5  # pixels of unlabelled pictures for one that is labelled


def _drawn(count: int, seed: int, epoch: int, flips: bool) -> tuple[torch.Generator, Tensor, Tensor]:
    """The order of an epoch's pictures and which of them are mirrored; and the generator, for what else is drawn."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(count, generator=generator)
    return generator, order, torch.rand(count, generator=generator) < (0.5 if flips else 0.0)


@dataclass(frozen=True, eq=False)
class MapFeed:
    """Whole maps of features, and the loss in the pictures' full resolution, or in that of the features.

    Args:
        cache: has, or computes, the features.
        encoded: pictures and their true classes.
        at_features: train in the resolution of the finest map, on the class of the pixel nearest to each cell's
            centre: several times less to compute and to keep for backward, and blind to what is smaller than a cell.
    """

    cache: FeatureCache
    encoded: Encoded
    at_features: bool = False

    def __len__(self) -> int:
        return len(self.encoded)

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return -(-len(self) // batch_size)

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, flips: bool = False, skip: int = 0
    ) -> Iterator[Given]:
        """One epoch's batches of ((features, size), true classes); a mirrored picture's features are cached too."""
        _, order, mirrored = _drawn(len(self), seed, epoch, flips)
        for start in range(skip * batch_size, len(self), batch_size):
            chosen = order[start : start + batch_size]
            (features, size), ids = self._given(chosen, mirrored[chosen])
            if self.at_features:
                size = features[0].shape[2:]
                ids = F.interpolate(ids.unsqueeze(1), size=tuple(size), mode="nearest-exact").squeeze(1)
            yield (features, tuple(size)), ids

    def in_order(self) -> Iterator[Given]:
        """Everything once."""
        for start in range(0, len(self), MEASURED_AT_ONCE):
            chosen = torch.arange(start, min(start + MEASURED_AT_ONCE, len(self)))
            yield self._given(chosen, torch.zeros(len(chosen), dtype=torch.bool))

    def _given(self, chosen: Tensor, mirror: Tensor) -> Given:
        pixels, ids = self.encoded.pictures.pixels[chosen], self.encoded.ids[chosen]
        pixels = torch.where(mirror.view(-1, 1, 1, 1), pixels.flip(3), pixels)
        ids = torch.where(mirror.view(-1, 1, 1), ids.flip(2), ids)
        size = (ids.shape[1], ids.shape[2])
        return (self.cache.read(pixels), size), ids


@dataclass(frozen=True, eq=False)
class CellFeed:
    """Whole maps of features of what a class set shows, and the grey and the class of one pixel of each of their cells.

    In training that pixel is drawn anew each time: so a cell learns the shares of all its pixels' classes, in the time
    that one pixel takes. Measured is the pixel in the middle. Where there are several views of the pictures, each batch
    is of one of them, drawn at random; the first is the one that is measured.

    Args:
        views: caches that have, or compute, the features, each with the rows and columns of its finest map.
        grey: of the pictures, as the network sees them.
        encoded: pictures and their true classes.
    """

    views: tuple[tuple[FeatureCache, tuple[int, int]], ...]
    grey: UInt8[Tensor, "n 1 h w"]
    encoded: Encoded

    def __len__(self) -> int:
        return len(self.encoded)

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return -(-len(self) // batch_size)

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, flips: bool = False, skip: int = 0
    ) -> Iterator[Given]:
        """One epoch's batches of ((features, grey of a pixel in each cell, mean grey of the cells), true classes)."""
        generator, order, mirrored = _drawn(len(self), seed, epoch, flips)
        chosen = torch.randint(len(self.views), (self.steps(batch_size),), generator=generator)
        for step, view in enumerate(chosen.tolist()):
            some = slice(step * batch_size, (step + 1) * batch_size)
            place = torch.rand(2, *self.views[view][1], generator=generator)  # also of what is skipped
            if step >= skip:
                yield self._given(order[some], mirrored[some], place, view)

    def in_order(self) -> Iterator[Given]:
        """Everything once."""
        middle = torch.full((2, *self.views[0][1]), 0.5)
        for start in range(0, len(self), MEASURED_AT_ONCE):
            chosen = torch.arange(start, min(start + MEASURED_AT_ONCE, len(self)))
            yield self._given(chosen, torch.zeros(len(chosen), dtype=torch.bool), middle)

    def _given(self, chosen: Tensor, mirror: Tensor, places: Float[Tensor, "2 _ _"], view: int = 0) -> Given:
        """Features, and grey and classes of the pixels at some places, 0 to 1, in each cell."""
        seen, ids, (cache, cells) = self.grey[chosen], self.encoded.ids[chosen], self.views[view]
        seen = torch.where(mirror.view(-1, 1, 1, 1), seen.flip(3), seen)
        grey = seen / 255
        ids = torch.where(mirror.view(-1, 1, 1), ids.flip(2), ids)
        rows, columns = (
            ((torch.arange(count).view(shape) + place) * (length / count)).long().clamp(max=length - 1)
            for count, shape, place, length in zip(cells, ((-1, 1), (1, -1)), places, ids.shape[1:], strict=True)
        )
        of_cells = grey_of_cells(grey, cells)[:, 0]
        return (cache.read(as_rgb(seen)), grey[:, 0, rows, columns], of_cells), ids[:, rows, columns]


def as_rgb(grey: UInt8[Tensor, "n 1 h w"]) -> Pixels:
    """Grey pictures as a network that expects colours is shown them."""
    return grey.expand(-1, 3, -1, -1).contiguous()


@dataclass(frozen=True, eq=False)
class SampleFeed:
    """A sample of labelled pixels, as one batch: what their features are, and their true classes.

    Args:
        features: of p pixels, as a map of one row.
        ids: their true classes.
        pictures: how many they come from.
    """

    features: Float[Tensor, "1 c 1 p"]
    ids: UInt8[Tensor, "1 1 p"]
    pictures: int

    def __len__(self) -> int:
        return self.pictures

    def steps(self, batch_size: int) -> int:
        """One: a sample is one batch, whatever the batch size."""
        del batch_size
        return 1

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, flips: bool = False, skip: int = 0
    ) -> Iterator[Given]:
        """The one batch; order means nothing to it."""
        del batch_size, seed, epoch, flips
        return iter(() if skip else (self._whole(),))

    def in_order(self) -> Iterator[Given]:
        """The one batch."""
        return iter((self._whole(),))

    def _whole(self) -> Given:
        return ((self.features,), (1, self.ids.shape[2])), self.ids

    @property
    def mean(self) -> Float[Tensor, "c"]:
        """Of each channel."""
        return self.features.mean(dim=(0, 2, 3))

    @property
    def deviation(self) -> Float[Tensor, "c"]:
        """Standard deviation of each channel."""
        return self.features.std(dim=(0, 2, 3), correction=0)


@dataclass(frozen=True, eq=False)
class SelfTaughtFeed:
    """A labelled sample, and from the second epoch on also what the last layer is sure of on unlabelled pictures.

    Self-training (Yarowsky 1995; Lee 2013): a few labelled pictures name the classes, many unlabelled ones show what
    else they look like. What it is sure of depends on its weights alone, so that a run goes on from any epoch.

    Args:
        sample: labelled pixels.
        rest: features of pixels of unlabelled pictures.
        head: the last layer that is being trained.
    """

    sample: SampleFeed
    rest: Float[Tensor, "1 c 1 _"]
    head: Head

    def __len__(self) -> int:
        return len(self.sample)

    def steps(self, batch_size: int) -> int:
        """One."""
        return self.sample.steps(batch_size)

    def shuffled(
        self, batch_size: int, *, seed: int, epoch: int, flips: bool = False, skip: int = 0
    ) -> Iterator[Given]:
        """The one batch of this epoch."""
        del batch_size, flips
        if skip:
            return
        features, ids = self.sample.features, self.sample.ids
        if epoch > 1:
            sure, answers = self._sure(most=round(SURE_SHARE * ids.shape[2]), seed=seed * 1_000_003 + epoch)
            features, ids = torch.cat([features, sure], dim=3), torch.cat([ids, answers], dim=2)
        yield ((features,), (1, ids.shape[2])), ids

    def in_order(self) -> Iterator[Given]:
        """The labelled sample."""
        return self.sample.in_order()

    def _sure(self, most: int, seed: int) -> tuple[Tensor, Tensor]:
        """Pixels whose likeliest class leads by SURE nats, at most so many, and these classes."""
        with torch.no_grad():
            logits = self.head((self.rest,), (1, self.rest.shape[3]))[0, :, 0]
        first, second = logits.topk(2, dim=0).values
        sure = (first - second > SURE).nonzero().squeeze(1)
        chosen = sure[torch.randperm(len(sure), generator=torch.Generator().manual_seed(seed))[:most]]
        return self.rest[..., chosen], logits.argmax(dim=0)[chosen].to(torch.uint8).view(1, 1, -1)


def sampled(
    cache: FeatureCache, encoded: Encoded, *, seed: int, flips: bool = False, most: int = SAMPLED
) -> SampleFeed:
    """Labelled pixels of all pictures, equally many of each picture, drawn without repetition.

    Args:
        cache: has, or computes, the features.
        encoded: pictures and their true classes.
        seed: of the draw; a picture's pixels depend on the seed and on its place alone.
        flips: draw from the mirrored pictures too.
        most: pixels in all, roughly.

    Raises:
        BadData: no pixel is labelled.
    """
    each = max(FEWEST_OF_ONE, min(MOST_OF_ONE, most // max(1, len(encoded))))
    found, classes, corners = [], [], cache.segmenter.align_corners
    for index in range(len(encoded)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        labelled = (encoded.ids[index] != VOID).flatten().nonzero().squeeze(1)
        chosen = labelled[torch.randperm(len(labelled), generator=generator)[:each]]
        if not len(chosen):
            continue
        pixels, ids = encoded.pictures.pixels[index : index + 1], encoded.ids[index]
        halves = list(chosen.chunk(2)) if flips and len(chosen) > 1 else [chosen]
        width = ids.shape[1]
        halves[1:] = [
            half // width * width + width - 1 - half % width for half in halves[1:]
        ]  # where the mirror has them
        for pixels_shown, ids_shown, some in zip((pixels, pixels.flip(3)), (ids, ids.flip(1)), halves, strict=False):
            whole = stacked(cache.read(pixels_shown), corners)
            features = at_pixels(whole, ids_shown.shape, some, corners)
            found.append(features)
            classes.append(ids_shown.flatten()[some])
    if not found:
        raise BadData(f"no pixel of {len(encoded)} pictures is labelled; label some, or look at `pixelwise data check`")
    return SampleFeed(torch.cat(found, dim=3), torch.cat(classes).view(1, 1, -1), len(encoded))


def encoded_pictures(pictures: Pictures, void_is_background: bool = False) -> Encoded:
    """Labelled pictures with their classes; void may count as class 0, as the classic exercise has it.

    Raises:
        BadData: the pictures are not labelled.
    """
    if pictures.ids is None:
        raise BadData("these pictures have no masks; segmentation needs the true class of every pixel")
    ids = torch.where(pictures.ids == VOID, 0, pictures.ids) if void_is_background else pictures.ids
    return Encoded(pictures, ids)
