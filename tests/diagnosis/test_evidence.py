"""The few ratios along depth that the rules read."""

from math import inf, log10

import pytest

from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.evidence import Evidence, has_stream, log10_ratio


def evidence(facts: dict[str, float] | None = None, **columns: tuple[float | None, ...]) -> Evidence:
    """Return the evidence of a profile written by hand."""
    count = len(next(iter(columns.values())))
    return Evidence(DepthProfile("measured", tuple(map(str, range(count))), columns, facts=facts or {}))


def test_decades_are_first_over_last() -> None:
    """A column that falls a thousandfold has three decades, one that grows has minus three."""
    assert evidence(signal=(1.0, 0.1, 1e-3)).decades("signal") == pytest.approx(3)
    assert evidence(signal=(1e-3, 0.1, 1.0)).decades("signal") == pytest.approx(-3)


def test_what_is_not_known_has_no_decades() -> None:
    """One number, or none, makes no ratio; gaps at the ends are passed over."""
    assert evidence(signal=(1.0, None)).decades("signal") is None
    assert evidence(signal=(1.0,)).decades("gradient") is None
    assert evidence(signal=(None, 10.0, 1.0, None)).decades("signal") == pytest.approx(1)


@pytest.mark.parametrize(("first", "last", "expected"), [(0.0, 1.0, -inf), (1.0, 0.0, inf), (0.0, 0.0, 0.0)])
def test_a_zero_is_infinitely_small_and_two_are_the_same(first: float, last: float, expected: float) -> None:
    """Ratios with zeros neither raise nor are silently finite."""
    assert log10_ratio(first, last) == expected


def test_a_ratio_does_not_underflow() -> None:
    """Numbers 500 decades apart have a ratio, though no float holds it."""
    assert log10_ratio(1e-250, 1e250) == pytest.approx(-500)


def test_a_gradient_that_mirrors_the_signal_pulls_alike_everywhere() -> None:
    """The relative gradient is flat where the stream doubles and the gradient halves, and not where it only halves."""
    mirrored = evidence(gradient=(16.0, 4.0, 1.0), signal=(1.0, 4.0, 16.0))
    alone = evidence(gradient=(16.0, 4.0, 1.0), signal=(1.0, 1.0, 1.0))

    assert mirrored.relative_gradient_decades == pytest.approx(0)
    assert alone.relative_gradient_decades == pytest.approx(log10(16))


def test_without_a_signal_the_gradient_stands_alone() -> None:
    """Where the signal is not known, or ends at zero, the relative gradient is the plain one."""
    assert evidence(gradient=(100.0, 1.0)).relative_gradient_decades == pytest.approx(2)
    assert evidence(gradient=(100.0, 1.0), signal=(1.0, 0.0)).relative_gradient_decades == pytest.approx(2)


def test_the_spread_is_held_against_the_input() -> None:
    """Inputs that are alike from the start are not the network's fault; without inputs the first block is the start."""
    assert evidence({"input_correlation": 0.9}, spread=(0.05, 0.01)).spread_decades == pytest.approx(-1)
    assert evidence(spread=(0.1, 0.01)).spread_decades == pytest.approx(-1)
    assert evidence({"input_correlation": 0.5}, spread=(None, None)).spread_decades is None


def test_plain_depth_counts_what_each_block_makes_new() -> None:
    """Blocks that keep nothing count one each, a stream next to nothing, and unknown ones like the others."""
    assert evidence(shared=(0.0, -0.1, 0.0, 0.0)).plain_depth == pytest.approx(4)
    assert evidence(shared=(1.0, 1.0, 1.0)).plain_depth == pytest.approx(0)
    assert evidence(shared=(None, 0.6, 0.8, None)).plain_depth == pytest.approx(4 * (0.64 + 0.36) / 2)
    assert evidence(signal=(1.0, 1.0, 1.0)).plain_depth == 3


def test_a_stream_is_seen_in_the_middle_block() -> None:
    """Half of the blocks decide: one projection does not hide a stream, one lucky block does not make one."""
    assert has_stream(evidence(shared=(0.9, 0.0, 0.9)).profile)
    assert not has_stream(evidence(shared=(0.0, 0.9, 0.1)).profile)
    assert not has_stream(evidence(signal=(1.0, 1.0)).profile)


def test_rank_decades_are_the_directions_lost() -> None:
    """From ten directions to one is one decade."""
    assert evidence(rank=(10.0, 3.0, 1.0)).rank_decades == pytest.approx(1)
    assert evidence(rank=(None, None)).rank_decades is None
