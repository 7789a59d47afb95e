"""Is this run going wrong? Pure functions from a run's trail to alerts."""

from collections.abc import Callable
from math import isfinite

import numpy as np

from fathometer.diagnosis.limits import UPDATE_LARGE
from fathometer.diagnosis.watch_alerts import Alert
from fathometer.diagnosis.watch_trail import PAST, Trail, first_movers

# Where the limits come from: `python -m benchmarks watch_faults`, on the runs that it calls "develop".
LOGITS, LOGITS_GROWN = 20.0, 3.0  # root mean square around the mean, and how many times the largest `BACK` readings ago
LOGITS_ON, LOGITS_SURE = 0.7, 100.0  # pace of the last half of these over that of the first; what is told whatever the pace
ENTROPY, ENTROPY_LOST = 0.15, 0.4  # of the sharpest head in the middle block, and how much it has lost
UPDATE_GROWN, UPDATE_FROM = 2.0, 0.03  # times the middle of the last `RECENT` readings, and from which size on that is told
LAYER_GROWN, LAYER_FROM, IN_A_ROW = 2.5, 0.03, 3  # the same for one layer against its own past, in so many readings
RECENT = 12
DEAD, DEAD_GROWN = 0.6, 0.3  # share of the units of a block, and how much of it was alive at first
SIGNAL_GROWN, BACK = 30.0, 10  # mean square at the last point over its largest so many readings ago and before
GRADIENT_GROWN, FEW = 10.0, 8  # times the largest of the run's past; readings that make a past
HEADROOM, HEADROOM_GROWN = 1 / 16, 4.0
SPREAD_LOST = 1e-3  # spread of the samples at the last point over the first reading
FADED = 1e-6  # gradient of the first point over that of the last, over the same at the first reading
Rule = Callable[[Trail], Alert | None]


def non_finite(trail: Trail) -> Alert | None:
    """Find numbers that are not finite in a step whose update was made."""
    reading = trail.readings[-1]
    if reading.is_finite:
        return None
    where = [
        point
        for column in ("signal", "weight", "update")
        for point, value in zip(reading.points, reading.columns.get(column, ()), strict=False)
        if value is not None and not isfinite(value)
    ]
    return Alert("non_finite", reading.step, "A number that was measured is not finite.", "failure", tuple(where[:1]))


def update_size(trail: Trail) -> Alert | None:
    """Find steps that are, twice in a row, too large for the weights: by the preflight's limit, or against the run's own past."""
    sizes = trail.series("update")
    if len(sizes) < FEW + 2:  # the first steps of Adam are large, and do no harm
        return None
    now, past = min(sizes[-2:]), sorted(sizes[:-2][-RECENT:])
    usual = past[len(past) // 2]
    sentence = f"In the middle layer one step moves the weights by {now:.2g} of their size"
    if now >= UPDATE_LARGE.at_risk:
        return _alert(trail, "update_size", f"{sentence}; about 0.001 is usual.", now, UPDATE_LARGE.at_risk)
    if now >= max(UPDATE_GROWN * usual, UPDATE_FROM):
        return _alert(trail, "update_size", f"{sentence}, {now / usual:.2g} times as much as before.", now, UPDATE_GROWN * usual)
    return _one_update(trail)


def _one_update(trail: Trail) -> Alert | None:
    """Find one layer whose steps are, three times in a row, far larger than they were, and not on their way back.

    One large gradient of Adam's makes steps large at once, and then ever smaller; a rate that is too high does not.
    """
    table = trail.table("update", FEW + RECENT)
    if len(table) < FEW + IN_A_ROW:
        return None
    now = table[-IN_A_ROW:].min(axis=0)
    if not (now >= LAYER_FROM).any():
        return None
    past = np.sort(table[:-IN_A_ROW], axis=0)
    usual = past[len(past) // 2]
    with np.errstate(all="ignore"):
        grown = np.where((now >= LAYER_FROM) & (table[-1] >= table[-2]) & (usual > 0), now / usual, 0.0)
    place = int(np.argmax(np.nan_to_num(grown)))
    if not grown[place] >= LAYER_GROWN:
        return None
    point = trail.points[place]
    sentence = (
        f"One step moves the weights of {point} by {now[place]:.2g} of their size, {grown[place]:.2g} times as much as before."
    )
    return _alert(trail, "update_size", sentence, float(now[place]), float(LAYER_GROWN * usual[place]), point)


def attention_logit_growth(trail: Trail) -> Alert | None:
    """Find a layer whose attention logits have, twice in a row, outgrown their own past and do not level off.

    Sharp attention is learnt: there logits grow as well, ever slower. What grows slowly for ever is told at `LOGITS_SURE`.
    """
    largest = trail.series("logits")
    if not largest or largest[-1] < LOGITS:
        return None
    table = trail.table("attention_logits", PAST)
    if len(table) < FEW + BACK:
        return None
    half = BACK // 2
    now, halfway, past = table[-2:].min(axis=0), np.fmax.reduce(table[-half - 2 : -half]), np.fmax.reduce(table[:-BACK])
    with np.errstate(all="ignore"):
        grown, pace = now / past, np.log(now / halfway)
        goes_on = (grown >= LOGITS_GROWN) & (pace >= LOGITS_ON * np.log(halfway / past))
        sizes = np.where((now >= LOGITS) & (goes_on | (now >= LOGITS_SURE)), now, 0.0)
    place = int(np.argmax(np.nan_to_num(sizes)))
    if not sizes[place]:
        return None
    sentence = f"The attention logits spread by {now[place]:.3g}, {grown[place]:.2g} times what they did {BACK} readings ago."
    return _alert(trail, "attention_logit_growth", sentence, float(now[place]), LOGITS, trail.points[place])


def attention_entropy_collapse(trail: Trail) -> Alert | None:
    """Find a middle block whose sharpest head has come to see next to one key."""
    entropies, first = trail.series("entropy"), trail.at_first("entropy")
    if not entropies or first is None or entropies[-1] > ENTROPY or first - entropies[-1] < ENTROPY_LOST:
        return None
    sentence = f"In the middle block the sharpest head has {entropies[-1]:.0%} of its entropy; it had {first:.0%}."
    return _alert(trail, "attention_entropy_collapse", sentence, entropies[-1], ENTROPY)


def dead_units(trail: Trail) -> Alert | None:
    """Find a block most of whose units have died since the start."""
    shares = trail.series("dead")
    if len(shares) < 2 or shares[-1] < DEAD:
        return None
    first = next(reading.columns["dead"] for reading in trail.readings if "dead" in reading.columns)
    last = trail.readings[-1].columns["dead"]
    pairs = [
        (now, now - before, place)
        for place, (before, now) in enumerate(zip(first, last, strict=True))
        if now and before is not None
    ]
    share, grown, place = max((pair for pair in pairs if pair[1] >= DEAD_GROWN), default=(0.0, 0.0, 0))
    if share < DEAD:
        return None
    point = trail.points[place]
    sentence = (
        f"{share:.0%} of the units in {point} that were looked at are 0 for every sample; at first {share - grown:.0%} were."
    )
    return _alert(trail, "dead_units", sentence, share, DEAD, point)


def exploding_signal(trail: Trail) -> Alert | None:
    """Find activations at the end that have grown far beyond what they were."""
    ends = trail.series("signal")
    if len(ends) < FEW + BACK:
        return None
    most = max(ends[:-BACK])
    if not most or not ends[-1] > SIGNAL_GROWN * most:
        return None
    sentence = f"The mean square of the last activations is {ends[-1] / most:.2g} times what it was {BACK} readings ago."
    return _alert(trail, "exploding_signal", sentence, ends[-1] / most, SIGNAL_GROWN)


def overflow_ahead(trail: Trail) -> Alert | None:
    """Find float16 activations that come near what float16 holds."""
    sizes, first = trail.series("headroom"), trail.at_first("headroom")
    if not sizes or first is None or sizes[-1] < max(HEADROOM, HEADROOM_GROWN * first):
        return None
    point = trail.points[trail.readings[-1].columns["headroom"].index(sizes[-1])]
    sentence = f"The largest float16 activation is, as a share of 65,504, {sizes[-1]:.3g}; at first it was {first:.3g}."
    return _alert(trail, "overflow_ahead", sentence, sizes[-1], HEADROOM, point)


def exploding_gradient(trail: Trail) -> Alert | None:
    """Find a gradient that is, in two readings in a row, far larger than the run's own."""
    norms = trail.series("norm")
    if len(norms) < FEW + 2:
        return None
    most = max(norms[:-2])
    if not most or min(norms[-2:]) < GRADIENT_GROWN * most:
        return None
    sentence = f"The gradient's norm is {norms[-1] / most:.2g} times the largest before."
    return _alert(trail, "exploding_gradient", sentence, norms[-1] / most, GRADIENT_GROWN)


def vanishing_gradient(trail: Trail) -> Alert | None:
    """Find a gradient that has faded on its way back, against how it began."""
    shares, first = trail.series("gradient"), trail.at_first("gradient")
    if len(shares) < 3 or not first or max(shares[-2:]) > FADED * first:
        return None
    sentence = f"The gradient at the first layer, over that at the last, is {shares[-1] / first:.2g} times what it was."
    return _alert(trail, "vanishing_gradient", sentence, shares[-1] / first, FADED)


def correlation_collapse(trail: Trail) -> Alert | None:
    """Find samples that have become one vector at the end of depth, in two readings in a row."""
    ends, first = trail.series("spread"), trail.at_first("spread")
    if len(ends) < 3 or not first or max(ends[-2:]) > SPREAD_LOST * first:
        return None
    sentence = f"What tells two samples apart at the last layer is {ends[-1] / first:.2g} of what it was."
    return _alert(trail, "correlation_collapse", sentence, ends[-1] / first, SPREAD_LOST)


# Roots before consequences.
RULES: dict[str, Rule] = {
    "non_finite": non_finite,
    "overflow_ahead": overflow_ahead,
    "attention_logit_growth": attention_logit_growth,
    "attention_entropy_collapse": attention_entropy_collapse,
    "dead_units": dead_units,
    "update_size": update_size,
    "exploding_signal": exploding_signal,
    "exploding_gradient": exploding_gradient,
    "correlation_collapse": correlation_collapse,
    "vanishing_gradient": vanishing_gradient,
}


def judge_trail(trail: Trail) -> list[Alert]:
    """Return what the last reading of a run says against its own past, roots first."""
    return [alert for rule in RULES.values() if (alert := rule(trail)) is not None]


def _alert(trail: Trail, name: str, sentence: str, number: float, limit: float, point: str | None = None) -> Alert:
    movers = [mover.point for mover in first_movers(trail)] if point is None else [point]
    return Alert(name, trail.readings[-1].step, sentence, points=tuple(movers), number=number, limit=limit)
