"""How sure is a share, and is one way better than another? Two tests."""

from collections.abc import Sequence

from scipy.stats import binomtest


def wilson(right: int, number: int) -> tuple[float, float]:
    """Return Wilson's interval of 95% for a share (Wilson 1927)."""
    interval = binomtest(right, number).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def share_text(right: int, number: int, digits: int = 1) -> str:
    """Return a share with its interval, as a table shows it, in percent with so many digits."""
    if not number:
        return "none"
    low, high = wilson(right, number)
    return f"{right} of {number} = {right / number:.{digits}%} ({low:.{digits}%} to {high:.{digits}%})"


def mcnemar(one: Sequence[bool], other: Sequence[bool]) -> tuple[int, int, float]:
    """Return how often only the first was right, how often only the other, and the exact two-sided p (McNemar 1947).

    The pairs in which both did the same say nothing; if the two ways were equally good, the rest would fall either way.
    """
    only_one = sum(a and not b for a, b in zip(one, other, strict=True))
    only_other = sum(b and not a for a, b in zip(one, other, strict=True))
    if only_one + only_other == 0:
        return 0, 0, 1.0
    return only_one, only_other, float(binomtest(only_one, only_one + only_other, 0.5).pvalue)
