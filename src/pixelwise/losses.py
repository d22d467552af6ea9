"""What training makes small: pure functions of logits and true classes, in which void pixels count for nothing."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from .classes.labels import VOID
from .errors import BadSetting
from .shapes import Logits

Loss = Literal["cross_entropy", "dice", "soft_iou", "cross_entropy_dice"]
SMOOTH = 1.0  # pixel; keeps the overlap of a class that is nowhere from being 0 / 0


def loss_of(
    kind: Loss, logits: Logits, truth: Int64[Tensor, "n h w"], class_weights: Sequence[float] = ()
) -> Float[Tensor, ""]:
    """A loss by its name; 0 where every pixel is void.

    `cross_entropy` is the mean over labelled pixels of -log p(true class), in nats, each pixel weighted by its class.
    `dice` and `soft_iou` are 1 minus the overlap, `cross_entropy_dice` is the sum of both (Isensee et al. 2021).

    Raises:
        BadSetting: there are not as many class weights as classes.
    """
    if class_weights and len(class_weights) != logits.shape[1]:
        raise BadSetting(f"{len(class_weights)} class_weights for {logits.shape[1]} classes; give one for each")
    if kind == "cross_entropy":
        return cross_entropy(logits, truth, class_weights)
    if kind == "cross_entropy_dice":
        return cross_entropy(logits, truth, class_weights) + 1 - overlap(logits, truth, class_weights, dice=True)
    return 1 - overlap(logits, truth, class_weights, dice=kind == "dice")


def cross_entropy(
    logits: Logits, truth: Int64[Tensor, "n h w"], class_weights: Sequence[float] = ()
) -> Float[Tensor, ""]:
    """Mean of -log p(true class) over labelled pixels, each weighted by its class, in nats."""
    weights = logits.new_tensor(class_weights) if class_weights else None
    total = F.cross_entropy(logits, truth, weight=weights, ignore_index=VOID, reduction="sum")
    labelled = truth[truth != VOID]
    counted = logits.new_tensor(float(labelled.numel())) if weights is None else weights[labelled].sum()
    return total / counted.clamp_min(torch.finfo(total.dtype).tiny)


def overlap(
    logits: Logits, truth: Int64[Tensor, "n h w"], class_weights: Sequence[float] = (), *, dice: bool
) -> Float[Tensor, ""]:
    """Soft Dice or soft IoU of the batch, as mean over the classes that occur in it, weighted by class.

    With p the probability of a class and t its truth (0 or 1), summed over labelled pixels: Dice is
    2 sum(p t) / (sum(p) + sum(t)) (Milletari et al. 2016), IoU sum(p t) / sum(p + t - p t) (Rahman and Wang 2016).
    """
    k = logits.shape[1]
    labelled = (truth != VOID).unsqueeze(1)
    p = logits.softmax(dim=1) * labelled
    t = F.one_hot(torch.where(truth == VOID, 0, truth), k).permute(0, 3, 1, 2) * labelled
    both, ours, theirs = (x.sum(dim=(0, 2, 3)) for x in (p * t, p, t.to(p.dtype)))
    share = (
        (2 * both + SMOOTH) / (ours + theirs + SMOOTH) if dice else (both + SMOOTH) / (ours + theirs - both + SMOOTH)
    )
    weights = (theirs > 0).to(p.dtype) * (logits.new_tensor(class_weights) if class_weights else 1.0)
    return (share * weights).sum() / weights.sum() if bool(weights.sum() > 0) else both.sum() * 0 + 1
