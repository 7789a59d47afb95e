"""Each rule on profiles written by hand: a limit crossed, and the same limit not crossed."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from fathometer.depth_profile import DepthProfile, Series
from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.limits import (
    BEARS,
    DEAD_HARMLESS,
    DEPTH_TELLS,
    DOUBTFUL,
    OPEN_TO,
    PLAIN_DEPTH,
    STRAIN,
    Limits,
    depth_share,
    is_undecided,
    settled,
    strain,
)
from fathometer.diagnosis.rules import MOST_FINDINGS, RULES, judge, times, verdict_of
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


def evidence(facts: dict[str, float] | None = None, **columns: Series) -> Evidence:
    """Return the evidence of a stream in which nothing changes, but for these columns."""
    facts = {"input_correlation": 0.5, "batch_size": 64.0, **(facts or {})}
    names = tuple(f"block {index}" for index in range(1, DEPTH + 1))
    return Evidence(DepthProfile("measured", names, {**FLAT, **columns}, facts=facts))


def _fading(strain: float) -> dict[str, Series]:
    """Return the column of a signal that fades so far that it amounts to this strain."""
    size = size_of("vanishing_signal", strain)
    return {"signal": line(size), "gradient": line(-size)}


def first(case: Evidence) -> tuple[str, str] | None:
    """Return cause and severity of the first finding."""
    findings = judge(case)
    return (findings[0].cause, findings[0].severity) if findings else None


def with_size(cause: str, size: float) -> Evidence:
    """Return the evidence of one graded trouble of this size (in the unit of `BEARS`), and nothing else wrong."""
    few, known = {"num_parameters": 100.0}, {"attention_entropy": (1.0,) * DEPTH}
    return {
        "initial_loss": lambda: evidence(facts={"squared_error": 10**size, "least_squared_error": 1.0}),
        "unused_parameters": lambda: evidence(facts={**few, "unused_parameters": 9.0, "blocks_cut_off": size}),
        "frozen_parameters": lambda: evidence(facts={**few, "frozen_parameters": 100 * size}),
        "exploding_signal": lambda: evidence(signal=line(-size), gradient=line(size)),
        "vanishing_signal": lambda: evidence(signal=line(size), gradient=line(-size)),
        "exploding_gradient": lambda: evidence(gradient=line(size)),
        "vanishing_gradient": lambda: evidence(gradient=line(-size)),
        "correlation_collapse": lambda: evidence(spread=tuple(0.5 * value / 10**size for value in line(size))),
        "token_rank_collapse": lambda: evidence(token_spread=line(size), **known),
        "rank_collapse": lambda: evidence(rank=tuple(1000 * value / 10**size for value in line(size))),
        "dead_units": lambda: evidence(dead=(DEAD_HARMLESS + (1 - DEAD_HARMLESS) * size,) * DEPTH, shared=(0.0,) * DEPTH),
        "saturation": lambda: evidence(saturated=(size,) * DEPTH, shared=(0.0,) * DEPTH),
        "attention_entropy_collapse": lambda: evidence(attention_entropy=(1 - size,) * DEPTH),
        "attention_logit_growth": lambda: evidence(attention_logits=(10**size,) * DEPTH),
        "post_norm_imbalance": lambda: _normalised(size),
    }[cause]()


def _normalised(size: float) -> Evidence:
    """Return the evidence of blocks that normalise their stream and renew so many blocks' worth of it."""
    depth, whole = 100, evidence()
    columns = {name: (column[0],) * depth for name, column in FLAT.items()}
    columns |= {"normalised": (1.0,) * depth, "shared": ((1 - size / depth) ** 0.5,) * depth}
    names = tuple(f"block {index}" for index in range(1, depth + 1))
    return Evidence(DepthProfile("measured", names, columns, facts=whole.profile.facts))


def size_of(cause: str, part: float) -> float:
    """Return the size of a trouble that uses up this part of what a network bears."""
    return BEARS[cause].alone * part ** (1 / BEARS[cause].shape)


GRADED = tuple(
    cause for cause in BEARS if cause not in ("saturation", "dead_units")
)  # these stand in plain blocks, as depth does


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
        (STRAIN.will_not_train - 0.02, "at risk"),
        (STRAIN.will_not_train + 0.02, "will not train"),
        (3.0, "will not train"),
    ],
)
def test_each_trouble_has_its_limits(cause: str, part: float, severity: str | None) -> None:
    """Just under a limit is silence or the milder word, just over it the finding, named by its own cause alone."""
    case = with_size(cause, size_of(cause, part))
    findings = [finding for finding in judge(case) if finding.severity != "note"]

    assert [(finding.cause, finding.severity) for finding in findings] == ([] if severity is None else [(cause, severity)])
    assert verdict_of(findings, case) == (severity or "healthy")


def together(*cases: Evidence) -> Evidence:
    """Return the evidence of all these troubles at once."""
    changed = [{key: value for key, value in case.profile.values.items() if FLAT.get(key) != value} for case in cases]
    return evidence(**{name: column for columns in changed for name, column in columns.items()})


def test_troubles_add_up() -> None:
    """Two that are borne each by itself are too much together, and both are named."""
    each = [with_size(cause, size_of(cause, 0.55)) for cause in ("exploding_gradient", "rank_collapse")]

    assert [judge(case) for case in each] == [[], []]
    findings = judge(together(*each))
    assert {finding.cause for finding in findings} == {"exploding_gradient", "rank_collapse"}
    assert {finding.severity for finding in findings} == {"will not train"}


def test_one_trouble_seen_twice_counts_once() -> None:
    """A gradient that fades where samples draw together weighs no more than the larger of the two."""
    both = together(with_size("vanishing_gradient", 6.0), with_size("correlation_collapse", 0.1))

    assert strain(both) == pytest.approx(BEARS["vanishing_gradient"].share(6.0))


def test_depth_without_a_stream_adds_to_other_troubles() -> None:
    """Plain blocks add to the strain where something else is wrong, in full from a limit on; blocks on a stream do not."""
    plain = evidence(shared=(0.0,) * DEPTH)
    some = evidence(shared=(0.0,) * DEPTH, **_fading(DEPTH_TELLS / 2))
    much = evidence(shared=(0.0,) * DEPTH, **_fading(2 * DEPTH_TELLS))
    endless = Evidence(DepthProfile("measured", tuple(map(str, range(1000))), {"shared": (0.0,) * 1000}))
    streamed = Evidence(DepthProfile("measured", tuple(map(str, range(1000))), {"shared": (1.0,) * 1000}))

    assert strain(evidence()) == strain(plain) == 0
    assert strain(some) == pytest.approx(DEPTH_TELLS / 2 + depth_share(some) / 2)
    assert strain(much) == pytest.approx(2 * DEPTH_TELLS + depth_share(much))
    assert 0 < depth_share(plain) < STRAIN.at_risk
    assert depth_share(endless) > 1000 / (2 * PLAIN_DEPTH.alone)
    assert depth_share(streamed) == 0


def test_an_ignored_cause_counts_for_nothing() -> None:
    """What is ignored is neither named nor makes others worse; that holds for the names of special cases too."""
    case = with_size("exploding_gradient", 2 * BEARS["exploding_gradient"].alone)
    batch_norms = evidence(gradient=line(40.0), shared=(0.0,) * DEPTH, batch_norm=(1.0,) * DEPTH)

    assert judge(case) != []
    assert judge(case, ("exploding_gradient",)) == []
    assert [finding.cause for finding in judge(batch_norms)] == ["batchnorm_explosion"]
    assert judge(batch_norms, ("batchnorm_explosion",)) == []


def test_steps_on_a_copy_clear_what_the_start_would_condemn() -> None:
    """Between the limits a network that learns is cleared; one that stands still is what its start says."""
    open_, clear, doomed = (
        with_size("vanishing_signal", size_of("vanishing_signal", part)) for part in (0.8, 0.9 * DOUBTFUL, 1.1 * OPEN_TO)
    )

    def verdicts(case: Evidence) -> list[str]:
        facts = [{"ahead_left": left} for left in (0.1, 1.02)]
        seen = [Evidence(replace(case.profile, facts={**case.profile.facts, **more})) for more in facts]
        return [verdict_of(judge(each), each) for each in (case, *seen)]

    assert [is_undecided(case) for case in (open_, clear, doomed)] == [True, False, False]
    assert verdicts(open_) == ["at risk", "healthy", "at risk"]
    assert verdicts(clear) == ["healthy"] * 3
    assert verdicts(doomed) == ["will not train"] * 3


def test_a_doubtful_start_that_stands_still_is_a_risk() -> None:
    """Under the limit a network that learns nothing in the steps is at risk; one that starts far off is left in peace."""
    case = with_size("vanishing_signal", size_of("vanishing_signal", (DOUBTFUL + STRAIN.at_risk) / 2))
    seen = [Evidence(replace(case.profile, facts={**case.profile.facts, "ahead_left": left})) for left in (0.5, 1.0, 4.0)]

    assert is_undecided(case)
    assert [verdict_of(judge(each), each) for each in seen] == ["healthy", "at risk", "healthy"]


def test_what_the_steps_cannot_clear() -> None:
    """A readout that shouts, or flat units, are no better for a batch that was learnt by heart."""
    case = with_size("initial_loss", size_of("initial_loss", 0.9))
    learnt = Evidence(replace(case.profile, facts={**case.profile.facts, "ahead_left": 0.1}))

    assert settled(learnt) == strain(case) > STRAIN.at_risk


def test_troubles_are_named_by_their_root() -> None:
    """BatchNorm in plain blocks, norms on the stream and branches that are too strong have names of their own."""
    grows, plain, normed = line(40.0), (0.0,) * DEPTH, (1.0,) * DEPTH
    stream = {"signal": line(-40.0), "gradient": grows, "branch_ratio": (1.5,) * DEPTH}

    assert first(evidence(gradient=grows, shared=plain)) == ("exploding_gradient", "will not train")
    assert first(evidence(gradient=grows, shared=plain, batch_norm=normed)) == ("batchnorm_explosion", "will not train")
    assert first(evidence(gradient=grows, normalised=normed)) == ("post_norm_imbalance", "will not train")
    assert first(evidence(gradient=grows, shared=plain, normalised=normed)) == ("exploding_gradient", "will not train")
    assert first(evidence(**stream)) == ("residual_branch_imbalance", "will not train")
    assert first(evidence(**{**stream, "branch_ratio": (0.1,) * DEPTH})) == ("exploding_signal", "will not train")


@pytest.mark.parametrize(("share", "expected"), [(0.7, None), (1.0, "will not train")])
def test_dead_units_are_nearly_all_units_of_a_block(share: float, expected: str | None) -> None:
    """Most ReLUs of a deep block may be off for all samples; all of them may not."""
    case = evidence(dead=(0.3,) * 4 + (share,) + (0.3,) * 5, shared=(0.0,) * DEPTH)

    assert first(case) == (None if expected is None else ("dead_units", expected))


def test_a_dead_branch_leaves_the_stream() -> None:
    """With a residual stream a dead block does not end training."""
    assert first(evidence(dead=(1.0,) * DEPTH)) in (None, ("dead_units", "at risk"))


def test_what_follows_from_dead_units_is_not_named_beside_them() -> None:
    """Behind a dead block everything vanishes: one finding is enough."""
    case = evidence(dead=(1.0,) * DEPTH, shared=(0.0,) * DEPTH, signal=(1.0,) + (0.0,) * 9, gradient=(0.0,) * 9 + (1.0,))

    assert [finding.cause for finding in judge(case)] == ["dead_units"]


def test_saturated_branches_leave_the_stream() -> None:
    """The same share of flat activations weighs less where a stream passes them by."""
    assert strain(evidence(saturated=(0.8,) * DEPTH)) < strain(evidence(saturated=(0.8,) * DEPTH, shared=(0.0,) * DEPTH))


def test_the_first_number_that_is_not_finite_is_all_that_is_said() -> None:
    """A broken forward pass has one finding, at its place; and a signal that has exploded on the way there is its reason."""
    broken = {"broken_at": "block 3", "broken_by": "exp in block 3"}
    (finding,) = judge(replace(evidence(dead=(1.0,) * DEPTH, gradient=(None,) * DEPTH), **broken))
    overflow = replace(evidence(signal=(1.0, 1e30, *(inf,) * 8), gradient=(None,) * DEPTH), **broken)

    assert (finding.cause, finding.severity, finding.points) == ("non_finite", "will not train", ("block 3",))
    assert "exp in block 3" in finding.sentence
    assert [each.cause for each in judge(overflow)] == ["non_finite", "exploding_signal"]


@pytest.mark.parametrize(("loss", "expected"), [(2.3, None), (4.0, None), (23.0, "note"), (1e9, "will not train")])
def test_a_large_first_loss_is_a_note_and_a_huge_one_is_not(loss: float, expected: str | None) -> None:
    """Optimizers unlearn a confident start, up to a point; a note leaves the verdict alone."""
    case = evidence(facts={"cross_entropy": loss, "chance_cross_entropy": 2.3})

    assert first(case) == (None if expected is None else ("initial_loss", expected))
    assert verdict_of(judge(case), case) == ("will not train" if loss > 1e8 else "healthy")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0.05, None), (0.2, "at risk"), (0.6, "will not train"), (2e-4, None), (5e-5, "at risk"), (1e-9, "will not train")],
)
def test_steps_fit_the_weights(size: float, expected: str | None) -> None:
    """A step is judged by its size over that of the weights, in both directions."""
    assert first(evidence(update=(size,) * DEPTH)) == (None if expected is None else ("update_size", expected))


def test_large_steps_that_learn_are_a_risk_at_most() -> None:
    """What sixteen own steps show weighs more than the size of the first; too small ones are not excused by it."""
    learns, fails = {"own_least": 0.5, "own_rise": 0.6}, {"own_least": 0.95, "own_rise": 1.0}

    assert first(evidence(update=(0.6,) * DEPTH, facts=learns)) == ("update_size", "at risk")
    assert first(evidence(update=(0.6,) * DEPTH, facts=fails)) == ("update_size", "will not train")
    assert first(evidence(update=(1e-9,) * DEPTH, facts=learns)) == ("update_size", "will not train")


@pytest.mark.parametrize(
    ("least", "rise", "expected"), [(0.5, 0.6, None), (0.5, 3.0, "at risk"), (1.0, inf, "will not train"), (1.0, 1.5, None)]
)
def test_a_loss_that_runs_away_is_too_sharp_for_the_step(least: float, rise: float, expected: str | None) -> None:
    """Steps of a usual size after which the loss has doubled are named by the curvature."""
    case = evidence(update=(0.03,) * DEPTH, facts={"own_least": least, "own_rise": rise})

    assert first(case) == (None if expected is None else ("curvature", expected))


def test_probabilities_before_a_cross_entropy_are_a_risk() -> None:
    """A softmax too many is named, and its absence is not; with many classes the loss stays closer to where it began."""
    assert first(evidence(facts={"outputs_are_probabilities": 1.0, "classes": 2.0})) == ("softmax_before_loss", "at risk")
    assert first(evidence(facts={"outputs_are_probabilities": 1.0, "classes": 9.0})) == ("softmax_before_loss", "will not train")
    assert first(evidence(facts={"outputs_are_probabilities": 0.0, "classes": 9.0})) is None


def test_blocks_cut_off_are_a_risk_and_a_spare_layer_is_a_note() -> None:
    """Whole blocks without a gradient weigh more than parameters that nobody uses; frozen ones are only told."""
    some = {"num_parameters": 100.0, "unused_parameters": 30.0, "frozen_parameters": 0.0}

    assert first(evidence(facts={**some, "blocks_cut_off": 5.0})) == ("unused_parameters", "at risk")
    assert first(evidence(facts={**some, "blocks_cut_off": 1.0})) == ("unused_parameters", "note")
    assert first(evidence(facts={**some, "blocks_cut_off": 0.0})) == ("unused_parameters", "note")
    assert first(evidence(facts={**some, "unused_parameters": 0.0, "frozen_parameters": 9.0})) == ("frozen_parameters", "note")
    assert first(evidence(facts={**some, "unused_parameters": 0.0})) is None


def test_at_most_three_findings_are_above_a_note() -> None:
    """What comes after the third is left out, and notes are kept."""
    case = evidence(
        facts={"cross_entropy": 30.0, "chance_cross_entropy": 2.3, "num_parameters": 9.0, "unused_parameters": 1.0},
        update=(0.7,) * DEPTH,
        saturated=(0.9,) * DEPTH,
        shared=(0.0,) * DEPTH,
        dead=(0.95,) * DEPTH,
        gradient=line(-20.0),
        spread=tuple(0.5 * value / 10**20 for value in line(20.0)),
    )
    findings = judge(case)

    assert len([finding for finding in findings if finding.severity != "note"]) == MOST_FINDINGS
    assert [finding.cause for finding in findings if finding.severity == "note"] == ["unused_parameters", "initial_loss"]


def test_the_worst_comes_first() -> None:
    """A cause that stops training is named before one that is a risk, whatever the order of the rules."""
    case = evidence(update=(0.7,) * DEPTH, facts={"outputs_are_probabilities": 1.0, "classes": 2.0})

    assert [finding.cause for finding in judge(case)] == ["update_size", "softmax_before_loss"]


def test_two_samples_tell_no_rank_and_still_give_a_verdict() -> None:
    """An unknown rank leaves the verdict as it is; BatchNorm over a few samples is unknown."""
    unknown, plain, normed = (None,) * DEPTH, (0.0,) * DEPTH, (1.0,) * DEPTH
    few = {"batch_size": 2.0}

    assert [verdict_of(judge(case), case) for case in (evidence(), evidence(rank=unknown))] == ["healthy", "healthy"]
    blind = evidence(facts=few, shared=plain, batch_norm=normed)
    assert verdict_of(judge(blind), blind) == "unknown"
    seen = evidence(facts={"batch_size": 64.0}, shared=plain, batch_norm=normed)
    assert verdict_of(judge(seen), seen) == "healthy"


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
    """Every rule is a cause, and so is every trouble that adds up."""
    assert set(RULES) <= set(CAUSES)
    assert set(BEARS) <= set(RULES)


def test_limits_count_in_both_directions() -> None:
    """Falling limits are crossed from above."""
    assert [Limits(1.0, 2.0).severity(number) for number in (0.9, 1.0, 2.0)] == [None, "at risk", "will not train"]
    assert [Limits(-1.0, -2.0).severity(number) for number in (-0.9, -1.0, -2.0)] == [None, "at risk", "will not train"]


def test_a_factor_is_said_as_a_person_would() -> None:
    """Small factors as numbers, large ones as powers of ten."""
    assert [times(0.5), times(6.1), times(inf)] == ["3.2 times", "10⁶ times", "infinitely many times"]


@pytest.mark.parametrize("left", [0.97, 1.03])
@pytest.mark.parametrize(
    ("cause", "columns"),
    [
        ("dead_units", lambda number: {"dead": (number,) * DEPTH}),
        ("rank_collapse", lambda number: {"rank": (1e9, *[number] * (DEPTH - 1))}),
        ("attention_entropy_collapse", lambda number: {"attention_entropy": (number,) * DEPTH}),
        ("attention_logit_growth", lambda number: {"attention_logits": (number,) * DEPTH}),
        ("vanishing_gradient", lambda number: {"gradient": line(number)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_limit_is_where_the_severity_begins(cause: str, columns: Callable[[float], dict[str, Series]], left: float) -> None:
    """A trouble that is alone, at the limit that its finding tells: a little beyond it has the severity, a little before not."""
    worst = {"dead_units": 1.0, "rank_collapse": 1.1, "attention_entropy_collapse": 0.02, "attention_logit_growth": 1e6}
    found = judge(evidence(**columns(worst.get(cause, -30.0))))[0]
    size = {"dead_units": found.limit - DEAD_HARMLESS, "attention_entropy_collapse": 1 - found.limit}.get(cause, found.limit)
    number = {
        "dead_units": DEAD_HARMLESS + size * left,
        "rank_collapse": 1e9 * (found.limit / 1e9) ** left,
        "attention_entropy_collapse": 1 - size * left,
        "attention_logit_growth": found.limit**left,
    }.get(cause, found.limit * left)
    again = judge(evidence(**columns(number)))

    assert found.cause == cause
    assert (bool(again) and again[0].severity == found.severity) == (left > 1)


def test_tokens_are_judged_by_what_they_lose_from_where_they_enter() -> None:
    """Tokens that become one in the first block have nothing left to lose after it: what is said is what was judged."""
    columns = {"token_spread": (1e-9,) * DEPTH, "attention_entropy": (0.9,) * DEPTH}
    found = judge(evidence({"entering_token_spread": 0.5}, **columns))

    assert [one.cause for one in found] == ["token_rank_collapse"]
    assert found[0].number == pytest.approx(-8.7, abs=0.01)
    assert "10⁹ times smaller" in found[0].sentence
    assert judge(evidence({"entering_token_spread": 1e-9}, **columns)) == []
