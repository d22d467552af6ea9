"""The plain network with skip connections: what went down meets what comes up (Ronneberger et al. 2015).

Each layer on the way up also sees the output of its twin on the way down, by torch.cat: the fourth convolution the
second's, the fifth the first's, and the last one the grey picture itself. So detail that pooling threw away comes back.
Each of the three can be left out, by the size of what it carries; without any it is the plain network.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Logits
from .cnn import STEP, down, middle, up
from .conv import MyConv2d
from .sizes import cropped_to, padded_to_multiple

SKIPS = ("quarter", "half", "whole")


class UNet(nn.Module):
    """The U-Net of the exercise; NC logits for every pixel, at any picture size.

    Args:
        kernel: side of the filters.
        num_filters: NF.
        num_colours: NC, the number of classes.
        num_in_channels: NIC, 1 for grey.
        skips: the connections there are: "quarter", "half" and "whole".
    """

    def __init__(
        self,
        kernel: int,
        num_filters: int,
        num_colours: int,
        num_in_channels: int = 1,
        skips: Sequence[str] = SKIPS,
    ) -> None:
        super().__init__()
        nf, nc = num_filters, num_colours
        self.skips = frozenset(skips)
        quarter, half, whole = (int(name in self.skips) for name in SKIPS)
        self.down1 = down(num_in_channels, nf, kernel)
        self.down2 = down(nf, 2 * nf, kernel)
        self.middle = middle(2 * nf, 2 * nf, kernel)
        self.up1 = up(2 * nf + quarter * 2 * nf, nf, kernel)
        self.up2 = up(nf + half * nf, nc, kernel)
        self.last = MyConv2d(nc + whole * num_in_channels, nc, kernel)

    @property
    def seeing(self) -> tuple[str, ...]:
        """The layers that see the picture, as the last of their channels."""
        return ("down1.0", "last") if "whole" in self.skips else ("down1.0",)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Logits:
        """Logits of what the network sees."""
        whole = padded_to_multiple(x, STEP)
        half = self.down1(whole)
        quarter = self.down2(half)
        y = self.middle(quarter)
        y = self.up1(self._beside(y, "quarter", quarter))
        y = self.up2(self._beside(y, "half", half))
        return cropped_to(self.last(self._beside(y, "whole", whole)), x)

    def _beside(
        self, y: Float[Tensor, "n _ hh ww"], name: str, twin: Float[Tensor, "n _ hh ww"]
    ) -> Float[Tensor, "n _ hh ww"]:
        """What comes up with what went down beside it, if there is that connection."""
        return torch.cat([y, twin], dim=1) if name in self.skips else y
