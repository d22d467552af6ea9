"""The last layer alone, on features that were computed once: all that is trained when everything before it is frozen.

It learns on standardized features, where steps in all directions are alike. Standardization is affine and so is the
layer; when it has learnt, the one is folded into the other, and the network has a plain 1x1 convolution again.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Logits
from .segmenter import Features, Segmenter, Size, answer, last_layer

SMALLEST = 1e-4  # deviation; a channel that never changes says nothing and is not blown up


class Head(nn.Module):
    """A new last layer for a segmenter's features, behind a standardization of its own.

    Args:
        segmenter: the network whose features it will see.
        k: classes.
        mean: of each channel; None: features are taken as they come.
        deviation: standard deviation of each channel.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        segmenter: Segmenter,
        k: int,
        mean: Float[Tensor, "c"] | None = None,
        deviation: Float[Tensor, "c"] | None = None,
    ) -> None:
        super().__init__()
        channels = sum(segmenter.channels)
        self.align_corners = segmenter.align_corners
        self.last = last_layer(channels, k)
        self.register_buffer("shift", torch.zeros(channels) if mean is None else mean)
        self.register_buffer("scale", torch.ones(channels) if deviation is None else 1 / deviation.clamp_min(SMALLEST))

    def forward(self, features: Features, size: Size) -> Logits:
        """Logits of some size from features as they come."""
        return answer(*self._folded(), features, size, self.align_corners)

    def finished(self) -> nn.Conv2d:
        """The last layer for a network that does not standardize."""
        layer = nn.Conv2d(self.last.in_channels, self.last.out_channels, 1)
        weight, bias = self._folded()
        layer.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
        return layer

    def _folded(self) -> tuple[Tensor, Tensor]:
        """W (x - shift) scale + b = (w scale) x + (b - w scale shift); gradients pass."""
        weight = self.last.weight * self.scale.view(1, -1, 1, 1)
        bias = torch.zeros_like(self.last.weight[:, 0, 0, 0]) if self.last.bias is None else self.last.bias
        return weight, bias - weight.flatten(1) @ self.shift
