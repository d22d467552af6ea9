"""How well does a plain convolutional network colour, beside a table from grey to colour?

The exercise's `cnn`: 25 epochs of Adam at 1e-3 in batches of 100 on CIFAR-10's horses, 24 RGB colours.

Measured 2026-11-23 (n 3, two cores of an Intel Xeon): accuracy 41.0 ± 0.1 %, cross-entropy 1.597 ± 0.007 nats, against
62.1 % and 0.913 of the table. Worse than no network at all, and by PSNR 4.0 dB farther from the truth than grey.
"""

from .experiment import Experiment
from .protocol import Protocol, Setting


def settings(protocol: Protocol) -> list[Setting]:
    """The network and the baseline that it must beat."""
    return [protocol.colour("lookup", "lookup"), protocol.colour("cnn", "cnn")]


EXPERIMENT = Experiment("plain", "a", "How well does the plain network colour, beside the lookup table?", settings)
