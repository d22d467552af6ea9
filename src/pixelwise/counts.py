"""Counts first, ratios last: integers are added over all pixels and divided once. What is absent is NaN, not 0 or 1.

Void pixels (id 255) count for nothing.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float64, Int64
from torch import Tensor

from .classes.labels import VOID
from .shapes import ClassIds, Logits

TOP = 5


class PixelCounts:
    """What is known of some predictions: the confusion of truth and answer, top-5 hits and the summed log-loss.

    Args:
        k: the number of classes, 1 to 255.
    """

    def __init__(self, k: int) -> None:
        self.confusion: Int64[Tensor, "k k"] = torch.zeros(k, k, dtype=torch.int64)  # [truth, answer]
        self.top_hits = 0
        self.loss_sum = 0.0  # nats

    def add(self, logits: Logits, ids: ClassIds) -> None:
        """Count the pixels of a batch; of equal logits the lowest class is the answer, as in argmax."""
        k = len(self.confusion)
        truth = ids.long()
        losses = F.cross_entropy(logits.float(), truth, ignore_index=VOID, reduction="none")
        self.loss_sum += losses.sum(dtype=torch.float64).item()
        cells = truth * k + logits.argmax(dim=1)  # void's lie behind the table's, since k <= 255
        self.confusion += torch.bincount(cells.flatten().cpu(), minlength=k * k)[: k * k].view(k, k)
        own = logits.gather(1, truth.clamp(max=k - 1).unsqueeze(1))  # void has no logit; it is left out below
        earlier = torch.arange(k, device=logits.device).view(1, k, 1, 1) < truth.unsqueeze(1)
        ahead = (logits > own) | ((logits == own) & earlier)
        self.top_hits += int(((ahead.sum(dim=1) < TOP) & (truth != VOID)).sum())

    @property
    def pixels(self) -> int:
        """Pixels counted so far."""
        return int(self.confusion.sum())

    @property
    def cross_entropy(self) -> float:
        """Mean of -log p(true class), in nats a pixel."""
        return self.loss_sum / self.pixels if self.pixels else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of pixels whose likeliest class is the true one."""
        return self._share(int(self.confusion.diagonal().sum()))

    @property
    def accuracy_top5(self) -> float:
        """Share of pixels whose true class is among the five likeliest."""
        return self._share(self.top_hits)

    @property
    def recalls(self) -> Float64[Tensor, "k"]:
        """For each class the share of its pixels that were found; NaN where it has none."""
        return self.confusion.diagonal().double() / self.confusion.sum(dim=1)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that occur."""
        return self.recalls.nanmean().item()

    @property
    def iou(self) -> Float64[Tensor, "k"]:
        """Intersection over union of truth and answer, for each class over all pixels; NaN where it is in neither."""
        hits = self.confusion.diagonal()
        return hits.double() / (self.confusion.sum(dim=0) + self.confusion.sum(dim=1) - hits)

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur in truth or answer."""
        return self.iou.nanmean().item()

    def _share(self, hits: int) -> float:
        return hits / self.pixels if self.pixels else float("nan")
