"""Does it train? Short real runs against the best blind predictor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction, batch_size, known_targets, split_batch, take_samples
from fathometer.diagnosis.blind import least_constant_loss
from fathometer.errors import BatchError
from fathometer.records import Asked, Record, this_machine
from fathometer.training import evaluate, fit

RATES, NUM_SEEDS = (3e-4, 1e-3, 3e-3), 3
MARGIN = 0.05  # a run must end 5% under the blind predictor: within that is the noise of a small held-out set
SMALLEST_HALF = 8  # samples; a smaller batch is always used whole
MOST_BATCHES = 200  # as many batches of a loader are kept for the runs; a fifth of them is held out


@dataclass(frozen=True)
class TrialData:
    """Batches to train on, batches held out, and how they are judged."""

    train: tuple[Any, ...]
    held_out: tuple[Any, ...]
    loss_fn: LossFunction | None = None


@dataclass(frozen=True)
class Trial:
    """Short runs of one network: the sweep of learning rates, then every seed at the best one.

    `blind_loss` is the held-out loss of the best constant output. `records` are the runs at `learning_rate`, one for each
    seed; `sweep` holds (rate, held-out loss) of the first seed.
    """

    learning_rate: float
    blind_loss: float
    records: tuple[Record, ...]
    sweep: tuple[tuple[float, float], ...]

    @property
    def losses(self) -> tuple[float, ...]:
        """Return the held-out loss of each seed; infinite for a run that was stopped."""
        return tuple(final_loss(record) for record in self.records)

    @property
    def trains(self) -> bool:
        """Return whether every seed ends clearly below the best input-blind predictor."""
        return all(loss < self.blind_loss - MARGIN * abs(self.blind_loss) for loss in self.losses)

    @property
    def middle_loss(self) -> float:
        """Return the median held-out loss over the seeds."""
        return sorted(self.losses)[len(self.losses) // 2]

    @property
    def middle_accuracy(self) -> float | None:
        """Return the median held-out accuracy over the seeds, None where there is none."""
        known = sorted(record.held_out_accuracy for record in self.records if record.held_out_accuracy is not None)
        return known[len(known) // 2] if known else None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, as `from_dict` reads it."""
        return {**asdict(self), "records": [record.to_dict() for record in self.records], "sweep": [list(p) for p in self.sweep]}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Trial":
        """Return the trial that `to_dict` wrote."""
        records = tuple(Record.from_dict(record) for record in table["records"])
        sweep = tuple((rate, loss) for rate, loss in table["sweep"])
        return cls(table["learning_rate"], table["blind_loss"], records, sweep)


def trial_data(batch: Any, data: Iterable[Any] | None, loss_fn: LossFunction | None) -> TrialData:
    """Return what to train on and what to hold out: a fifth of the loader's batches, or of the one batch's samples."""
    batches = [batch] if data is None else list(islice(iter(data), MOST_BATCHES))
    if not batches:
        raise BatchError("The data hold no batches", "Short training runs need some", "Pass an iterable of (inputs, targets)")
    for each in batches:
        inputs, targets = split_batch(each)
        if known_targets(inputs, targets) is None:
            raise BatchError("The batches have inputs alone", "Training needs targets", "Pass (inputs, targets)")
    if len(batches) >= 5:
        return TrialData(tuple(batches[: -(len(batches) // 5)]), tuple(batches[-(len(batches) // 5) :]), loss_fn)
    size = min(batch_size(split_batch(each)[0]) for each in batches)
    if size < 5:
        raise BatchError(
            f"The batch has {size} samples", "A fifth of them is held out", "Pass at least 5, or data= with more batches"
        )
    parts = [_split(each) for each in batches]
    return TrialData(tuple(train for train, _ in parts), tuple(held_out for _, held_out in parts), loss_fn)


def _split(batch: Any) -> tuple[Any, Any]:
    """Return four fifths and one fifth of a batch's samples, drawn at random: a batch may be sorted by class."""
    size = batch_size(split_batch(batch)[0])
    order = torch.randperm(size, generator=torch.Generator().manual_seed(0), device="cpu")
    return take_samples(batch, order[size // 5 :]), take_samples(batch, order[: size // 5])


def run_trial(
    make: Callable[[int], nn.Module],
    data: TrialData,
    asked: Asked,
    *,
    rates: Sequence[float] = RATES,
    num_seeds: int = NUM_SEEDS,
    on_step: Callable[[], None] | None = None,
) -> Trial:
    """Sweep the learning rates with the first seed, then train with every seed at the best one.

    `make(seed)` returns a fresh network; the seed also orders the batches. `on_step` is called after each step of each run.
    """
    sweep = [run_once(make, data, replace(asked, learning_rate=rate, seed=0), on_step) for rate in rates]
    best = min(sweep, key=final_loss)
    rate = best.asked.learning_rate
    others = [run_once(make, data, replace(asked, learning_rate=rate, seed=seed), on_step) for seed in range(1, num_seeds)]
    points = tuple((record.asked.learning_rate, final_loss(record)) for record in sweep)
    return Trial(rate, blind_loss(make(0), data), (best, *others), points)


def run_once(
    make: Callable[[int], nn.Module], data: TrialData, asked: Asked, on_step: Callable[[], None] | None = None
) -> Record:
    """Train one fresh network as asked, its batches in the order that the seed decides, and return what came of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(asked.seed)
        model = make(asked.seed)
        order = torch.Generator().manual_seed(asked.seed)
        tell = None if on_step is None else lambda step, loss: on_step()
        result = fit(model, _shuffled(data.train, order), asked, loss_fn=data.loss_fn, on_step=tell)
        # A run that was stopped has no held-out loss: its weights are those of a network that had diverged.
        held_out = None if result.stopped_at else evaluate(model, data.held_out, loss_fn=data.loss_fn)
    return Record(
        asked,
        result.status,
        result.losses,
        None if held_out is None else held_out.loss,
        None if held_out is None else held_out.accuracy,
        result.seconds,
        result.stopped_at,
        machine=this_machine(torch.__version__, torch.get_num_threads()),
    )


def _shuffled(batches: Sequence[Any], generator: torch.Generator) -> Iterable[Any]:
    """Yield the batches in random order, for ever; of one alone a random half each time, so that seeds are not the same."""
    size = batch_size(split_batch(batches[0])[0])
    while len(batches) == 1 and size >= 2 * SMALLEST_HALF:
        yield take_samples(batches[0], torch.randperm(size, generator=generator, device="cpu")[: size // 2])
    while True:
        for index in torch.randperm(len(batches), generator=generator, device="cpu").tolist():
            yield batches[index]


def final_loss(record: Record) -> float:
    """Return the held-out loss of a run; infinite for one that was stopped."""
    loss = record.held_out_loss
    return float("inf") if loss is None or loss != loss else loss


def blind_loss(model: nn.Module, data: TrialData) -> float:
    """Return the lowest held-out loss of an output that is the same for every input.

    Class frequencies for cross-entropy and the mean for squared error; a loss function of the user's is minimised by
    `least_constant_loss`. Raises `BatchError` where nothing can be learnt.
    """
    pairs = [(inputs, known_targets(inputs, targets)) for inputs, targets in map(split_batch, data.held_out)]
    if data.loss_fn is not None:
        return least_constant_loss(model, pairs, data.loss_fn)
    targets = [target for _, target in pairs]
    if not all(isinstance(target, Tensor) for target in targets):
        kind = type(targets[0]).__name__
        raise BatchError(f"The targets are a {kind}", "The best constant answer is found for a tensor", "Pass loss_fn= as well")
    integer = not targets[0].is_floating_point()
    blind = _entropy(torch.cat([t.reshape(-1) for t in targets])) if integer else _variance(torch.cat(targets))
    if blind <= 0:
        raise BatchError("All held-out targets are the same", "There is nothing to learn from them", "Pass more data")
    return blind


def _entropy(targets: Tensor) -> float:
    counts = torch.unique(targets[targets != -100], return_counts=True)[1].double()
    return float(-(counts / counts.sum() * (counts / counts.sum()).log()).sum())


def _variance(targets: Tensor) -> float:
    return float((targets.double() - targets.double().mean(dim=0)).square().mean())
