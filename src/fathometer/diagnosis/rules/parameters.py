"""Parameters that never change: frozen, or not reached by the loss."""

from collections.abc import Callable

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.rules.graded import graded
from fathometer.finding import Finding


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
    found = graded(evidence, "unused_parameters", cut, sentence, "gradient", (), ("remove_detach",))
    return found or _note("unused_parameters", sentence, count)


def frozen_parameters(evidence: Evidence) -> Finding | None:
    """Say how many parameters are frozen: a note, unless what may still move does not learn."""
    count, total = evidence.fact("frozen_parameters"), evidence.fact("num_parameters")
    if not count or not total:
        return None
    sentence = f"{count:,.0f} of {total:,.0f} parameters are frozen."
    found = graded(evidence, "frozen_parameters", count / total, sentence, None, (), ("unfreeze",))
    return found or _note("frozen_parameters", sentence, count)


def _note(cause: str, sentence: str, count: float) -> Finding:
    return Finding(cause, "note", sentence, count, 0.0)


OF_PARAMETERS: dict[str, Callable[[Evidence], Finding | None]] = {
    "unused_parameters": unused_parameters,
    "frozen_parameters": frozen_parameters,
}
