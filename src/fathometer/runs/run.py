"""One run: network and wishes in, trained network and record out."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction
from fathometer.data import Batches, Digits, digits, find_dataset, in_order
from fathometer.networks import ConvNetwork, MlpNetwork, TransformerNetwork, build, scales
from fathometer.parametrizations import WIDTH_AWARE, Scale
from fathometer.records import Asked, Record, this_machine
from fathometer.runs.progress import OnProgress, progress_bar
from fathometer.spec import Spec, spec_to_dict
from fathometer.training import Evaluation, Fit, evaluate, fit


@dataclass(frozen=True)
class Trained:
    """A network after its run, in eval mode, and the record of that run."""

    model: nn.Module
    record: Record


def train(
    network: Spec | str | nn.Module,
    asked: Asked = Asked(),  # noqa: B008  (frozen, so the shared default cannot change)
    *,
    data: Any = None,
    loss_fn: LossFunction | None = None,
    progress: OnProgress | None = None,
) -> Trained:
    """Train a spec, a preset or a copy of a module as asked, and return it with its record.

    `data` is None for the handwritten digits, the name of a data set, a `Digits`, a pair of tensors (inputs, targets), or
    any iterable of batches (inputs, targets); only a data set has a held-out part to be judged on. `progress` is called
    with (step, total, loss) after each step; None draws a bar on a terminal once the run takes more than two seconds.
    `asked.seed` decides the start, the order of the data, and what dropout draws; the generators are left as they were.
    """
    batches, held_out = _read(data, asked)
    model = deepcopy(network) if isinstance(network, nn.Module) else build(network, seed=asked.seed)
    with _own_randomness(model, asked.seed):
        fitted = _fit(model, batches, asked, loss_fn, progress)
    # Weights that had diverged when the run was stopped are not worth a number.
    is_judged = held_out is not None and fitted.stopped_at is None
    score = evaluate(model, in_order(*held_out), loss_fn=loss_fn) if is_judged else None
    return Trained(model.eval(), _record(model, asked, fitted, score))


def _fit(
    model: nn.Module, batches: Iterable[Any], asked: Asked, loss_fn: LossFunction | None, progress: OnProgress | None
) -> Fit:
    teach = partial(fit, model, batches, asked, loss_fn=loss_fn, scales=_scales(model))
    if progress is not None:
        return teach(on_step=lambda step, loss: progress(step, asked.steps, loss))
    with progress_bar(asked.steps) as advance:
        return teach(on_step=advance)


def _scales(model: nn.Module) -> Mapping[str, Scale] | None:
    """Return the multipliers that a network's parametrization gives the optimizer; None where it gives none."""
    is_ours = isinstance(model, MlpNetwork | ConvNetwork | TransformerNetwork)
    return scales(model) if is_ours and model.spec.init in WIDTH_AWARE else None


def _read(data: Any, asked: Asked) -> tuple[Iterable[Any], tuple[Tensor, Tensor] | None]:
    """Return training batches, and held-out inputs and targets where there are any."""
    if data is None or isinstance(data, str):
        data = digits() if data is None else find_dataset(data)
    if isinstance(data, Digits):
        batches = Batches(data.train_inputs, data.train_targets, asked.batch_size, asked.seed)
        return batches, (data.test_inputs, data.test_targets)
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        return Batches(data[0], data[1], asked.batch_size, asked.seed), None
    return data, None


@contextmanager
def _own_randomness(model: nn.Module, seed: int) -> Iterator[None]:
    """Seed torch's generators, for dropout and the like, and give them back as they were."""
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield


def _record(model: nn.Module, asked: Asked, fitted: Fit, score: Evaluation | None) -> Record:
    return Record(
        asked,
        "finished" if fitted.stopped_at is None else "stopped: loss is not finite",
        fitted.losses,
        held_out_loss=None if score is None else score.loss,
        held_out_accuracy=None if score is None else score.accuracy,
        seconds=fitted.seconds,
        stopped_at=fitted.stopped_at,
        network=_describe(model),
        machine=this_machine(str(torch.__version__), torch.get_num_threads()),
    )


def _describe(model: nn.Module) -> Mapping[str, Any]:
    if isinstance(model, MlpNetwork | ConvNetwork | TransformerNetwork):
        return spec_to_dict(model.spec)
    return {"module": type(model).__name__, "num_parameters": sum(parameter.numel() for parameter in model.parameters())}
