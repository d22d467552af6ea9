"""What if every grey picture x becomes a x + b before the network?

The `cnn` from the same weights, in the same order: shown x, 2x - 0.5, 10x + 10, and 10x + 10 with 10 around the picture
instead of 0. What should happen, and why, is worked out in `pixelwise.affine`.

Measured 2026-11-23 (n 3, 10 epochs, two cores of an Intel Xeon): training losses in the first epoch 2.494 on x, 2.487
on 2x - 0.5, 2.529 on 10x + 10, and 2.494 again once the padding is 10: BatchNorm takes a and b out, the border is what
stays. In the last epoch 1.706, 1.703, 1.721 and 1.706.
"""

from .experiment import Experiment
from .protocol import Protocol, Setting

TREATMENTS = {
    "x": {},
    "2x - 0.5": {"input_scale": 2.0, "input_shift": -0.5},
    "10x + 10": {"input_scale": 10.0, "input_shift": 10.0},
    "10x + 10, padded with 10": {"input_scale": 10.0, "input_shift": 10.0, "input_padding": 10.0},
}


def settings(protocol: Protocol) -> list[Setting]:
    """The treatments of the pictures; differences show early, so that a few epochs do.

    On x it is the exercise's own run, of which the first epochs count.
    """
    short = {"epochs": min(protocol.short_epochs, protocol.epochs)}
    return [
        protocol.colour(label, "cnn", treatment, short if treatment else {}) for label, treatment in TREATMENTS.items()
    ]


EXPERIMENT = Experiment("affine", "a", "What if every grey picture x becomes a x + b before the network?", settings)
