"""A full-resolution U-Net that starts as the lookup table and learns only what the table cannot know.

    logits = log p(class | grey level) + U-Net(grey)

The last layer starts at zero, so that training starts at the lookup's cross-entropy and each nat below it was learnt
from the neighbourhood. The table keeps its 766 exact levels, which convolutions would blur.

Two things against learning few pictures by heart, both measured in docs/log.md: whole channels are dropped at random
while training (Tompson et al. 2015), and the trained network answers with the mean over the picture and its mirror
image, which doubles the cost of an answer.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Grey, Logits
from .conv import MyConv2d
from .lookup import GreyTable, Lookup
from .sizes import cropped_to, padded_to_multiple

STEP = 4  # two halvings
DROPPED = 0.2  # share of the bottom's channels; half as many at half resolution


class ResidualUNet(nn.Module):
    """The lookup's log-probabilities plus what a U-Net makes of the neighbourhood; any picture size.

    Args:
        kernel: side of the filters.
        num_filters: NF at full resolution; 2NF at half and 4NF at a quarter.
        num_colours: NC, the number of classes.
        table: counts of the training pictures, for the lookup.
    """

    def __init__(self, kernel: int, num_filters: int, num_colours: int, table: GreyTable | None = None) -> None:
        super().__init__()
        nf = num_filters
        self.lookup = Lookup(num_colours, table)
        self.down_full = two_convolutions(1, nf, kernel)
        self.down_half = two_convolutions(nf, 2 * nf, kernel)
        self.bottom = two_convolutions(2 * nf, 4 * nf, kernel)
        self.up_half = two_convolutions(4 * nf + 2 * nf, 2 * nf, kernel)
        self.up_full = two_convolutions(2 * nf + nf, nf, kernel)
        self.drop_half = nn.Dropout2d(DROPPED / 2)
        self.drop_bottom = nn.Dropout2d(DROPPED)
        self.last = MyConv2d(nf, num_colours, 1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, grey: Grey) -> Logits:
        """Logits of grey pictures; when not training, averaged over each picture and its mirror image."""
        x = padded_to_multiple((grey - 0.5) * 4, STEP)
        learnt = self.learnt(x)
        if not self.training:
            learnt = (learnt + self.learnt(x.flip(3)).flip(3)) / 2
        log_prior: Logits = self.lookup(grey)
        return log_prior + cropped_to(learnt, grey)

    def learnt(self, x: Float[Tensor, "n 1 h w"]) -> Logits:
        """What the neighbourhood adds to the lookup's logits; h and w divide by 4."""
        whole = self.down_full(x)
        half = self.drop_half(self.down_half(F.max_pool2d(whole, 2)))
        y = self.drop_bottom(self.bottom(F.max_pool2d(half, 2)))
        y = self.up_half(torch.cat([doubled(y), half], dim=1))
        y = self.up_full(torch.cat([doubled(y), whole], dim=1))
        logits: Logits = self.last(y)
        return logits


def two_convolutions(channels: int, filters: int, kernel: int) -> nn.Sequential:
    """Twice convolution, BatchNorm, ReLU; the size is kept."""
    layers: list[nn.Module] = []
    for entering in (channels, filters):
        layers += [MyConv2d(entering, filters, kernel), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def doubled(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
    """The picture at twice its size, each pixel repeated."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
