"""Parameters that never change: frozen, or not reached by the loss."""

from collections.abc import Callable

from fathometer.diagnosis.evidence import Evidence
from fathometer.finding import Finding

CUT_OFF = 0.0  # a block in whose output there is a gradient, or whose output nobody reads, is not cut off


def unused_parameters(evidence: Evidence) -> Finding | None:
    """Find parameters that the loss does not depend on: a note, unless whole blocks are cut off from it."""
    count, total, cut = (evidence.fact(name) for name in ("unused_parameters", "num_parameters", "blocks_cut_off"))
    if not count or not total:
        return None
    some = f"{count:,.0f} of {total:,.0f} parameters"
    if not cut:
        return _note("unused_parameters", f"The loss does not depend on {some}.", count)
    blocks = f"{cut:.0f} of {evidence.depth} {evidence.kind}"
    sentence = f"No gradient reaches {blocks}: the loss does not depend on {some}. A .detach() or no_grad() is on the way."
    return Finding("unused_parameters", "at risk", sentence, count, CUT_OFF, "gradient", (), ("remove_detach",))


def frozen_parameters(evidence: Evidence) -> Finding | None:
    """Say how many parameters are frozen: often meant, so it is a note."""
    count, total = evidence.fact("frozen_parameters"), evidence.fact("num_parameters")
    if not count or not total:
        return None
    return _note("frozen_parameters", f"{count:,.0f} of {total:,.0f} parameters are frozen.", count)


def _note(cause: str, sentence: str, count: float) -> Finding:
    return Finding(cause, "note", sentence, count, 0.0)


OF_PARAMETERS: dict[str, Callable[[Evidence], Finding | None]] = {
    "unused_parameters": unused_parameters,
    "frozen_parameters": frozen_parameters,
}
