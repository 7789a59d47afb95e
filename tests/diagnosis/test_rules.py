"""Each rule on profiles written by hand: a limit crossed, and the same limit not crossed."""

from math import inf, log10

import pytest

from fathometer.depth_profile import DepthProfile, Series
from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.limits import BEARS, PLAIN_DEPTH_MOST, STRAIN, Limits, depth_share, strain
from fathometer.diagnosis.rules import MOST_FINDINGS, RULES, enough_is_known, judge, times, verdict_of
from fathometer.finding import CAUSES

DEPTH = 10
FLAT: dict[str, Series] = {
    "signal": (1.0,) * DEPTH,
    "gradient": (1.0,) * DEPTH,
    "spread": (0.5,) * DEPTH,
    "rank": (9.0,) * DEPTH,
    "shared": (1.0,) * DEPTH,
}


def line(first_over_last: float) -> Series:
    """Return a column that falls or grows evenly, by so many decades over all blocks, and ends at 1."""
    return tuple(10 ** (first_over_last * (1 - index / (DEPTH - 1))) for index in range(DEPTH))


def evidence(broken_at: str | None = None, facts: dict[str, float] | None = None, **columns: Series) -> Evidence:
    """Return the evidence of a stream in which nothing changes, but for these columns."""
    facts = {"input_correlation": 0.5, **(facts or {})}
    names = tuple(f"block {index}" for index in range(1, DEPTH + 1))
    return Evidence(DepthProfile("measured", names, {**FLAT, **columns}, facts=facts), broken_at=broken_at)


def first(case: Evidence) -> tuple[str, str] | None:
    """Return cause and severity of the first finding."""
    findings = judge(case)
    return (findings[0].cause, findings[0].severity) if findings else None


def column_of(cause: str, decades: float) -> dict[str, Series]:
    """Return the columns of one graded trouble of so many decades, and nothing else wrong."""
    return {
        "exploding_signal": {"signal": line(-decades), "gradient": line(decades)},
        "vanishing_signal": {"signal": line(decades), "gradient": line(-decades)},
        "exploding_gradient": {"gradient": line(decades)},
        "vanishing_gradient": {"gradient": line(-decades)},
        "correlation_collapse": {"spread": tuple(0.5 * value / 10**decades for value in line(decades))},
        "rank_collapse": {"rank": tuple(1000 * value / 10**decades for value in line(decades))},
    }[cause]


GRADED = tuple(cause for cause in BEARS if cause != "saturation")


def test_nothing_is_wrong_in_a_flat_profile() -> None:
    """No finding and "healthy", where signal, gradient, spread and rank stay as they are."""
    assert judge(evidence()) == []
    assert verdict_of([], evidence()) == "healthy"


@pytest.mark.parametrize("cause", GRADED)
@pytest.mark.parametrize(
    ("part", "severity"),
    [
        (STRAIN.at_risk - 0.02, None),
        (STRAIN.at_risk + 0.02, "at risk"),
        (0.98, "at risk"),
        (1.02, "will not train"),
        (3.0, "will not train"),
    ],
)
def test_each_trouble_has_its_limits(cause: str, part: float, severity: str | None) -> None:
    """Just under a limit is silence or the milder word, just over it the finding, named by its own cause alone."""
    case = evidence(**column_of(cause, part * BEARS[cause]))
    findings = judge(case)

    assert [(finding.cause, finding.severity) for finding in findings] == ([] if severity is None else [(cause, severity)])
    assert verdict_of(findings, case) == (severity or "healthy")


@pytest.mark.parametrize("cause", GRADED)
def test_the_number_is_what_the_sentence_means_and_the_limit_is_where_it_begins(cause: str) -> None:
    """Number and limit agree in sign, and at the limit itself the same severity has just begun."""
    (finding,) = judge(evidence(**column_of(cause, 1.5 * BEARS[cause])))
    at_limit = log10(1000 / finding.limit) if cause == "rank_collapse" else abs(finding.limit)
    again = evidence(**column_of(cause, at_limit))

    assert finding.number * finding.limit > 0
    assert strain(again) == pytest.approx(STRAIN.will_not_train)


def test_troubles_add_up() -> None:
    """Two that are borne each by itself are too much together, and both are named."""
    gradient, rank = column_of("exploding_gradient", 0.4 * BEARS["exploding_gradient"]), column_of("rank_collapse", 1.0)

    assert judge(evidence(**gradient)) == []
    assert judge(evidence(**rank)) == []
    assert [finding.cause for finding in judge(evidence(**gradient, **rank))] == ["exploding_gradient", "rank_collapse"]


def test_one_trouble_seen_twice_counts_once() -> None:
    """A gradient that fades where samples draw together weighs no more than the larger of the two."""
    both = evidence(**column_of("vanishing_gradient", 6.0), **column_of("correlation_collapse", 5.0))

    assert strain(both) == pytest.approx(6 / BEARS["vanishing_gradient"])


def test_depth_without_a_stream_lowers_the_limits_but_never_stops_training_alone() -> None:
    """Plain blocks add to the strain in proportion, up to a bound under the first limit."""
    plain = evidence(shared=(0.0,) * DEPTH)
    endless = Evidence(DepthProfile("measured", tuple(map(str, range(1000))), {"shared": (0.0,) * 1000}))

    assert strain(evidence()) == 0
    assert strain(plain) == pytest.approx(depth_share(plain))
    assert 0 < depth_share(plain) < PLAIN_DEPTH_MOST
    assert depth_share(endless) == PLAIN_DEPTH_MOST < STRAIN.at_risk


def test_an_ignored_cause_counts_for_nothing() -> None:
    """What is ignored is neither named nor makes others worse."""
    case = evidence(**column_of("exploding_gradient", 20.0), **column_of("rank_collapse", 1.0))

    assert judge(case, ("exploding_gradient",)) == []


@pytest.mark.parametrize(("share", "expected"), [(0.85, None), (0.95, "at risk"), (1.0, "will not train")])
def test_dead_units_are_nearly_all_units_of_a_block(share: float, expected: str | None) -> None:
    """Most ReLUs of a deep block may be off for all samples; all of them may not."""
    case = evidence(dead=(0.3,) * 4 + (share,) + (0.3,) * 5, shared=(0.0,) * DEPTH)

    assert first(case) == (None if expected is None else ("dead_units", expected))


def test_a_dead_branch_leaves_the_stream() -> None:
    """With a residual stream a dead block is a risk and not the end."""
    assert first(evidence(dead=(1.0,) * DEPTH)) == ("dead_units", "at risk")


def test_what_follows_from_dead_units_is_not_named_beside_them() -> None:
    """Behind a dead block everything vanishes: one finding is enough."""
    case = evidence(dead=(1.0,) * DEPTH, shared=(0.0,) * DEPTH, signal=(1.0,) + (0.0,) * 9, gradient=(0.0,) * 9 + (1.0,))

    assert [finding.cause for finding in judge(case)] == ["dead_units"]


def test_saturation_needs_company_to_stop_training() -> None:
    """Flat activations are a risk; with a growing gradient they are the first of two causes."""
    flat, plain = (0.8,) * DEPTH, (0.0,) * DEPTH

    assert first(evidence(saturated=(0.3,) * DEPTH, shared=plain)) is None
    assert first(evidence(saturated=flat, shared=plain)) == ("saturation", "at risk")
    assert first(evidence(saturated=flat, shared=plain, gradient=line(3.0))) == ("saturation", "will not train")


def test_saturated_branches_leave_the_stream() -> None:
    """The same share of flat activations is borne where a stream passes them by."""
    assert first(evidence(saturated=(0.8,) * DEPTH)) is None


def test_the_first_number_that_is_not_finite_is_all_that_is_said() -> None:
    """A broken forward pass has one finding, at its place."""
    (finding,) = judge(evidence("block 3", signal=(1.0,) * 2 + (inf,) * 8, gradient=(None,) * DEPTH))

    assert (finding.cause, finding.severity, finding.points) == ("non_finite", "will not train", ("block 3",))


@pytest.mark.parametrize(
    ("loss", "expected"), [(2.3, None), (4.0, None), (60.0, "note"), (290.0, "note"), (310.0, "at risk"), (1e9, "at risk")]
)
def test_a_large_first_loss_is_a_note_and_a_huge_one_a_risk(loss: float, expected: str | None) -> None:
    """Optimizers unlearn a confident start; a note leaves the verdict alone."""
    case = evidence(facts={"cross_entropy": loss, "chance_cross_entropy": 2.3})

    assert first(case) == (None if expected is None else ("initial_loss", expected))
    assert verdict_of(judge(case), case) == ("at risk" if expected == "at risk" else "healthy")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0.05, None), (0.2, "at risk"), (0.6, "will not train"), (1e-5, None), (1e-7, "at risk"), (1e-9, "will not train")],
)
def test_steps_fit_the_weights(size: float, expected: str | None) -> None:
    """A step is judged by its size over that of the weights, in both directions."""
    assert first(evidence(update=(size,) * DEPTH)) == (None if expected is None else ("update_size", expected))


def test_at_most_three_findings_are_above_a_note() -> None:
    """What comes after the third is left out, and notes are kept."""
    case = evidence(
        facts={"cross_entropy": 60.0, "chance_cross_entropy": 2.3},
        update=(0.7,) * DEPTH,
        saturated=(0.9,) * DEPTH,
        shared=(0.0,) * DEPTH,
        dead=(0.95,) * DEPTH,
        **column_of("vanishing_gradient", 20.0),
        **column_of("correlation_collapse", 20.0),
    )
    findings = judge(case)

    assert len([finding for finding in findings if finding.severity != "note"]) == MOST_FINDINGS
    assert [finding.cause for finding in findings if finding.severity == "note"] == ["initial_loss"]


def test_the_worst_comes_first() -> None:
    """A cause that stops training is named before one that is a risk, whatever the order of the rules."""
    case = evidence(dead=(0.95,) * DEPTH, update=(0.7,) * DEPTH)

    assert [finding.cause for finding in judge(case)] == ["update_size", "dead_units"]


def test_without_a_rank_a_clear_case_is_decided_and_a_close_one_is_unknown() -> None:
    """Two samples do not tell directions: "healthy" is said only where the rank could not change it."""
    unknown: Series = (None,) * DEPTH
    clear, close = evidence(rank=unknown), evidence(rank=unknown, **column_of("exploding_gradient", 3.0))
    bad = evidence(rank=unknown, **column_of("exploding_gradient", 12.0))

    assert [verdict_of(judge(case), case) for case in (clear, close, bad)] == ["healthy", "unknown", "will not train"]
    assert enough_is_known(evidence(**column_of("exploding_gradient", 3.0)))


def test_without_a_gradient_nothing_is_called_healthy() -> None:
    """What was not measured is unknown."""
    case = evidence(gradient=(None,) * DEPTH)

    assert verdict_of(judge(case), case) == "unknown"


def test_exact_zeros_are_judged_and_stay_finite() -> None:
    """A gradient of zero at the first block is the worst there is, and every sum stays a number."""
    case = evidence(gradient=(0.0,) * 5 + (1.0,) * 5)
    (finding,) = judge(case)

    assert (finding.cause, finding.severity) == ("vanishing_gradient", "will not train")
    assert strain(case) < inf
    assert "infinitely" in finding.sentence


def test_rules_and_causes_have_the_same_names() -> None:
    """Every rule's name is a cause, and its finding carries that name."""
    assert set(RULES) <= set(CAUSES)
    assert set(BEARS) <= set(RULES)


def test_limits_count_in_both_directions() -> None:
    """Falling limits are crossed from above."""
    assert [Limits(1.0, 2.0).severity(number) for number in (0.9, 1.0, 2.0)] == [None, "at risk", "will not train"]
    assert [Limits(-1.0, -2.0).severity(number) for number in (-0.9, -1.0, -2.0)] == [None, "at risk", "will not train"]


def test_a_factor_is_said_as_a_person_would() -> None:
    """Small factors as numbers, large ones as powers of ten."""
    assert [times(0.5), times(6.1), times(inf)] == ["3.2 times", "10⁶ times", "infinitely many times"]
