"""How fast weights move, step by step: the learning rate."""

import math

from .config import TrainSettings

WARM_SHARE = 0.2  # of a one-cycle schedule's steps, spent on the way up
WARM_START = 25  # the first rate is the highest divided by this
WARM_END = 10_000  # the last rate is the first divided by this


def learning_rate_at(step: int, steps: int, settings: TrainSettings) -> float:
    """The rate of a step, counted from 0.

    `one_cycle` rises from 1/25 of `learning_rate` to all of it over the first fifth of the steps, then falls to nearly
    nothing, both along half a cosine (Smith and Topin 2018).
    """
    highest = settings.learning_rate
    if settings.schedule == "constant":
        return highest
    lowest = highest / WARM_START
    peak = max(1.0, WARM_SHARE * steps) - 1
    if step <= peak:
        return _cosine(lowest, highest, step / peak if peak > 0 else 1.0)
    return _cosine(highest, lowest / WARM_END, (step - peak) / max(1.0, steps - 1 - peak))


def _cosine(start: float, end: float, way: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2
