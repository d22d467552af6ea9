"""Several runs of one thing: mean, spread, and a rule that says whether two things differ."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ttest_ind, ttest_rel

from pixelwise.report.spread import BETTER, UNCLEAR, UNTESTED, WORSE, difference, paired_difference, spread

VALUES = st.lists(st.floats(-10, 10).map(lambda value: round(value, 3)), min_size=2, max_size=6)


def test_one_run_has_no_spread_and_several_have_the_sample_deviation():
    assert spread([0.4106]) == "0.411"
    assert spread([1.0, 2.0, 3.0], 1) == "2.0 ± 1.0"  # n - 1 below: not 0.8
    assert spread([0.41, 0.43], 1, scale=100.0, sign="+") == "+42.0 ± 1.4"
    assert spread([1234.0, 1234.0], 0) == "1,234 ± 0"


@given(VALUES, VALUES)
def test_a_difference_is_clear_exactly_where_welchs_test_says_so(own, other):
    assume(min(np.var(own), np.var(other)) > 1e-7)  # scipy warns of others
    found = difference(own, other)
    interval = ttest_ind(own, other, equal_var=False).confidence_interval(0.95)
    assert found.mean - found.margin == pytest.approx(interval.low, abs=1e-9)
    assert found.mean + found.margin == pytest.approx(interval.high, abs=1e-9)
    assert (found.verdict == UNCLEAR) == (interval.low <= 0 <= interval.high)


def test_more_may_be_better_or_worse():
    high, low = [0.48, 0.49, 0.485], [0.41, 0.412, 0.409]
    assert difference(high, low).verdict == BETTER
    assert difference(low, high).verdict == WORSE
    assert difference(high, low, more_is_better=False).verdict == WORSE
    assert difference(low, high, more_is_better=False).verdict == BETTER


def test_far_apart_is_not_clear_where_the_runs_scatter():
    assert difference([0.2, 0.6, 0.4], [0.3, 0.5, 0.1]).verdict == UNCLEAR


def test_one_run_is_no_ground_for_a_verdict():
    found = difference([0.9], [0.1, 0.11])
    assert (found.verdict, found.margin, found.told(1, 100.0)) == (UNTESTED, None, "+79.5")


def test_runs_that_never_differ_count_as_numbers():
    assert difference([0.5, 0.5], [0.4, 0.4]).verdict == BETTER
    assert difference([0.4, 0.4], [0.4, 0.4]).verdict == UNCLEAR
    exact = difference([0.50, 0.52, 0.51], [0.62, 0.62])  # the lookup has no chance in it
    assert exact.verdict == WORSE
    assert exact.margin == pytest.approx(4.302653 * 0.01 / math.sqrt(3), rel=1e-6)  # Student's, two degrees of freedom


def test_a_difference_is_told_with_its_interval():
    assert difference([1.0, 1.2, 1.1], [0.5, 0.5]).told(2) == "+0.60 (+0.35 to +0.85)"


def test_runs_that_began_alike_are_compared_one_by_one():
    own, other = [1.0, 2.0, 3.1], [0.9, 1.9, 2.9]
    assert difference(own, other).verdict == UNCLEAR
    paired = paired_difference(own, other)
    interval = ttest_rel(own, other).confidence_interval(0.95)
    assert (paired.mean - paired.margin, paired.mean + paired.margin) == pytest.approx((interval.low, interval.high))
    assert paired.verdict == (UNCLEAR if interval.low <= 0 else BETTER)
    assert paired_difference([1.0], [0.5]).verdict == UNTESTED
