"""A run that is watched: measured, judged, written, and let go."""

from collections.abc import Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction
from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.watch_alerts import Alert, known_alerts
from fathometer.diagnosis.watch_batches import BatchHistory
from fathometer.diagnosis.watch_cost import Cost, CostMeter
from fathometer.diagnosis.watch_flight import FlightRecorder
from fathometer.diagnosis.watch_judge import RunJudge
from fathometer.diagnosis.watch_losses import Jump
from fathometer.errors import ModelError
from fathometer.instruments.recorder import StepRecorder
from fathometer.instruments.recorder_mailbox import Mailbox
from fathometer.instruments.recorder_reading import Reading
from fathometer.sinks import sink_of

MARK = "_fathometer_watch"  # on a model while it is watched
CLOSE_LOOK = 8  # steps after an alert that are all measured


class Watch:
    """A run that is watched, as a `with` block: `watch` makes one.

    Outside of the block nothing of it is left on the model.
    `alerts` are all that were told; `profile` is the last measured one, `readings` the last ones; `should_stop` says whether
    an alert came that was asked to stop the run; `cost` what it all takes; `spike_score` is that of OLMo 2.
    """

    def __init__(self, recorder: StepRecorder, meter: CostMeter, record: Any, stop_on: Iterable[str]) -> None:
        self.recorder, self.meter, self.stop_on = recorder, meter, known_alerts(stop_on)
        self.sink, folder = sink_of(record)
        self.loss_fn: LossFunction | None = None
        self.alerts: list[Alert] = []
        self.judge, self.flight = RunJudge(), FlightRecorder(folder)
        self.steps = self._first = 0
        self._mailbox, self._batches = Mailbox(), BatchHistory()
        self._losses: list[tuple[int, float]] = []  # since the last row
        self._unread: list[tuple[int, float]] = []  # of several processes, until they are averaged
        self._fresh: list[Alert] = []
        self._clock: float | None = None
        self._late = 0.0  # seconds that reading the last step took, after it was told
        self.is_open = self._is_waiting = False
        self._close_until = 0

    def after(self, step: int) -> "Watch":
        """Return the same, to count on from a step: for a run that goes on from a checkpoint."""
        self.steps = self._first = step
        return self

    def __enter__(self) -> "Watch":
        model = self.recorder.inner
        if MARK in vars(model):
            raise ModelError(
                f"This {type(model).__name__} is being watched already",
                "One model has one watch at a time",
                "End the `with` block of the other one first, or read that one",
            )
        if self.recorder.ranks.is_first:  # before the mark: a record that cannot begin raises
            price, budget = self.recorder.price.name, self.meter.budget
            self.sink.begin({"model": type(model).__name__, "price": price, "budget": budget, "after_step": self._first})
        vars(model)[MARK] = True
        self.is_open = True
        try:
            self._prepare()
        except BaseException as problem:  # of the user's own schedule
            self.__exit__(type(problem), problem, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        self.is_open = False
        vars(self.recorder.inner).pop(MARK, None)
        self.recorder.when_moved = None
        self.recorder.let_go()
        if kind is None:
            self._read_losses(wait=True)
        elif self.recorder.ranks.is_first:
            self.flight.write(f"crash: {kind.__name__}", self.steps, self.alerts[-8:])
        if self.recorder.ranks.is_first:
            how = "finished" if kind is None else f"ended by {kind.__name__}"
            row = {"step": self.steps, "how": how, "cost": str(self.cost), "spike_score": self.spike_score}
            self.sink.end({**row, "losses": self._losses})

    def __call__(self, step: int, model: nn.Module, loss: Tensor) -> None:
        """Take part in our own training loop as an observer."""
        self.step(loss)

    def __str__(self) -> str:
        price = self.recorder.price.name
        return "\n".join([f"watched at the price {price}: {self.cost}", *(str(alert) for alert in self.alerts)])

    @property
    def cost(self) -> Cost:
        """Return what watching has cost so far."""
        return self.meter.cost

    @property
    def spike_score(self) -> float:
        """Return the share of losses that are spikes, as OLMo 2 counts them."""
        return self.judge.losses.spikes.score

    @property
    def readings(self) -> list[Reading]:
        """Return the last measured steps."""
        return list(self.judge.trail.readings)

    @property
    def profile(self) -> DepthProfile | None:
        """Return the last measured step as a profile; None before the first."""
        return self.judge.trail.readings[-1].profile if self.judge.trail.readings else None

    @property
    def should_stop(self) -> bool:
        """Return whether an alert came that was to stop the run."""
        return any(alert.name in self.stop_on for alert in self.alerts)

    def step(self, loss: Tensor | float | None, batch: Any = None) -> tuple[Alert, ...]:
        """Say that a step is done, or all but the optimizer's part of it, and return the alerts that are new.

        Called once for each step of the optimizer, after the backward pass; with accumulation, `loss` is the mean over the
        parts; None where it is not known. With the `batch`, (inputs, targets) or a dictionary, a jump of the loss can be laid
        at the data's door.
        """
        if not self.is_open:
            raise ModelError("This watch is closed", "It watches inside its `with` block", "with fm.watch(model) as watch: …")
        if self._is_waiting:  # the optimizer did not move: a scaler passed over the step
            self._complete()
        self.steps += 1
        was_measured, now = self.recorder.is_armed, perf_counter()
        self.meter.add(None if self._clock is None else now - self._clock - self._late, was_measured)
        self._clock, self._late = now, 0.0
        if loss is not None:
            self._mailbox.post(self.steps, loss)
            if batch is not None and not self.recorder.ranks.is_shared:  # each process has another batch; all must say the same
                self._batches.post(self.steps, batch)
        self._read_losses()
        if was_measured and self.recorder.optimizers and not self.recorder.has_moved:
            self._is_waiting, self.recorder.when_moved = True, self._complete
        elif was_measured:
            self._complete()
        else:
            self._prepare()
        fresh, self._fresh = tuple(self._fresh), []
        return fresh

    def _is_due(self, step: int) -> bool:
        return step <= self._close_until or self.meter.is_due(step)

    def _prepare(self) -> None:
        """Arm the recorder if the next step is to be measured."""
        if self.is_open and self._is_due(self.steps + 1):
            self.recorder.arm()

    def _complete(self) -> None:
        """Read the step that was measured, judge it, and write it."""
        start = perf_counter()
        self._is_waiting, self.recorder.when_moved = False, None
        is_passed_over = bool(self.recorder.optimizers) and not self.recorder.has_moved
        reading = self.recorder.finish(self.steps, stay=self._is_due(self.steps + 1))
        self._read_losses(wait=True)
        last = self.judge.losses.last
        reading = reading.with_facts(loss=last, spike_score=self.spike_score, passed_over=int(is_passed_over))
        self.flight.readings.append(reading)
        self._tell(self.judge.read(reading, is_passed_over))
        if self.meter.budget is not None:
            (needed,) = self.recorder.ranks.most([float(self.meter.needed)], self.recorder.parameters.device)
            self.meter.pause = int(needed)
        if self.sink.sinks and self.recorder.ranks.is_first:
            row = {**reading.to_row(), "points": list(reading.points), "loss": last, "losses": self._losses}
            self.sink.log({**row, "cost": str(self.cost)}, self.steps)
        self._losses = []
        self._prepare()
        if not self._is_due(self.steps + 1):
            self.recorder.let_go()
        self._late = perf_counter() - start
        self.meter.add_to_last(self._late)

    def _read_losses(self, wait: bool = False) -> None:
        """Judge the losses that have arrived; of several processes their mean, which is made with each measured step."""
        arrived = self._mailbox.collect(wait)
        if self.recorder.ranks.is_shared:
            self._unread += arrived
            arrived = self._averaged() if wait and self._unread else []
        for step, loss in arrived:
            self._losses.append((step, loss))
            self.flight.losses.append((step, loss))
            is_known = self._batches.note(step, loss)
            self._tell(self.judge.hear(step, loss, partial(self._whose_fault, is_known)))

    def _averaged(self) -> list[tuple[int, float]]:
        """Return the mean over the processes of the losses since the last measured step."""
        if not self.is_open:
            return []  # at the end of the block others may be gone
        values = torch.tensor([loss for _, loss in self._unread], device=self.recorder.parameters.device)
        means = self.recorder.ranks.mean(values).tolist()
        found = [(step, mean) for (step, _), mean in zip(self._unread, means, strict=True)]
        self._unread = []
        return found

    def _whose_fault(self, is_known: bool, jump: Jump) -> str:
        """Return the name of a jump: the inputs', the targets', or neither's; the last where the batch is not known."""
        if not is_known:
            return "loss_spike"
        if self._batches.is_odd:
            return "bad_batch"
        well = self._batches.weights_are_well(self.recorder.inner, self.loss_fn, jump)
        return "wrong_labels" if well else "loss_spike"

    def _tell(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self.alerts.append(alert)
            self._fresh.append(alert)
            self._close_until = self.steps + CLOSE_LOOK
            if self.recorder.ranks.is_first:
                self.sink.alert(alert.to_dict(), alert.step)
                if alert.gravity == "failure":
                    self.flight.write(alert.name, alert.step, [alert])
