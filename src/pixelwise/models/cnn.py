"""The exercise's plain network: twice down, twice up, nothing beside the bottleneck.

For a 32 x 32 picture, with NF = num_filters and NC = num_colours:

    conv NF,  pool, BN, ReLU        32 -> 16
    conv 2NF, pool, BN, ReLU        16 -> 8
    conv 2NF,       BN, ReLU         8
    conv NF,  up,   BN, ReLU         8 -> 16
    conv NC,  up,   BN, ReLU        16 -> 32
    conv NC                         32
"""

from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Logits
from .conv import MyConv2d
from .sizes import cropped_to, padded_to_multiple

STEP = 4  # two halvings


class Cnn(nn.Module):
    """The plain network; NC logits for every pixel, at any picture size.

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
        self.up1 = up(2 * nf, nf, kernel)
        self.up2 = up(nf, nc, kernel)
        self.last = MyConv2d(nc, nc, kernel)

    @property
    def seeing(self) -> tuple[str, ...]:
        """The layers that see the picture, as the last of their channels."""
        return ("down1.0",)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Logits:
        """Logits of what the network sees."""
        y = padded_to_multiple(x, STEP)
        y = self.down2(self.down1(y))
        y = self.up2(self.up1(self.middle(y)))
        return cropped_to(self.last(y), x)


def down(channels: int, filters: int, kernel: int) -> nn.Sequential:
    """Convolve and halve the picture."""
    return nn.Sequential(MyConv2d(channels, filters, kernel), nn.MaxPool2d(2), nn.BatchNorm2d(filters), nn.ReLU())


def middle(channels: int, filters: int, kernel: int) -> nn.Sequential:
    """Convolve and keep the size."""
    return nn.Sequential(MyConv2d(channels, filters, kernel), nn.BatchNorm2d(filters), nn.ReLU())


def up(channels: int, filters: int, kernel: int) -> nn.Sequential:
    """Convolve and double the picture (nearest neighbour)."""
    upsample = nn.Upsample(scale_factor=2)
    return nn.Sequential(MyConv2d(channels, filters, kernel), upsample, nn.BatchNorm2d(filters), nn.ReLU())
