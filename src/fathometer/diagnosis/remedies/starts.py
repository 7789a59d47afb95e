"""Remedies that start the same network from other numbers."""

from copy import deepcopy

from torch import nn

from fathometer.activations import find_activation
from fathometer.contract import call
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.remedies import weights
from fathometer.diagnosis.remedies.candidate import Candidate, call_on_copy, call_words, seed_words, source
from fathometer.diagnosis.remedies.gains import READOUT, rounded, starting_gain
from fathometer.finding import Remedy


def initialise_textbook(case: Case, examination: Examination) -> Candidate | None:
    """Return the gain of `torch.nn.init.calculate_gain`, where that differs from the critical one."""
    activation = examination.activation
    gain = find_activation(activation).classic_gain
    if gain is None or abs(gain - starting_gain(activation)) < 0.01:
        return None
    why = f"The textbook's gain for {activation} is {rounded(gain)}; it was made for a few layers."
    title = f"Textbook initialisation, gain {rounded(gain)}"
    return call_on_copy(
        case,
        "initialise_textbook",
        title,
        why,
        1,
        weights.INITIALISE,
        {"gain": rounded(gain), "readout": READOUT},
        ("glorot2010",),
    )


def initialise(case: Case, examination: Examination) -> Candidate:
    activation = examination.activation
    gain = starting_gain(activation)
    critical = f"Critical initialisation, gain {gain}"
    title = {"relu": "He initialisation", "leaky_relu": "He initialisation"}.get(activation, critical)
    why = f"With std {gain}/√fan_in and no bias, {activation} layers neither shrink nor grow what passes through."
    return call_on_copy(
        case,
        "initialise",
        title,
        why,
        1,
        weights.INITIALISE,
        {"gain": gain, "readout": READOUT},
        ("he2015init", "schoenholz2017"),
    )


def initialise_orthogonal(case: Case, examination: Examination) -> Candidate:
    gain = starting_gain(examination.activation)
    why = f"Orthogonal matrices times {gain} keep every direction's length, not only the average one."
    arguments = {"gain": gain, "orthogonal": True, "readout": READOUT}
    citations = ("saxe2014", "pennington2017")
    return call_on_copy(
        case,
        "initialise_orthogonal",
        f"Orthogonal initialisation, gain {gain}",
        why,
        1,
        weights.INITIALISE,
        arguments,
        citations,
    )


def initialise_by_measurement(case: Case, examination: Examination) -> Candidate:
    why = "Each layer is scaled until its outputs have variance 1 on a real batch."
    code = source((weights.initialise_by_measurement,))
    run = f"lambda model: model({call_words(case)})"
    code += f"\n# inputs: one batch\nmodel = initialise_by_measurement(model, {run}{seed_words(case)})\n"
    remedy = Remedy("initialise_by_measurement", "Layer-sequential unit variance", why, 1, code, ("mishkin2016",))

    def apply(case: Case, seed: int) -> nn.Module:
        twin = deepcopy(case.model)
        return weights.initialise_by_measurement(twin, lambda model: call(model, case.inputs), seed=seed)

    return Candidate(remedy, apply)


def shrink_readout(case: Case, examination: Examination) -> Candidate | None:
    loss, chance = examination.profile.facts.get("cross_entropy"), examination.profile.facts.get("chance_cross_entropy")
    if not isinstance(loss, float) or not isinstance(chance, float) or not loss >= chance + 1:  # NaN is not
        return None
    factor = rounded(1 / (loss - chance))
    why = "Smaller outputs start the classifier near a fair guess."
    arguments = {"factor": factor}
    return call_on_copy(
        case, "shrink_readout", "Smaller readout", why, 1, (weights.shrink_readout,), arguments, ("karpathy2019",)
    )
