"""The plain network with skip connections: what went down meets what comes up (Ronneberger et al. 2015).

Each layer on the way up also sees the output of its twin on the way down, by torch.cat: the fourth convolution the
second's, the fifth the first's, and the last one the grey picture itself. So detail that pooling threw away comes back.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Logits
from .cnn import STEP, down, middle, up
from .conv import MyConv2d
from .sizes import cropped_to, padded_to_multiple


class UNet(nn.Module):
    """The U-Net of the exercise; NC logits for every pixel, at any picture size.

    Args:
        kernel: side of the filters.
        num_filters: NF.
        num_colours: NC, the number of classes.
        num_in_channels: NIC, 1 for grey.
    """

    def __init__(self, kernel: int, num_filters: int, num_colours: int, num_in_channels: int = 1) -> None:
        super().__init__()
        nf, nc = num_filters, num_colours
        self.down1 = down(num_in_channels, nf, kernel)
        self.down2 = down(nf, 2 * nf, kernel)
        self.middle = middle(2 * nf, 2 * nf, kernel)
        self.up1 = up(2 * nf + 2 * nf, nf, kernel)
        self.up2 = up(nf + nf, nc, kernel)
        self.last = MyConv2d(nc + num_in_channels, nc, kernel)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Logits:
        """Logits of what the network sees."""
        whole = padded_to_multiple(x, STEP)
        half = self.down1(whole)
        quarter = self.down2(half)
        y = self.middle(quarter)
        y = self.up1(torch.cat([y, quarter], dim=1))
        y = self.up2(torch.cat([y, half], dim=1))
        return cropped_to(self.last(torch.cat([y, whole], dim=1)), x)
