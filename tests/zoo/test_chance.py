"""Shares and pairs: against closed forms, not against another library."""

from math import comb, sqrt
from statistics import NormalDist

import pytest
from benchmarks.zoo.chance import mcnemar, share_text, wilson
from benchmarks.zoo.score import rate


@pytest.mark.parametrize(("right", "number"), [(0, 10), (1, 10), (7, 10), (10, 10), (95, 100), (380, 400)])
def test_wilsons_interval_holds_the_shares_that_would_not_be_rejected(right: int, number: int) -> None:
    """At both ends the score test's statistic is the normal law's at 97.5%: (p̂ - p)² = z² p (1 - p) / n."""
    z = NormalDist().inv_cdf(0.975)
    for end in wilson(right, number):
        distance, spread = (right / number - end) ** 2, z**2 * end * (1 - end) / number
        assert distance == pytest.approx(spread, abs=1e-12)  # float64


def test_an_interval_shrinks_like_one_over_the_root_of_the_number() -> None:
    """A hundred times as many networks give a tenth of the width."""
    wide, narrow = (wilson(number // 2, number) for number in (100, 10_000))

    assert (wide[1] - wide[0]) / (narrow[1] - narrow[0]) == pytest.approx(10, rel=0.03)  # z²/n of Wilson's own


def test_a_share_is_told_as_the_verdicts_are() -> None:
    """The words are those of the table of verdicts."""
    told = rate("x", [{"is": True}] * 9 + [{"is": False}], lambda row: row["is"])

    assert told == f"x: {share_text(9, 10)}"
    assert share_text(0, 0) == "none"


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (1, 0), (5, 0), (9, 2), (4, 4), (12, 3)])
def test_mcnemar_counts_the_coins_that_fall_as_far_apart(ours: int, theirs: int) -> None:
    """The exact p is twice the tail of a fair coin over the pairs that differ, at most 1; pairs that agree do not count."""
    number = ours + theirs
    tail = sum(comb(number, k) for k in range(min(ours, theirs) + 1)) / 2**number
    one = [True] * ours + [False] * theirs + [True, False]
    other = [False] * ours + [True] * theirs + [True, False]

    assert mcnemar(one, other) == (ours, theirs, pytest.approx(min(1.0, 2 * tail), rel=1e-9))  # float64


def test_mcnemar_nears_the_normal_law() -> None:
    """With many pairs the exact p is that of (b - c) / sqrt(b + c), within a tenth of itself."""
    from scipy.stats import norm

    ours, theirs = 260, 210
    one = [True] * ours + [False] * theirs
    p = mcnemar(one, [not each for each in one])[2]

    assert p == pytest.approx(2 * norm.sf((ours - theirs - 1) / sqrt(ours + theirs)), rel=0.1)
