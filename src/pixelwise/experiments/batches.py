"""What does the batch size do: at the same number of epochs, and at the same number of updates?

The exercise's `unet`. An epoch of small batches has more updates, so that a fixed number of epochs favours them; the
second half gives every batch size as many updates as `short_epochs` of 100 pictures have.

Measured 2026-11-23 (n 3, two cores of an Intel Xeon): in 25 epochs 53.1 ± 0.3 % with 10 pictures a step, 51.4 ± 0.4 %
with 50, 48.6 ± 0.6 % with 100 and 46.4 ± 0.3 % with 200; in 450 updates it is the other way round: 39.2 ± 0.4, 42.3 ±
0.7, 43.6 ± 1.3 and 44.7 ± 0.7 %. Small batches win by more updates, not by being small.
"""

from .experiment import Experiment
from .protocol import Protocol, Setting

BASE = 100  # pictures a step, the exercise's


def settings(protocol: Protocol) -> list[Setting]:
    """Both halves; the exercise's batch size is in the first one of each."""
    return [*fixed_epochs(protocol), *fixed_updates(protocol)]


def fixed_epochs(protocol: Protocol) -> list[Setting]:
    """Every batch size for the exercise's number of epochs."""
    return [
        protocol.colour(f"batch {batch}, {protocol.epochs} epochs", "unet", {}, {"batch_size": batch})
        for batch in protocol.batches
    ]


def fixed_updates(protocol: Protocol) -> list[Setting]:
    """Every batch size for about as many updates."""
    epochs = {batch: max(1, round(protocol.short_epochs * batch / BASE)) for batch in protocol.batches}
    return [
        protocol.colour(
            f"batch {batch}, {updates(protocol, batch, count)} updates",
            "unet",
            {},
            {"batch_size": batch, "epochs": count},
        )
        for batch, count in epochs.items()
    ]


def updates(protocol: Protocol, batch: int, epochs: int) -> int:
    """Steps of that many epochs."""
    return epochs * -(-len(protocol.pictures.train) // batch)


EXPERIMENT = Experiment("batches", "b", "What does the batch size do?", settings)
