"""One run: network and wishes in, trained network and record out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction
from fathometer.data import Batches, Dataset, digits, find_dataset
from fathometer.instruments.keep import generator_states, restore_generators
from fathometer.networks import ConvNetwork, MlpNetwork, TransformerNetwork, build, scales
from fathometer.parametrizations import WIDTH_AWARE, Scale
from fathometer.records import Asked, Record, this_machine
from fathometer.runs.folder import Resume, RunFolder
from fathometer.runs.keeping import Judge, Keeping
from fathometer.runs.meter import make_meter
from fathometer.runs.progress import OnProgress, progress_bar
from fathometer.runs.room import within_memory
from fathometer.spec import Spec, spec_to_dict
from fathometer.training import Evaluation, Fit, begin, evaluate, go_on
from fathometer.training.batch import device_of
from fathometer.training.parallel import rank, shard, world

MOST_TARGETS = 32_768  # of the held-out part, at the end: a mean loss in nats is then known to about a hundredth
FEW_TARGETS = 8_192  # between the steps, where it costs time


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
    folder: str | Path | RunFolder | None = None,
    resume: Resume = "latest",
    device: torch.device | str | None = None,
) -> Trained:
    """Train a spec, a preset or a copy of a module as asked, and return it with its record.

    `data` is None for the handwritten digits, the name of a data set, a `Dataset`, a pair of tensors (inputs, targets), or
    any iterable of batches (inputs, targets); only a data set has a held-out part to be judged on. `progress` is called
    with (step, total, loss) after each step; None draws a bar on a terminal once the run takes more than two seconds.
    `asked.seed` decides the start, the order of the data, and what dropout draws; the generators are left as they were.

    With a `folder` the run is kept there: every step in `log.jsonl`, checkpoints, and `record.json` at the end. The same run
    in the same folder goes on where its "latest" checkpoint (or the "previous" one) stands, in float32 on as many threads bit
    for bit. Data that are an iterable without a `state_dict` are then read from their start up to that place.

    Raises `RecordError` where the folder holds another run, or a checkpoint that cannot be used.

    >>> trained = train("mlp-5", Asked(steps=5))
    >>> trained.record.status, len(trained.record.losses)
    ('finished', 5)
    """
    source = named_data(data)
    batches = _batches(source, asked)
    model = deepcopy(network) if isinstance(network, nn.Module) else build(network, seed=asked.seed, device=device)
    described, multipliers = _describe(model), _scales(model)
    judge = _judge(model, source, asked, loss_fn)
    kept = RunFolder(folder) if isinstance(folder, str | Path) else folder
    if kept is not None:
        kept.claim(described, asked, dict(source.facts) if isinstance(source, Dataset) else {})
    with _own_randomness(asked.seed), nullcontext() if kept is None else closing(kept):
        course = begin(shard(model, asked), asked, multipliers)
        keeping = Keeping(course, kept, batches, judge)
        stream = keeping.start(resume)
        meter = make_meter(
            getattr(model, "spec", None),
            asked.steps,
            device_of(model),
            precision=asked.precision,
            world=world(),
            first=course.step,
        )
        watched = nullcontext() if kept is None or kept.watching is None else kept.watching(course)
        room = within_memory(course, meter.counted(stream), loss_fn)
        with room as noted, _shown(asked.steps, progress, meter.facts) as show, watched as observer:
            after, lost = keeping.after(show, meter), keeping.on_nonfinite
            observers = () if observer is None else (observer,)
            fitted = go_on(course, noted(), loss_fn=loss_fn, observers=observers, on_step=after, on_nonfinite=lost)
        fitted, score = keeping.end(fitted, meter)
    record = _record(described, asked, fitted, score, keeping.lost_in)
    if kept is not None:
        kept.finish(record)
    return Trained(model.eval(), record)


def _shown(
    total: int, progress: OnProgress | None, facts: Callable[[int, float], str]
) -> AbstractContextManager[Callable[[int, float], object]]:
    if progress is not None:
        return nullcontext(lambda step, loss: progress(step, total, loss))
    return progress_bar(total, facts) if rank() == 0 else nullcontext(lambda step, loss: None)


def _scales(model: nn.Module) -> Mapping[str, Scale] | None:
    """Return the multipliers that a network's parametrization gives the optimizer; None where it gives none."""
    is_ours = isinstance(model, MlpNetwork | ConvNetwork | TransformerNetwork)
    return scales(model) if is_ours and model.spec.init in WIDTH_AWARE else None


def named_data(data: Any) -> Any:
    """Return the data that a name stands for, or the handwritten digits where none was given; else the data as they are."""
    if data is None or isinstance(data, str):
        return digits() if data is None else find_dataset(data)
    return data


def _batches(source: Any, asked: Asked) -> Iterable[Any]:
    """Return this process's part of the batches to train on."""
    if isinstance(source, Dataset):
        return source.batches(asked.batch_size, asked.seed, rank=rank(), world=world())
    if isinstance(source, tuple | list) and len(source) == 2 and all(isinstance(part, Tensor) for part in source):
        return Batches(source[0], source[1], asked.batch_size, asked.seed, rank=rank(), world=world())
    return source


def _judge(model: nn.Module, source: Any, asked: Asked, loss_fn: LossFunction | None) -> Judge | None:
    """Return what measures the model on the held-out part, at the end or between steps; None where there is none."""
    if not isinstance(source, Dataset):
        return None

    def judge(at_end: bool) -> Evaluation:
        batches = _first(source.held_out(asked.batch_size), MOST_TARGETS if at_end else FEW_TARGETS)
        return evaluate(model, batches, loss_fn=loss_fn)

    return judge


def _first(batches: Iterable[tuple[Tensor, Tensor]], most: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches until they hold that many targets."""
    seen = 0
    for inputs, targets in batches:
        yield inputs, targets
        seen += targets.numel()
        if seen >= most:
            return


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed torch's generators, for dropout and the like, and give all generators back as they were."""
    states = generator_states()
    try:
        torch.manual_seed(seed + rank())
        yield
    finally:
        restore_generators(states)


def _record(network: Mapping[str, Any], asked: Asked, fitted: Fit, score: Evaluation | None, lost_in: str | None) -> Record:
    return Record(
        asked,
        fitted.status,
        fitted.losses,
        held_out_loss=None if score is None else score.loss,
        held_out_accuracy=None if score is None else score.accuracy,
        seconds=fitted.seconds,
        stopped_at=fitted.stopped_at,
        network=network,
        machine=this_machine(str(torch.__version__), torch.get_num_threads()),
        stopped_in=lost_in,
    )


def _describe(model: nn.Module) -> Mapping[str, Any]:
    if isinstance(model, MlpNetwork | ConvNetwork | TransformerNetwork):
        return spec_to_dict(model.spec)
    return {"module": type(model).__name__, "num_parameters": sum(parameter.numel() for parameter in model.parameters())}
