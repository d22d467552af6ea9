"""How well a model colours some pictures, with the baselines beside it.

The baselines: majority (always the commonest class), lookup (the table from grey level to classes), the grey picture
itself as the answer, and the palette ceiling (every pixel in its nearest colour: the best that painting can do).
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from ..classes.dials import Dials, decided
from ..classes.palette import AnyPalette
from ..config import Split
from ..counts import PixelCounts
from ..data.batches import batch_size, in_order
from ..data.pictures import Pictures
from ..errors import BadData, Diverged
from ..models.answer import logits_of
from ..models.lookup import GreyTable, Lookup
from ..picture_metrics import ciede2000, colourfulness, psnr, squared_error
from ..shapes import Pixels
from .watch import Watch, unwatched


@dataclass(frozen=True, kw_only=True)
class ColourEvaluation:
    """How well a model colours a split; accuracies are shares, losses nats a pixel, PSNR dB, all means over the split.

    `skill` is the share of the lookup's cross-entropy that the model saves: 0 if it learnt nothing beyond the grey
    value, 1 if it knows every class. `psnr` averages the pictures' PSNR; `psnr_pooled` is that of all pixels at once.
    """

    task: str
    model: str
    data: str
    split: Split
    pictures: int
    pixels: int
    cross_entropy: float
    accuracy: float
    accuracy_top5: float
    balanced_accuracy: float
    majority_cross_entropy: float
    majority_accuracy: float
    lookup_cross_entropy: float
    lookup_accuracy: float
    skill: float
    psnr: float
    psnr_grey: float
    psnr_ceiling: float
    psnr_pooled: float
    ciede2000: float
    ciede2000_grey: float
    ciede2000_ceiling: float
    colourfulness: float
    colourfulness_truth: float

    def to_mapping(self) -> dict[str, Any]:
        """The values by name, as JSON can hold them."""
        return asdict(self)


def evaluate_colour(
    model: nn.Module,
    palette: AnyPalette,
    table: GreyTable,
    pictures: Pictures,
    *,
    names: tuple[str, str, Split],
    watch: Watch = unwatched,
    dials: Dials | None = None,
) -> ColourEvaluation:
    """Evaluate a model that colours, with its baselines, in one pass over the pictures.

    Args:
        model: gives logits for a grey picture.
        palette: its classes.
        table: the counts of the training pictures, for the baselines.
        pictures: what to evaluate on.
        names: of the model, the data and the split.
        watch: shows progress over the batches.
        dials: how answers become colours; None: the usual way.

    Raises:
        BadData: there are no pictures.
        Diverged: the model's answers are not numbers.
    """
    if not len(pictures):
        raise BadData(f"the {names[2]} split of {names[1]} has no pictures to evaluate on")
    dials = dials or Dials()
    k, lookup = len(palette), Lookup(len(palette), table)
    own, from_table, majority = PixelCounts(k), PixelCounts(k), PixelCounts(k)
    likeness = _Likeness()
    size = batch_size(pictures)
    for some, seen in watch(in_order(pictures, palette, size), math.ceil(len(pictures) / size)):
        ids, logits = palette.encode(some.pixels), logits_of(model, seen)
        own.add(logits, ids)
        from_table.add(lookup(seen), ids)
        majority.add(table.shares.log().view(1, k, 1, 1).expand_as(logits), ids)
        answer = palette.paint(decided(logits, palette, table.shares, dials), some.pixels)
        ceiling = palette.decode(ids, some.pixels)
        likeness.add(some.pixels, grey=palette.grey_shown(some.pixels), answer=answer, ceiling=ceiling)
    return ColourEvaluation(
        task="colour",
        model=names[0],
        data=names[1],
        split=names[2],
        pictures=len(pictures),
        pixels=own.pixels,
        cross_entropy=own.cross_entropy,
        accuracy=own.accuracy,
        accuracy_top5=own.accuracy_top5,
        balanced_accuracy=own.balanced_accuracy,
        majority_cross_entropy=majority.cross_entropy,
        majority_accuracy=majority.accuracy,
        lookup_cross_entropy=from_table.cross_entropy,
        lookup_accuracy=from_table.accuracy,
        skill=skill(own.cross_entropy, from_table.cross_entropy),
        **likeness.means(),
    )


def skill(cross_entropy: float, lookup_cross_entropy: float) -> float:
    """Share of the lookup's cross-entropy that a model saves; 0 where the lookup leaves nothing to save."""
    return 1 - cross_entropy / lookup_cross_entropy if lookup_cross_entropy > 0 else 0.0


class _Likeness:
    """How like the truth the answer, the grey picture and the palette's ceiling look, gathered picture by picture."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._pictures = 0

    def add(self, truth: Pixels, *, grey: Pixels, answer: Pixels, ceiling: Pixels) -> None:
        for suffix, shown in (("", answer), ("_grey", grey), ("_ceiling", ceiling)):
            error = squared_error(shown, truth)
            self._gather(f"psnr{suffix}", psnr(error).sum().item())
            self._gather(f"ciede2000{suffix}", ciede2000(shown, truth).sum().item())
            self._gather(f"error{suffix}", error.sum().item())
        self._gather("colourfulness", colourfulness(answer).sum().item())
        self._gather("colourfulness_truth", colourfulness(truth).sum().item())
        self._pictures += len(truth)

    def _gather(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        means = {name: total / self._pictures for name, total in self._sums.items()}
        error = means.pop("error")
        del means["error_grey"], means["error_ceiling"]
        pooled = psnr(torch.tensor(error, dtype=torch.float64)).item()
        if not math.isfinite(pooled):
            raise Diverged("the painted pictures are not made of numbers")
        return {**means, "psnr_pooled": pooled}
