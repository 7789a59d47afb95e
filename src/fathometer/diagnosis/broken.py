"""Where a number stopped being finite: operation, module, line."""

from dataclasses import dataclass

from fathometer.diagnosis.admission import run_or_explain
from fathometer.diagnosis.answer import Answer
from fathometer.diagnosis.case import Case
from fathometer.instruments import Sounding, all_finite, first_non_finite, seed_generators


@dataclass(frozen=True)
class Broken:
    """The place of the first number that is not finite: the module's name ("" is the model itself, None unknown), and words."""

    module: str | None
    words: str


def find_broken(case: Case, sounding: Sounding, answer: Answer) -> Broken | None:
    """Return where the first number stopped being finite, in the forward pass or in the backward pass; None if none did.

    An infinity that was written as a constant, as in a mask over classes, is meant and does not count.

    Only where there is one is every operation of another pass looked at.
    """
    where = _seen_in(sounding, answer)
    if where is None:
        return None
    seed_generators(case.seed)
    try:
        found = first_non_finite(case.model, lambda: run_or_explain(case), case.loss_of, scale=sounding.scale)
    except (RuntimeError, NotImplementedError):  # an operation that cannot be listened to: the place is then only roughly known
        return Broken(None, where)
    return None if found is None else Broken(found.module, found.words)


def _seen_in(sounding: Sounding, answer: Answer) -> str | None:
    if not answer.is_finite:
        return "the output"
    if sounding.loss is not None and not all_finite(sounding.loss):
        return "the loss"
    bad = [name for name, gradient in sounding.parameter_gradients.items() if gradient is not None and not all_finite(gradient)]
    return f"the gradient of {bad[-1]}" if bad else None
