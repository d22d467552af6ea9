"""What do the last layer and the whole network cost in memory and compute, and what does doubling the picture do?

Predicted as formulas before anything runs (`pixelwise.fine_tuning`), and measured: bytes that backward keeps, the
highest memory of a step, seconds. Costs do not depend on values, so no pretrained weights are needed.

Measured 2026-11-23 (n 1, two cores of an Intel Xeon, 4 pictures of 224 x 224): of deeplabv3_resnet101 the last layer
keeps 6.1 MiB and the whole 1,411.5 MiB, as foretold to the byte; a step takes 3.4 against 10.5 s.
"""

from .experiment import Experiment
from .protocol import Protocol, Setting

SIDE, BATCH = 224, 4  # the exercise's pictures, few enough of them for a laptop
NETWORKS = {  # what is trained of each
    "deeplabv3_resnet101": ("last", "full"),
    "deeplabv3_resnet50": ("last", "head", "full"),
    "hypercolumn_efficientnet_lite0": ("last", "head", "full"),
}
QUICK_NETWORKS = {"hypercolumn_efficientnet_lite0": ("last", "full")}
DOUBLED = "hypercolumn_efficientnet_lite0"  # small enough to be doubled on a laptop
HALF_SIDE = 128  # pixels; it sees one and a half times as many, in multiples of 32, which this doubles evenly


def settings(protocol: Protocol) -> list[Setting]:
    """Steps of the networks, and one network's in pictures of a size and of twice its width and height."""
    networks, side = (QUICK_NETWORKS, SIDE // 2) if protocol.quick else (NETWORKS, SIDE)
    return [
        *(
            protocol.cost(f"{network}, {trains}", network, (trains,), side, BATCH)
            for network, modes in networks.items()
            for trains in modes
        ),
        *(
            protocol.cost(doubled_label(trains, side), DOUBLED, (trains,), side, BATCH)
            for trains in ("last", "full")
            for side in (HALF_SIDE, 2 * HALF_SIDE)
        ),
    ]


def doubled_label(trains: str, side: int) -> str:
    """What a step in pictures of some size is called."""
    return f"{DOUBLED}, {trains}, {side} × {side}"


EXPERIMENT = Experiment("memory", "c", "What do the last layer and the whole network cost?", settings)
