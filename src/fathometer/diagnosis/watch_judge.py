"""What a run has shown so far, and what is new to be said of it."""

from collections.abc import Callable
from dataclasses import replace
from math import isfinite

from fathometer.diagnosis.evidence import Evidence, without_readout
from fathometer.diagnosis.rules import judge
from fathometer.diagnosis.watch_alerts import ALERTS, Alert
from fathometer.diagnosis.watch_losses import Jump, LossHistory
from fathometer.diagnosis.watch_rules import judge_trail
from fathometer.diagnosis.watch_trail import Trail, first_movers
from fathometer.finding import Finding
from fathometer.instruments.recorder_reading import Reading

QUIET_STEPS, QUIET_READINGS = 25, 10  # an alert is told again after it was silent for so long
AS_PREFLIGHT = 16  # readings from one that the rules of the preflight judge, which cost more, to the next
LEARNT = ("attention_entropy_collapse", "attention_logit_growth")  # sharp attention is a fault at the start, and learnt later
OF_THE_DATA = ("bad_batch", "wrong_labels")  # no layer moved first
WhoseFault = Callable[[Jump], str]
_JUMPS = {
    "loss_spike": "The loss jumps to {loss:.3g} from {usual:.3g}, {deviations:.0f} of its deviations.",
    "bad_batch": "The loss jumps to {loss:.3g} from {usual:.3g}, on inputs that are unlike all before.",
    "wrong_labels": "The loss jumps to {loss:.3g} from {usual:.3g}; inputs and weights are as they were.",
}


class RunJudge:
    """Judges losses as they come and readings as they are made, and says each thing once, until it was silent for a while."""

    def __init__(self) -> None:
        self.losses, self.trail = LossHistory(), Trail()
        self._told_at: dict[str, int] = {}  # step, or number of readings, when it was last so
        self._count = 0
        self._at_first: set[str] | None = None

    def hear(self, step: int, loss: float, whose_fault: WhoseFault) -> list[Alert]:
        """Judge the loss of one step; which layer moved first is asked for what is told alone, for that takes long."""
        found = self._of_loss(step, loss, whose_fault)
        new = self._new([] if found is None else [found], step, QUIET_STEPS)
        return [one if one.name in OF_THE_DATA else replace(one, points=self._movers()) for one in new]

    def _of_loss(self, step: int, loss: float, whose_fault: WhoseFault) -> Alert | None:
        jump = self.losses.add(loss)
        if not isfinite(loss):
            name = whose_fault(Jump(loss, 0.0, float("inf")))
            is_data = name == "bad_batch"
            sentence = "The loss is not finite" + (", on inputs that are unlike all before." if is_data else ".")
            return Alert(name if is_data else "non_finite", step, sentence, "failure", number=loss)
        if jump is not None:
            name = whose_fault(jump)
            sentence = _JUMPS[name].format(loss=jump.loss, usual=jump.usual, deviations=jump.deviations)
            return Alert(name, step, sentence, "failure", number=jump.loss, limit=jump.usual)
        climb = self.losses.climb
        if climb is None:
            return None
        return Alert("loss_rising", step, f"The loss has climbed to {climb:.3g} times its best.", "failure", number=climb)

    def read(self, reading: Reading, is_passed_over: bool) -> list[Alert]:
        """Judge a measured step; one that a scaler passed over is not."""
        if is_passed_over:
            return []
        self.trail.add(reading.without_tensors())
        self._count += 1
        found = judge_trail(self.trail)
        if self._count % AS_PREFLIGHT == 1:
            known = {alert.name for alert in found}
            found += [alert for alert in self._as_preflight(reading) if alert.name not in known]
        return self._new(found, self._count, QUIET_READINGS)

    def _as_preflight(self, reading: Reading) -> list[Alert]:
        """Judge as before training, and tell what would not train and was not so when the run was first judged."""
        grave = [finding for finding in _grave(reading) if finding.cause in ALERTS and finding.cause not in LEARNT]
        if self._at_first is None:
            self._at_first = {finding.cause for finding in grave}
        found = [finding for finding in grave if finding.cause not in self._at_first]
        return [Alert(f.cause, reading.step, f.sentence, points=f.points, number=f.number, limit=f.limit) for f in found]

    def _movers(self) -> tuple[str, ...]:
        return tuple(mover.point for mover in first_movers(self.trail)) if self.trail.readings else ()

    def _new(self, found: list[Alert], clock: int, quiet: int) -> list[Alert]:
        """Return those that were not so a while ago, by a clock of steps or of readings."""
        new = [one for one in found if clock - self._told_at.get(one.name, -quiet - 1) > quiet]
        self._told_at.update({alert.name: clock for alert in found})
        return new


def _grave(reading: Reading) -> list[Finding]:
    return [one for one in judge(Evidence(without_readout(reading.profile))) if one.severity == "will not train"]
