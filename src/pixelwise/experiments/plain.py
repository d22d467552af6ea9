"""How well does a plain convolutional network colour, beside a table from grey to colour?

The exercise's `cnn`: 25 epochs of Adam at 1e-3 in batches of 100 on CIFAR-10's horses, 24 RGB colours.
"""

from .experiment import Experiment
from .protocol import Protocol, Setting


def settings(protocol: Protocol) -> list[Setting]:
    """The network and the baseline that it must beat."""
    return [protocol.colour("lookup", "lookup"), protocol.colour("cnn", "cnn")]


EXPERIMENT = Experiment("plain", "a", "How well does the plain network colour, beside the lookup table?", settings)
