"""Which remedies fit this model, from least to most invasive."""

from collections.abc import Callable

from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.remedies import branches, starts, training, wirings
from fathometer.diagnosis.remedies.candidate import Candidate

CATALOGUE: dict[str, Callable[[Case, Examination], Candidate | None]] = {
    "shrink_readout": starts.shrink_readout,
    "shrink_queries": wirings.shrink_queries,
    "initialise_textbook": starts.initialise_textbook,
    "initialise": starts.initialise,
    "initialise_orthogonal": starts.initialise_orthogonal,
    "initialise_stream": branches.initialise_stream,
    "initialise_by_measurement": starts.initialise_by_measurement,
    "swap_activation": wirings.swap_activation,
    "remove_softmax": wirings.remove_softmax,
    "unfreeze": training.unfreeze,
    "remove_detach": wirings.remove_detach,
    "clip": training.clip,
    "change_rate": training.change_rate,
    "scale_branches": branches.scale_branches,
    "zero_branches": branches.zero_branches,
    "add_norm": branches.add_norm,
    "put_norm_first": wirings.put_norm_first,
    "add_residual": branches.add_residual,
}


def propose(case: Case, examination: Examination) -> list[Candidate]:
    """Return the candidates that fit, from least to most invasive, and in the catalogue's order."""
    fitting = [candidate for maker in CATALOGUE.values() if (candidate := maker(case, examination)) is not None]
    return sorted(fitting, key=lambda candidate: candidate.remedy.invasiveness)
