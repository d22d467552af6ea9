"""What a model that colours takes for what, and how it does picture by picture."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from ..classes.palette import AnyPalette
from ..data.batches import Encoded, batch_size, in_order
from ..data.pictures import Pictures
from ..models.answer import logits_of
from .pixels import count_pixels


class PictureScores(NamedTuple):
    """Of each picture the share of pixels answered rightly, and the mean loss in nats per pixel."""

    accuracy: Float64[Tensor, "n"]
    cross_entropy: Float64[Tensor, "n"]


def confusion(model: nn.Module, palette: AnyPalette, pictures: Pictures) -> Int64[Tensor, "k k"]:
    """Pixels by [true colour, answered colour], over all pictures.

    Raises:
        Diverged: the model's answers are not numbers.
    """
    if not len(pictures):
        return torch.zeros(len(palette), len(palette), dtype=torch.int64)
    return count_pixels(model, palette, Encoded.by(palette, pictures)).confusion


def by_picture(model: nn.Module, palette: AnyPalette, pictures: Pictures) -> PictureScores:
    """Accuracy and cross-entropy of each picture, in their order.

    Raises:
        Diverged: the model's answers are not numbers.
    """
    accuracy, losses = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, dtype=torch.float64)]
    for some, seen in in_order(pictures, palette, batch_size(pictures)):
        logits, truth = logits_of(model, seen), palette.encode(some.pixels).long()
        accuracy.append((logits.argmax(dim=1) == truth).double().mean(dim=(1, 2)))
        losses.append(F.cross_entropy(logits, truth, reduction="none").double().mean(dim=(1, 2)))
    return PictureScores(torch.cat(accuracy), torch.cat(losses))
