"""How many labelled pictures does fine-tuning need, and does more than the last layer help?

The default network on Oxford 17 flowers: the last layer from 1, 2, 5, 10, 20, 50 and all labelled pictures; the head
and the whole network from few and from all, where each sees about as many pictures in all. From all it takes minutes,
so that there is one run.
"""

from collections.abc import Sequence

from .experiment import Experiment
from .protocol import Protocol, Setting

SEEN = 320  # pictures that a deep fine-tuning sees in all, with repetition
MOST_EPOCHS = 4  # of few pictures, since every epoch ends with a look at the validation pictures
DEEP_BATCH = 4


def settings(protocol: Protocol) -> list[Setting]:
    """The last layer by numbers of pictures, then more than the last layer."""
    last = [protocol.segment(label(("last",), n), {"labelled": n}) for n in reversed(protocol.labelled)]
    return [*last, *(deep(protocol, learn, n) for learn in ("head", "full") for n in protocol.deep)]


def deep(protocol: Protocol, learn: str, labelled: int) -> Setting:
    """More than the last layer, from so many labelled pictures."""
    count = labelled or len(protocol.flowers.train)
    training = {"batch_size": DEEP_BATCH, "epochs": max(1, min(MOST_EPOCHS, SEEN // count))}
    model = {"labelled": labelled, "learn": (learn,)}
    return protocol.segment(label((learn,), labelled), model, training, once=not labelled)


def label(learn: Sequence[str], labelled: int) -> str:
    """What a setting is called."""
    return f"{'+'.join(learn)}, {labelled or 'all'} labelled"


EXPERIMENT = Experiment("labelled", "c", "How many labelled pictures does fine-tuning need?", settings)
