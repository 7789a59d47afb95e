"""What must hold before a module can be measured, or how to mend it."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from fathometer.contract import call, map_tensors, output_tensor, tensors_in
from fathometer.diagnosis.case import Case, iter_tensors
from fathometer.errors import BatchError, FathometerError, ModelError
from fathometer.instruments import all_finite


def admit(case: Case) -> None:
    """Raise unless the module has finite parameters, and the batch is finite and on the same device."""
    parameters = dict(case.model.named_parameters())
    lazy = [name for name, parameter in parameters.items() if isinstance(parameter, UninitializedParameter | UninitializedBuffer)]
    if lazy:
        raise ModelError(f"`{lazy[0]}` has no shape yet", "Lazy modules must have run once", "Call the model on one batch first")
    if not parameters:
        raise ModelError(
            "The model has no parameters", "Training needs some", "Register them with nn.Parameter or nn.Module children"
        )
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ModelError("All parameters are frozen", "At least one must be trainable", "Call model.requires_grad_(True)")
    _check_devices(case, parameters)
    for name, tensor in (*parameters.items(), *case.model.named_buffers()):
        _check_finite_weight(name, tensor)
    for where, tensor in iter_tensors(case):
        _check_finite_batch(where, tensor)


def _check_devices(case: Case, parameters: dict[str, nn.Parameter]) -> None:
    homes = {str(parameter.device) for parameter in parameters.values()}
    if "meta" in homes:
        raise ModelError("The model is on the meta device", "Its weights have no values to measure", "Build it on a real device")
    for where, tensor in iter_tensors(case):
        if str(tensor.device) not in homes:
            home = sorted(homes)[0]
            raise BatchError(
                f"The model is on {' and '.join(sorted(homes))}, but the {where} of the batch on {tensor.device}",
                "Both must be on one device",
                f'Move the batch with .to("{home}"), or the model with model.to("{tensor.device}")',
            )


def _check_finite_weight(name: str, tensor: Tensor) -> None:
    if not all_finite(tensor):
        count = int((~torch.isfinite(tensor)).sum())
        raise ModelError(
            f"`{name}` holds {count} of {tensor.numel()} numbers that are NaN or infinite",
            "Weights must be finite before anything else can be said",
            "Initialise it again, or load the last good checkpoint",
        )


def _check_finite_batch(where: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided:
        raise BatchError(f"The {where} of the batch are sparse", "Numbers are looked at one by one", "Pass them with .to_dense()")
    if not all_finite(tensor):
        count = int((~torch.isfinite(tensor)).sum())
        raise BatchError(
            f"The {where} of the batch hold {count} of {tensor.numel()} numbers that are NaN or infinite",
            "Data must be finite",
            "Look for missing values or a division by a standard deviation of 0",
        )


def run_or_explain(case: Case, inputs: Any = None) -> Any:
    """Call the model (on a copy of the batch), and turn whatever it raises into a `ModelError` that names it."""
    inputs = copied(case.inputs) if inputs is None else inputs
    try:
        return call(case.model, inputs)
    except FathometerError:
        raise
    except (Exception, SystemExit) as problem:  # sys.exit in a model would end the command with a verdict's exit code
        raise _explained(case, problem) from problem


def first_words(problem: BaseException) -> str:
    """Return the first line of what somebody else's error says, cut where it gets long."""
    try:
        lines = str(problem).strip().splitlines()
    except Exception:  # somebody else's error may fail to say what it is
        lines = []
    return lines[0][:300] if lines else "no message"


def copy_or_explain(things: Any, why: str) -> Any:
    """Return a copy of a model, or of a tuple with one; a `ModelError` with `why` a copy is needed if it cannot be copied."""
    try:
        return deepcopy(things)
    except Exception as problem:
        raise ModelError(
            f"The model cannot be copied: {type(problem).__name__}: {first_words(problem)}",
            why,
            "Keep only parameters, buffers and plain values in the module (no tensors with a graph, locks or open files)",
        ) from problem


def copied(inputs: Any) -> Any:
    """Return the same structure with a copy of every tensor."""
    return map_tensors(inputs, lambda tensor: tensor.detach().clone())


def check_inputs_kept(case: Case) -> Any:
    """Call the model once; raise if it changed its inputs in place, or returns nothing that a gradient can enter."""
    inputs = copied(case.inputs)
    output = run_or_explain(case, inputs)
    before, after = dict(tensors_in(case.inputs)), dict(tensors_in(inputs))
    changed = [path for path in {**before, **after} if not _same(before.get(path), after.get(path))]
    if changed:
        raise ModelError(
            f"The forward pass changed its input {changed[0] or 'tensor'} in place",
            "A second pass over the same batch would see other data",
            "Write x = x + … instead of x += …, relu(x) instead of relu_(x), and take a copy before you pop from a dictionary",
        )
    output_tensor(output)
    return output


def _same(before: Tensor | None, after: Tensor | None) -> bool:
    return before is not None and after is not None and before.shape == after.shape and torch.equal(before, after)


def _explained(case: Case, problem: BaseException) -> ModelError:
    shapes = ", ".join(f"{path or 'inputs'} {tuple(tensor.shape)} {tensor.dtype}" for path, tensor in tensors_in(case.inputs))
    return ModelError(
        f"The model's forward raised {type(problem).__name__}: {first_words(problem)}",
        f"It was called with {shapes}",
        "Call model(inputs) by hand with this batch and mend what it says; a pair is read as (inputs, targets)",
    )
