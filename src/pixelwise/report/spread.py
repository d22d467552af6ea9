"""Several runs of one thing: their mean and spread, and whether two things differ, by a rule and not by eye.

Two settings differ clearly if Welch's interval of the difference of their means (Welch 1947), at 95 %, leaves out 0.
With three seeds that asks for much; where it holds nothing, nothing is claimed.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t as student

LEVEL = 0.95
BETTER, WORSE, UNCLEAR, UNTESTED = "better", "worse", "no clear difference", "one run says nothing"


def spread(values: Sequence[float], digits: int = 3, scale: float = 1.0, sign: str = "") -> str:
    """Mean, and ± the sample standard deviation where there are several values.

    Args:
        values: one for each run, one at least.
        digits: behind the point.
        scale: by which they are multiplied, such as 100 for per cent.
        sign: "+" shows it also where it is positive.
    """
    scaled = [scale * value for value in values]
    mean = f"{statistics.mean(scaled):{sign},.{digits}f}"
    return mean if len(scaled) < 2 else f"{mean} ± {statistics.stdev(scaled):.{digits}f}"


def signed(value: float, digits: int) -> str:
    """A number with its sign, and a minus as wide as the plus."""
    return f"{value:+,.{digits}f}".replace("-", "−")


@dataclass(frozen=True)
class Difference:
    """Between two settings: the first one's mean less the other's, its interval, and what that says.

    Args:
        mean: of the first, less the mean of the other.
        margin: half the width of the interval; None where a setting has one run only.
        more_is_better: of what is measured.
    """

    mean: float
    margin: float | None
    more_is_better: bool

    @property
    def verdict(self) -> str:
        """Better, worse, no clear difference, or that one run says nothing."""
        if self.margin is None:
            return UNTESTED
        if abs(self.mean) <= self.margin:
            return UNCLEAR
        return BETTER if (self.mean > 0) == self.more_is_better else WORSE

    def told(self, digits: int = 3, scale: float = 1.0) -> str:
        """The difference with its interval, such as +0.076 (0.069 to 0.083)."""
        mean = signed(scale * self.mean, digits)
        if self.margin is None:
            return mean
        low, high = (signed(scale * (self.mean + side * self.margin), digits) for side in (-1, 1))
        return f"{mean} ({low} to {high})"


def paired_difference(own: Sequence[float], other: Sequence[float], more_is_better: bool = True) -> Difference:
    """The same for runs that go in pairs, which began alike and had pictures in the same order: Student's interval.

    Args:
        own: one value for each run of the first setting.
        other: one for each of the other, in the same order.
        more_is_better: of what is measured.
    """
    apart = [a - b for a, b in zip(own, other, strict=True)]
    if len(apart) < 2:
        return Difference(statistics.mean(apart), None, more_is_better)
    wide = float(student.ppf((1 + LEVEL) / 2, len(apart) - 1))
    margin = wide * statistics.stdev(apart) / math.sqrt(len(apart))
    return Difference(statistics.mean(apart), margin, more_is_better)


def difference(own: Sequence[float], other: Sequence[float], more_is_better: bool = True) -> Difference:
    """What distinguishes two settings' runs, which need not be as many, nor as scattered.

    Args:
        own: one value for each run of the first setting, one at least.
        other: the same of the other.
        more_is_better: of what is measured.
    """
    mean = statistics.mean(own) - statistics.mean(other)
    if len(own) < 2 or len(other) < 2:
        return Difference(mean, None, more_is_better)
    parts = [statistics.variance(values) / len(values) for values in (own, other)]
    total = sum(parts)
    if total == 0:  # no run differs from another of its setting
        return Difference(mean, 0.0, more_is_better)
    freedom = total**2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (own, other), strict=True))
    return Difference(mean, float(student.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(total), more_is_better)
