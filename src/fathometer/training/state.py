"""A course as plain tensors and JSON, and back."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fathometer.errors import ModelError, RecordError
from fathometer.training.batch import device_of
from fathometer.training.course import Course
from fathometer.training.parallel import as_sharded, average, local, rank, stacked, whole

Tensors = dict[str, Tensor]


def weights_of(model: nn.Module) -> tuple[Tensors, dict[str, str]]:
    """Return every tensor of a module once, whole and on the CPU, and the other names of those that have several.

    Raises `ModelError` for a module that keeps what is no tensor.
    """
    names: dict[int, str] = {}
    tensors, others = Tensors(), dict[str, str]()
    for name, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor):
            raise ModelError(
                f"The model keeps a {type(value).__name__} as `{name}`", "A checkpoint holds tensors", "Keep it in a buffer"
            )
        if id(value) in names:
            others[name] = names[id(value)]
        else:
            names[id(value)] = name
            tensors[name] = _plain(value)
    return tensors, others


def is_finite(model: nn.Module) -> bool:
    """Return whether all weights of a module are finite, in all processes."""
    parts = (local(value.detach()) for value in model.state_dict().values() if isinstance(value, Tensor))
    return average(float(all(bool(part.isfinite().all()) for part in parts)), device_of(model)) == 1


def set_weights(model: nn.Module, tensors: Mapping[str, Tensor], others: Mapping[str, str]) -> None:
    """Give a module the weights that `weights_of` took, in place; raise `RecordError` for those of another module."""
    own = model.state_dict(keep_vars=True)
    given = {**tensors, **{name: tensors[home] for name, home in others.items() if home in tensors}}
    _check_fit({name: value.shape for name, value in own.items()}, {name: value.shape for name, value in given.items()})
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(as_sharded(given[name], value))


def training_of(course: Course) -> tuple[Tensors, dict[str, Any]]:
    """Return what a course holds beside the weights: tensors (the optimizer's, losses, generators), and numbers as JSON."""
    tensors, numbers = Tensors(), dict[str, Any]()
    for name, parameter in _trained(course):
        for key, value in course.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{name}/{key}"] = _plain(value)
            else:
                numbers[f"optimizer/{name}/{key}"] = value
    tensors["losses"] = torch.tensor(course.losses, dtype=torch.float64, device="cpu")
    tensors |= {f"generator/{name}": stacked(state) for name, state in _generators(device_of(course.model))}
    version, words, gauss = random.getstate()
    return tensors, {
        "numbers": numbers,
        "scaler": None if course.scaler is None else course.scaler.state_dict(),
        "seconds": course.seconds,
        "python": [version, list(words), gauss],
        "numpy": _numpy_state(),
    }


def set_training(course: Course, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Put a course, and the generators of this process, where `training_of` found them."""
    parameters = dict(_trained(course))
    course.optimizer.state.clear()
    for name, value in [*tensors.items(), *facts["numbers"].items()]:
        if name.startswith("optimizer/"):
            parameter, _, key = name.removeprefix("optimizer/").rpartition("/")
            if parameter not in parameters:
                raise RecordError(f"The optimizer holds `{parameter}`", "The model trains no such parameter", "Use its own model")
            course.optimizer.state[parameters[parameter]][key] = _placed(value, key, parameters[parameter], course)
    course.losses[:] = tensors["losses"].tolist()
    course.seconds = facts["seconds"]
    if course.scaler is not None:
        course.scaler.load_state_dict(facts["scaler"])
    version, words, gauss = facts["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state((facts["numpy"][0], np.array(facts["numpy"][1], dtype=np.uint32), *facts["numpy"][2:]))
    _set_generators(tensors, device_of(course.model), course.asked.seed)


def _trained(course: Course) -> Iterator[tuple[str, nn.Parameter]]:
    own = set(course.parameters)
    return ((name, parameter) for name, parameter in course.model.named_parameters() if parameter in own)


def _placed(value: Any, key: str, parameter: nn.Parameter, course: Course) -> Any:
    """Return a value of the optimizer's state where that optimizer keeps it."""
    if not isinstance(value, Tensor):
        return value
    if key == "step":  # torch keeps it on the CPU, but for the fused step
        group = next(group for group in course.optimizer.param_groups if any(parameter is one for one in group["params"]))
        return value.to(parameter.device) if group.get("fused") else value
    return as_sharded(value, parameter) if value.shape == parameter.shape else value.to(parameter.device)


def _plain(value: Tensor) -> Tensor:
    """Return a tensor whole, on the CPU, in memory of its own; nothing of it in any process but the first, which writes."""
    one = whole(value.detach())
    if rank() != 0:
        return torch.empty(0, device="cpu")
    return one.cpu().clone(memory_format=torch.contiguous_format)


def _generators(device: torch.device) -> Iterator[tuple[str, Tensor]]:
    yield "cpu", torch.get_rng_state()
    if device.type == "cuda":
        yield "cuda", torch.cuda.get_rng_state(device)


def _set_generators(tensors: Mapping[str, Tensor], device: torch.device, seed: int) -> None:
    """Give this process its own state; one that was not there then begins with a seed of its own."""
    states = tensors["generator/cpu"]
    if rank() >= len(states):
        torch.manual_seed(seed + rank())
        return
    torch.set_rng_state(states[rank()].clone())
    if device.type == "cuda" and "generator/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator/cuda"][rank()].clone(), device)


def _numpy_state() -> list[Any]:
    name, words, *rest = np.random.get_state()
    return [name, np.asarray(words).tolist(), *rest]


def _check_fit(own: Mapping[str, torch.Size], given: Mapping[str, torch.Size]) -> None:
    for name in {**own, **given}:
        if own.get(name) != given.get(name):
            here, there = (tuple(shapes[name]) if name in shapes else "not there" for shapes in (own, given))
            raise RecordError(
                f"`{name}` is {there} in the checkpoint and {here} in the model",
                "They must be of one network",
                "Use its own model",
            )
