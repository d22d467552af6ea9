"""Sentences that judge, written by rules from the numbers, so that a study that comes out otherwise says otherwise."""

from ..report.spread import BETTER, UNCLEAR, UNTESTED, WORSE, spread
from .results import Outcome, Value

VERBS = {
    BETTER: "is better than",
    WORSE: "is worse than",
    UNCLEAR: "is not clearly different from",
    UNTESTED: "was run too few times to be told from",
}


def judged(
    own: Outcome,
    other: Outcome,
    value: str | Value,
    measure: str,
    *,
    more_is_better: bool = True,
    digits: int = 3,
    scale: float = 1.0,
    unit: str = "",
    paired: bool = False,
) -> str:
    """A sentence: whether a setting is better than another in one measure, and by how much.

    Args:
        own: the setting.
        other: what it is compared with.
        value: of a run.
        measure: what that is called.
        more_is_better: of it.
        digits: behind the point.
        scale: by which values are multiplied.
        unit: behind the numbers, with the space before it if there is to be one.
        paired: whether runs of one seed began alike.
    """
    if not own.runs or not other.runs:
        gone = own.label if not own.runs else other.label
        return f"{measure.capitalize()}: not answered, since the runs of `{gone}` are missing."
    found = own.against(other, value, more_is_better, paired)
    numbers = [f"{spread(side.values(value), digits, scale)}{unit} ({counted(side)})" for side in (own, other)]
    apart = unit.replace("%", "points")
    told = f"difference {found.told(digits, scale)}{apart}" if found.margin is not None else "no interval"
    return f"In {measure} `{own.label}` {VERBS[found.verdict]} `{other.label}`: {' against '.join(numbers)}, {told}."


def judged_share(own: Outcome, other: Outcome, value: str | Value, measure: str) -> str:
    """The same for a share, in per cent."""
    return judged(own, other, value, measure, digits=1, scale=100.0, unit=" %")


def judged_loss(own: Outcome, other: Outcome, value: str | Value, measure: str) -> str:
    """The same for a loss, in nats."""
    return judged(own, other, value, measure, more_is_better=False, unit=" nats")


def counted(outcome: Outcome) -> str:
    """How many runs there are, such as n 3; of how many, if some are missing."""
    n = len(outcome.runs)
    return f"n {n}" if n == outcome.wanted else f"n {n} of {outcome.wanted}"


def mean_of(outcome: Outcome, value: str | Value, digits: int = 3, scale: float = 1.0, unit: str = "") -> str:
    """Mean ± standard deviation with unit and n, or that the runs are missing."""
    if not outcome.runs:
        return "missing"
    return f"{spread(outcome.values(value), digits, scale)}{unit} ({counted(outcome)})"
