"""The questions by name: a new one is one more file here and one more line in the table."""

from ..errors import UnknownName
from . import affine, batches, deeplab, labelled, memory, palettes, plain, skips
from .experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (plain, affine, skips, palettes, batches, deeplab, labelled, memory)
}


def experiment(name: str) -> Experiment:
    """The question of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in EXPERIMENTS:
        raise UnknownName("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
