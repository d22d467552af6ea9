"""Do skip connections help, and which of them carries what?

The exercise's `unet` against its `cnn`, which is the same network without the three connections; each connection left
out alone; and a `cnn` widened to the U-Net's number of weights, since the connections bring weights along.

Measured 2026-11-23 (n 3, two cores of an Intel Xeon): accuracy 48.6 ± 0.6 % against 41.0 ± 0.1 %. It is not the
weights: the widened `cnn` has 41.2 ± 0.4 %. It is one connection, the one at half size: without it 41.6 ± 0.1 %,
without the one at a quarter 48.8 ± 0.5 %, without the picture itself 48.4 ± 0.6 %. The gain is at edges, 9.0 points
there and none six pixels away from them.
"""

import torch
from torch import nn

from ..models.cnn import Cnn
from ..models.unet import SKIPS, UNet
from .experiment import Experiment
from .protocol import COLOURS, Protocol, Setting

KERNEL, NUM_FILTERS = 3, 32  # the exercise's


def settings(protocol: Protocol) -> list[Setting]:
    """The networks."""
    without = {f"unet without {skip}": {"skips": tuple(other for other in SKIPS if other != skip)} for skip in SKIPS}
    return [
        protocol.colour("cnn", "cnn"),
        protocol.colour("unet", "unet"),
        protocol.colour("cnn, widened", "cnn", {"num_filters": widened()}),
        *(protocol.colour(label, "unet", sizes) for label, sizes in without.items()),
    ]


def widened() -> int:
    """The NF at which `cnn` has as many weights as the exercise's `unet`, as nearly as it can."""
    with torch.device("meta"):
        asked = _weights(UNet(KERNEL, NUM_FILTERS, COLOURS))
        return min(range(1, 100), key=lambda nf: abs(_weights(Cnn(KERNEL, nf, COLOURS)) - asked))


def _weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


EXPERIMENT = Experiment("skips", "b", "Do skip connections help, and which of them carries what?", settings)
