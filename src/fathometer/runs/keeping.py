"""What happens between the steps of a run: show, log, judge, save."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from fathometer.contract import call, known_targets, loss_of, output_tensor, split_batch
from fathometer.errors import FathometerError
from fathometer.instruments import first_non_finite, unchanged
from fathometer.runs.folder import Resume, RunFolder
from fathometer.runs.meter import Meter
from fathometer.training import Course, Evaluation, Fit
from fathometer.training.loop import endless
from fathometer.training.parallel import local

Judge = Callable[[bool], Evaluation]  # of whether it is the end, and may take its time


@dataclass(frozen=True)
class Keeping:
    """A course with its folder, its data and what judges it; without a folder nothing is written."""

    course: Course
    folder: RunFolder | None
    batches: Iterable[Any]
    judge: Judge | None
    _lost: list[str | None] = field(default_factory=list)

    @property
    def lost_in(self) -> str | None:
        """Return where the numbers were first not finite, if they were and it was found."""
        return self._lost[-1] if self._lost else None

    def start(self, resume: Resume) -> Iterator[Any]:
        """Go to where the folder's checkpoint stands, if there is one; return the batches from there on."""
        facts = None if self.folder is None else self.folder.resume(self.course, resume)
        if self.folder is not None:
            self.folder.open_log(self.course.step)
        stream = self.batches
        if facts is not None and facts["data"] is not None:
            stream.load_state_dict(facts["data"])  # pyrefly: ignore[missing-attribute]  (it has one, for it gave a state)
            return endless(stream)
        stream = endless(stream)
        for _ in range(self.course.step):
            next(stream)
        return stream

    def after(self, show: Callable[[int, float], object], meter: Meter) -> Callable[[int, float], None]:
        """Return what is done after each step."""
        asked = self.course.asked

        def act(step: int, loss: float) -> None:
            show(step, loss)
            self._log_step(step, loss, meter)
            with meter.pause():
                if asked.evaluate_every is not None and step % asked.evaluate_every == 0 and step < asked.steps:
                    self._judged(at_end=False)
                is_due = asked.save_every is not None and step % asked.save_every == 0 and step < asked.steps
                is_told = self.folder is not None and self.folder.should_stop()
                if self.folder is not None and (is_due or is_told):
                    self._save()
            if is_told:
                raise KeyboardInterrupt

        return act

    def on_nonfinite(self, step: int, model: nn.Module, batch: Any) -> None:
        """Find and log where the numbers were first not finite."""
        self._lost.append(where_lost(model, batch))
        if self.folder is not None:
            self.folder.log({"step": step, "not_finite": self._lost[-1]})

    def end(self, fitted: Fit, meter: Meter) -> Evaluation | None:
        """Judge and save what the last step has left; weights that had diverged are not worth a number."""
        if fitted.stopped_at is not None:
            return None
        score = self._judged(at_end=True, is_new=self.course.step > meter.first)
        if self.folder is not None and self.course.step > meter.first:
            self._save()
        return score

    def _log_step(self, step: int, loss: float, meter: Meter) -> None:
        if self.folder is None:
            return
        norm = {} if self.course.gradient_norm is None else {"gradient_norm": self.course.gradient_norm}
        speed = {f"{meter.unit}_per_second": round(meter.speed, 1), "utilisation": meter.utilisation}
        self.folder.log({"step": step, "loss": loss, "rate": self.course.rate, **norm, "seconds": self.course.seconds, **speed})

    def _judged(self, *, at_end: bool, is_new: bool = True) -> Evaluation | None:
        if self.judge is None:
            return None
        score, step = self.judge(at_end), self.course.step
        if self.folder is not None and is_new:
            self.folder.log({"step": step, "held_out_loss": score.loss, "held_out_accuracy": score.accuracy})
        return score

    def _save(self) -> None:
        assert self.folder is not None
        state = self.batches.state_dict() if hasattr(self.batches, "state_dict") else None
        self.folder.save(self.course, {"data": state})


def where_lost(model: nn.Module, batch: Any) -> str | None:
    """Return the module, and the operation in it, whose result is first not finite; else a parameter whose gradient is not.

    That is the last such one: going back, there it begins. None where all are finite: then the loss itself is not.
    """
    inputs, targets = split_batch(batch)
    with unchanged(model):
        found = first_non_finite(
            model, lambda: call(model, inputs), lambda output: _end_of(output, known_targets(inputs, targets))
        )
    if found is not None and found.operation is not None:
        where = "the loss" if found.module is None else found.module or "the model"
        return f"{where} ({'the derivative of ' if found.in_backward else ''}{found.operation})"
    gradients = [(name, parameter.grad) for name, parameter in model.named_parameters() if parameter.grad is not None]
    broken = [name for name, gradient in gradients if not bool(local(gradient).isfinite().all())]
    return f"the gradient of {broken[-1]}" if broken else None


def _end_of(output: Any, targets: Any) -> Tensor:
    """Return the default loss; the sum of the outputs where a loss function of the user's was in its place."""
    try:
        loss = loss_of(output, targets)
    except FathometerError:
        loss = None
    return output_tensor(output).sum() if loss is None else loss
