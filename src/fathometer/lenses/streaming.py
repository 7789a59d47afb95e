"""What each layer makes of a batch, one batch at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import batch_size, main_tensor, take_samples, tensors_in
from fathometer.contract import call as call_model
from fathometer.errors import BatchError, ModelError
from fathometer.instruments import Call, DepthPoint, Recorder, find_depth_points, listen, unchanged

INPUT = "input"


@dataclass(frozen=True, eq=False)
class Seen:
    """One batch: its inputs, and what each depth point made of them, by name; "input" comes first.

    Inputs of whole numbers are tokens: "input" is then what enters the first block, their embedding.
    """

    inputs: Any
    tensors: dict[str, Tensor]
    output: Any


def stream(model: nn.Module, batches: Iterable[Any], *, layers: Iterable[str] | None = None) -> Iterator[Seen]:
    """Yield what the model makes of each batch at each depth point, in eval mode, without changing it.

    Only one batch is in memory at a time. `layers` are names or patterns of modules; None finds the repeated blocks.
    """
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        raise BatchError("There are no inputs", "At least one batch is needed", "Check how the data are read")
    points: tuple[DepthPoint, ...] | None = None
    for inputs in chain([first], rest):
        with unchanged(model), torch.no_grad():  # closed before the batch is handed out: who reads may stop, or read two models
            model.eval()
            points = points or points_of(model, inputs, layers)
            seen = _see(model, inputs, points)
        yield seen


def points_of(model: nn.Module, inputs: Any, layers: Iterable[str] | None = None) -> tuple[DepthPoint, ...]:
    """Return the depth points that these inputs run through."""
    recorder = Recorder()
    with torch.no_grad(), listen(model, on_enter=recorder.enter, on_call=recorder.leave):
        call_model(model, inputs)
    return find_depth_points(model, recorder.trace, layers).points


def in_batches(inputs: Any, size: int) -> list[Any]:
    """Cut inputs, whatever holds them, into batches; the 1-tuple keeps a tuple of two from being read as a pair."""
    starts = range(0, batch_size(inputs), size)
    return [take_samples((inputs,), slice(start, start + size))[0] for start in starts]


def _see(model: nn.Module, inputs: Any, points: tuple[DepthPoint, ...]) -> Seen:
    """Run one batch; tensors are copies, as a later layer may write in place."""
    wanted = {(point.leave, point.stop): point.name for point in points}
    found = {INPUT: _first_tensor(inputs).clone()}
    is_waiting = not found[INPUT].is_floating_point()

    def enter(name: str, given: Any) -> None:
        nonlocal is_waiting
        tensor = main_tensor(given) if is_waiting and name == points[0].enter else None
        if tensor is not None:
            found[INPUT], is_waiting = tensor.clone(), False

    def keep(call: Call) -> None:
        name = wanted.get((call.name, call.index))
        if name is not None:
            found[name] = _output_of(call).clone()

    names = dict.fromkeys(name for point in points for name in (point.enter, point.leave))
    with listen(model, names, on_enter=enter, on_call=keep):
        output = call_model(model, inputs)
    return Seen(inputs, found, output)


def _first_tensor(inputs: Any) -> Tensor:
    tensor = next((tensor for _, tensor in tensors_in(inputs)), None)
    if tensor is None:
        raise BatchError(f"The inputs are {type(inputs).__name__} without a tensor", "A model reads tensors", "Convert them")
    return tensor


def _output_of(call: Call) -> Tensor:
    tensor = main_tensor(call.output)
    if tensor is None:
        raise ModelError(f'"{call.name}" gives no tensor of floating point', "A probe reads numbers", "Name other `layers`")
    return tensor
