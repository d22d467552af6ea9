"""The baseline that every network must beat: a table from a pixel's grey level to the probabilities of its classes.

Its cross-entropy on the training pictures is H(class | grey), the floor for every model that looks at one pixel at a
time; each nat below it is knowledge that a network drew from the neighbourhood.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from ..grey import GREY_LEVELS, grey_levels
from ..shapes import Grey, GreyLevels, Logits

PRIOR_PIXELS = (
    0.1  # weight, in pixels, of the overall class shares at each level; on validation 0.01 to 1 differ by 1e-4
)

# Grey pictures (n, 1, h, w) and their true classes (n, h, w); n, h and w may differ from batch to batch.
GreyBatch = tuple[Float[Tensor, "_ 1 _ _"], UInt8[Tensor, "_ _ _"]]


class GreyTable:
    """How often each class stood at each grey level: integer counts of shape (766, k).

    Args:
        counts: the counts.
    """

    def __init__(self, counts: Int64[Tensor, "levels k"]) -> None:
        self.counts = counts

    @classmethod
    def fitted(cls, k: int, batches: Iterable[GreyBatch]) -> "GreyTable":
        """Count which of k classes stood at each grey level, over batches of grey pictures and their true classes."""
        counts = torch.zeros(GREY_LEVELS * k, dtype=torch.int64)
        for grey, ids in batches:
            cells = grey_levels(grey) * k + ids
            counts += torch.bincount(cells.flatten(), minlength=GREY_LEVELS * k)
        return cls(counts.view(GREY_LEVELS, k))

    @property
    def shares(self) -> Float[Tensor, "k"]:
        """The share of each class over all levels; those never seen keep a trace, so that no logarithm is infinite."""
        total = self.counts.sum(dim=0).double() + PRIOR_PIXELS
        return (total / total.sum()).float()

    def log_probabilities(self) -> Float[Tensor, "levels k"]:
        """Log-probability of each class at each level (a Dirichlet posterior mean around the overall shares).

        A level that was never seen takes the counts of the nearest level that was, the darker of two as near.
        """
        seen = self.counts.sum(dim=1) > 0
        levels = torch.arange(len(self.counts))
        there = levels[seen] if bool(seen.any()) else levels
        nearest = there[(levels.unsqueeze(1) - there).abs().argmin(dim=1)]
        counts = self.counts[nearest].double()
        smoothed = counts + PRIOR_PIXELS * self.shares.double()
        return (smoothed / smoothed.sum(dim=1, keepdim=True)).log().float()


class Lookup(nn.Module):
    """The table as a model: no weights to train, log-probabilities for logits.

    Args:
        num_colours: k, the number of classes.
        table: the counts; without them all classes are equally likely until weights are loaded.
    """

    log_prior: Tensor  # (766, k)

    def __init__(self, num_colours: int, table: GreyTable | None = None) -> None:
        super().__init__()
        equal = torch.full((GREY_LEVELS, num_colours), -math.log(num_colours))
        self.register_buffer("log_prior", table.log_probabilities() if table else equal)

    def forward(self, grey: Grey) -> Logits:
        """The log-probabilities of every pixel's grey level."""
        return self.at(grey_levels(grey))

    def at(self, levels: GreyLevels) -> Logits:
        """The log-probabilities of some levels."""
        return F.embedding(levels, self.log_prior).permute(0, 3, 1, 2)
