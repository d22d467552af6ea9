"""What every network that is fine-tuned to segment has in common: a trunk, one last layer, and an enlargement.

    logits = enlarge(last(features(seen)))

`last` is a 1x1 convolution, so that it may run before or after maps of several sizes are brought to one: convolution
over channels and bilinear enlargement over pixels are both linear and commute. Each map therefore meets its own columns
of the weights in its own size, and only k maps of logits are ever enlarged, never the features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Logits

# What the trunk hands to the last layer: one map, or several of falling size, finest first.
Features = tuple[Float[Tensor, "n _ _ _"], ...]


class Segmenter(nn.Module):
    """Base of the networks whose last layer can be trained on features that were computed once.

    A subclass sets `last`, `channels` and `preprocessing`, and gives `features`.
    """

    last: nn.Conv2d  # 1x1, from sum(channels) to k
    channels: tuple[int, ...]  # of each map of features, in order
    preprocessing: str  # what is done to pictures before the trunk, in words that change when it does

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """The last layer's input, for pictures in 0 to 1."""
        raise NotImplementedError

    def answer(self, features: Features, size: tuple[int, int] | torch.Size) -> Logits:
        """Logits of some size from features."""
        return enlarged(joined(self.last, features), size)

    def forward(self, seen: Float[Tensor, "n 3 h w"]) -> Logits:
        """Logits of pictures in 0 to 1, in the pictures' size."""
        return self.answer(self.features(seen), seen.shape[2:])


def joined(last: nn.Conv2d, features: Features) -> Logits:
    """A 1x1 convolution over maps that stand stacked, each applied in its own size; in the size of the first."""
    sizes = [feature.shape[1] for feature in features]
    weights: Sequence[Tensor] = torch.split(last.weight, sizes, dim=1)
    total = F.conv2d(features[-1], weights[-1], last.bias)
    for feature, weight in zip(features[-2::-1], weights[-2::-1], strict=True):
        own = F.conv2d(feature, weight)
        total = own + enlarged(total, own.shape[2:])
    return total


def enlarged(logits: Logits, size: tuple[int, int] | torch.Size) -> Float[Tensor, "n k _ _"]:
    """Bilinear, as torchvision's networks enlarge; as it is where the size is right already."""
    if logits.shape[2:] == tuple(size):
        return logits
    return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)


def last_layer(channels: int, k: int) -> nn.Conv2d:
    """A new last layer that starts without an opinion: every class equally likely at every pixel."""
    layer = nn.Conv2d(channels, k, 1)
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
