"""Watching a run: every layer, for nearly nothing, and who moved first."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from fathometer.contract import unwrapped
from fathometer.diagnosis.watch_cost import CostMeter
from fathometer.diagnosis.watch_run import Watch
from fathometer.errors import ModelError, kind_of
from fathometer.instruments.depth_points import Layers
from fathometer.instruments.recorder import StepRecorder
from fathometer.instruments.recorder_price import price_of
from fathometer.instruments.recorder_schedule import Schedule, schedule_of

Optimizers = torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None


def watch(
    model: nn.Module,
    optimizer: Optimizers = None,
    *,
    every: int | str | Schedule = 50,
    price: str = "standard",
    budget: float | None = None,
    layers: Layers = None,
    record: Any = None,
    stop_on: Iterable[str] = (),
) -> Watch:
    """Watch every layer of a model while it trains, for nearly nothing, and say which one moved first.

    A step is measured at the first and `every` nth step ("log" spaces them ever wider; a function of the step decides
    itself); in between nothing is there but a sum. `price` is "economy", "standard" or "full"; `budget` is the most that
    measuring may take of all time: measured steps then lie as far apart as that needs. `optimizer` (one, or several) shows
    gradients and updates of weights. `layers` names depth points by pattern. `record` is a folder for JSON lines, which
    `fathometer follow` shows, or a sink, or several. `stop_on` names alerts after which `should_stop` is true.

    Raises `FathometerError` for what cannot be watched, and for a model that is watched already.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with watch(model, optimizer, every=2) as seen:
    ...     for _ in range(4):
    ...         loss = model(torch.ones(16, 4)).square().mean()
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    ...         _ = seen.step(loss)
    >>> [reading.step for reading in seen.readings]
    [1, 2, 4]
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"The model is {kind_of(model)}", "It must be an nn.Module", "Pass the module that is trained")
    optimizers = _listed(optimizer)
    _check_optimizers(model, optimizers)
    recorder = StepRecorder(model, optimizers, price_of(price), layers)
    return Watch(recorder, CostMeter(schedule_of(every), budget), record, stop_on)


def _listed(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    if optimizer is None:
        return []
    return list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]  # pyrefly: ignore[bad-return]


def _check_optimizers(model: nn.Module, optimizers: Sequence[Any]) -> None:
    own = {id(parameter) for parameter in unwrapped(model).parameters()}
    for optimizer in optimizers:
        if not isinstance(optimizer, torch.optim.Optimizer):
            given = f"`optimizer` is {kind_of(optimizer)}"
            raise ModelError(given, "It must be a torch.optim.Optimizer", "Pass the one that trains the model, or leave it out")
        if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
            raise ModelError(
                "The optimizer moves no parameter of this model",
                "Its steps on the model are watched",
                "Make it from model.parameters(), after the model is on its device",
            )
