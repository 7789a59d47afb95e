"""What a reader should know about how it was measured."""

from typing import Any

import torch

from fathometer.contract import main_tensor
from fathometer.diagnosis.answer import Answer
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.evidence import Evidence
from fathometer.instruments import DepthPoints, Sounding, all_finite

NAMES_SHOWN = 3


def notes_on(case: Case, points: DepthPoints, sounding: Sounding, answer: Answer) -> list[str]:
    """Return sentences on what was measured, and on what could not be."""
    notes = []
    if points.found_as == "layers":
        notes.append("No repeated blocks were found: each layer with weights is a depth point, with the activations after it.")
    notes += _few_samples(case.num_samples)
    names: dict[int, list[str]] = {}
    for name, parameter in case.model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    notes += [f"Tied: {' and '.join(tied)} are one parameter, counted once." for tied in names.values() if len(tied) > 1]
    frozen = [name for name, parameter in case.model.named_parameters() if not parameter.requires_grad]
    if frozen:
        notes.append(f"Frozen: {_some(frozen)} will not move; fine if meant.")
    unused = [name for name, gradient in sounding.parameter_gradients.items() if gradient is None]
    if unused:
        notes.append(f"Not used: the loss does not depend on {_some(unused)}.")
    if not answer.has_loss:
        notes.append("No targets were given: the gradient starts from a seeded random direction.")
    return notes


def _few_samples(num_samples: int) -> list[str]:
    if num_samples == 1:
        return ["The batch holds one sample: correlation, rank and dead units need more (16 are enough)."]
    return [f"The batch holds {num_samples} samples: rank needs 8, dead units 16."] if num_samples < 8 else []


def _some(names: list[str]) -> str:
    """Return the names, or the first few and how many there are."""
    shown = ", ".join(names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} more parameters"


def not_deterministic(first: Any, second: Any) -> list[str]:
    """Return a sentence if the outputs of two passes differ by more than rounding."""
    one, two = main_tensor(first), main_tensor(second)
    if one is None or two is None:
        return []
    words = "The forward pass is not deterministic: two passes with the same seed and batch"
    if one.shape != two.shape:
        return [f"{words} give {tuple(one.shape)} and {tuple(two.shape)}. Its numbers hold for one pass only."]
    if (one.dtype == two.dtype and torch.equal(one, two)) or not (all_finite(one) and all_finite(two)):
        return []
    difference, scale = float((one - two).detach().abs().max()), float(one.detach().abs().max())
    # Without gradients torch may choose other kernels; a hundred rounding errors are no sign of chance.
    if difference <= 100 * torch.finfo(one.dtype).eps * max(scale, torch.finfo(one.dtype).tiny):
        return []
    return [f"{words} differ by {difference:.2g} (outputs up to {scale:.2g}). Its numbers hold for one pass only."]


def good_sentence(evidence: Evidence, verdict: str) -> str:
    """Return what is said, with a number, where there is nothing to find."""
    gain, depth = evidence.profile.gain_per_block("gradient"), evidence.depth
    if verdict == "unknown":
        return "Nothing is wrong that could be seen, but too little could be: pass at least 16 samples."
    if gain is None:
        return f"Nothing is wrong in {depth} depth point{'s' * (depth != 1)}."
    return f"Through {depth} {evidence.kind} the mean square of the gradient changes by × {1 / gain:.3g} per block."
