"""What happens between the steps of a run: show, log, judge, save."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from fathometer.contract import call, known_targets, loss_of, output_tensor, split_batch, tensors_in
from fathometer.errors import FathometerError
from fathometer.instruments import first_non_finite, unchanged
from fathometer.runs.folder import Resume, RunFolder
from fathometer.runs.meter import Meter
from fathometer.training import Course, Evaluation, Fit
from fathometer.training.loop import endless
from fathometer.training.parallel import local
from fathometer.training.state import is_finite
from fathometer.training.step import NotFinite

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

    def after(self, show: Callable[[int, float], object], meter: Meter) -> Callable[[int, float], NotFinite | None]:
        """Return what is done after each step; it says "weight" where one that should be saved is not finite."""
        asked = self.course.asked

        def act(step: int, loss: float) -> NotFinite | None:
            show(step, loss)
            self._log_step(step, loss, meter)
            with meter.pause():
                if asked.evaluate_every is not None and step % asked.evaluate_every == 0 and step < asked.steps:
                    self._judged(at_end=False)
                is_due = asked.save_every is not None and step % asked.save_every == 0 and step < asked.steps
                is_told = self.folder is not None and self.folder.should_stop()
                is_lost = self.folder is not None and (is_due or is_told) and not self._save()
            if is_told:
                raise KeyboardInterrupt
            return "weight" if is_lost else None

        return act

    def on_nonfinite(self, step: int, model: nn.Module, batch: Any) -> None:
        """Find and log where the numbers were first not finite."""
        self._lost.append(where_lost(model, batch))
        if self.folder is not None:
            self.folder.log({"step": step, "not_finite": self._lost[-1]})

    def end(self, fitted: Fit, meter: Meter) -> tuple[Fit, Evaluation | None]:
        """Judge and save what the last step has left; weights that had diverged are not worth a number."""
        if fitted.stopped_at is not None:
            return fitted, None
        is_new = self.course.step > meter.first
        if self.folder is not None and is_new and not is_finite(self.course.model):
            self._save()
            return replace(fitted, stopped_at=self.course.step + 1, status="stopped: weight is not finite"), None
        score = self._judged(at_end=True, is_new=is_new)
        if self.folder is not None and is_new:
            self._save()
        return fitted, score

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

    def _save(self) -> bool:
        """Save, and return whether that could be: where a weight is not finite it is named."""
        assert self.folder is not None
        state = self.batches.state_dict() if hasattr(self.batches, "state_dict") else None
        if self.folder.save(self.course, {"data": state}) is not None:
            return True
        broken = (name for name, value in self.course.model.state_dict().items() if not bool(local(value).isfinite().all()))
        self._lost.append(next(broken, None))
        return False


def where_lost(model: nn.Module, batch: Any) -> str | None:
    """Return the module, and the operation in it, whose result is first not finite; else a parameter whose gradient is not.

    That is the last such one: going back, there it begins. Else the inputs, and None where all of it is finite: then the loss
    itself is not.
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
    if broken:
        return f"the gradient of {broken[-1]}"
    given = [tensor for _, tensor in tensors_in(inputs) if tensor.is_floating_point()]
    return None if all(bool(tensor.isfinite().all()) for tensor in given) else "the inputs of the batch"


def _end_of(output: Any, targets: Any) -> Tensor:
    """Return the default loss; the sum of the outputs where a loss function of the user's was in its place."""
    try:
        loss = loss_of(output, targets)
    except FathometerError:
        loss = None
    return output_tensor(output).sum() if loss is None else loss
