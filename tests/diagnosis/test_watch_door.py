"""A jump is laid at the right door also when its loss arrives late, and asking is neither dear nor dangerous."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fathometer as fm
from fathometer.diagnosis.watch_batches import POSTED, BatchHistory
from fathometer.diagnosis.watch_judge import QUIET_STEPS, RunJudge
from fathometer.diagnosis.watch_losses import Jump
from fathometer.instruments.recorder_mailbox import Mailbox


class LateMailbox(Mailbox):
    """Answers one step late, as a device does; all of it to one who waits."""

    def collect(self, wait: bool = False) -> list[tuple[int, float]]:
        """Return the losses of all steps but the last one."""
        newest = None if wait or not self._waiting else self._waiting.pop()
        found = super().collect(wait)
        if newest is not None:
            self._waiting.append(newest)
        return found


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Return a batch of an easy task."""
    inputs = torch.randn(64, 16, generator=torch.Generator().manual_seed(step))
    return inputs, inputs[:, :4].argmax(1)


def faulty(step: int, fault: str | None) -> tuple[Tensor, Tensor]:
    """Return a batch of noise for inputs, or of wrong targets."""
    inputs, targets = batch(step)
    noise = 30 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(-step))
    return (noise, targets) if fault == "inputs" else (inputs, (targets + 1) % 4)


def network() -> nn.Module:
    """Return a small network."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Sequential(nn.Linear(16, 16), nn.ReLU()) for _ in range(4)), nn.Linear(16, 4))


@pytest.mark.parametrize("is_early", [False, True], ids=["told after the optimizer", "told before it"])
@pytest.mark.parametrize(
    ("fault", "at_fault", "name"),
    [
        ("inputs", 58, "bad_batch"),
        ("inputs", 60, "bad_batch"),
        ("targets", 148, "wrong_labels"),
        ("targets", 150, "wrong_labels"),
    ],
)
def test_a_loss_that_arrives_late_is_judged_with_its_own_batch(fault: str, at_fault: int, name: str, is_early: bool) -> None:
    """One step late, and in the waiting read of a measured step (60 and 150 are), the name is that of the batch at fault."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with fm.watch(model, optimizer, every=10) as watch:
        watch._mailbox = LateMailbox()
        for at in range(1, at_fault + 4):
            inputs, targets = faulty(at, fault) if at == at_fault else batch(at)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), targets)
            loss.backward()
            if is_early:
                watch.step(loss, (inputs, targets))
            optimizer.step()
            if not is_early:
                watch.step(loss, (inputs, targets))
    assert [(alert.name, alert.step) for alert in watch.alerts] == [(name, at_fault)]
    assert [reading.step for reading in watch.readings][:3] == [1, 10, 20]
    assert {reading.facts["batch_size"] for reading in watch.readings} == {64}  # the pass that asked is no part of a step
    assert not watch._batches._posted


def test_few_batches_wait_for_their_losses() -> None:
    """A device that never answers holds the last few batches, and a loss whose batch is gone is laid at no door."""
    history = BatchHistory()
    for at in range(1, POSTED + 4):
        history.post(at, batch(at))

    assert len(history._posted) == POSTED
    assert [history.note(at, 1.0) for at in (1, 3, 4, POSTED + 3)] == [False, False, True, True]


def test_inputs_that_cannot_be_sampled_stop_nothing() -> None:
    """A sparse tensor, or none, is a batch of which nothing is known."""
    history = BatchHistory()
    for at, given in enumerate((torch.eye(4).to_sparse(), "words", torch.eye(4))):
        history.post(at, (given, given))

    assert [history._posted[at][1] is None for at in range(3)] == [True, True, False]


@pytest.mark.parametrize("problem", [KeyError, IndexError, ValueError, AssertionError, RuntimeError])
def test_a_model_that_refuses_the_batch_before_stops_nothing(problem: type[Exception]) -> None:
    """Whatever the model raises when it is asked once more, the answer is that it is not known."""

    class Refuses(nn.Module):
        """Raises."""

        def forward(self, inputs: Tensor) -> Tensor:
            raise problem("no")

    history = BatchHistory()
    for at in (1, 2):
        history.post(at, batch(at))
        history.note(at, 1.0)

    assert history.weights_are_well(Refuses(), None, Jump(9.0, 1.0, 8.0)) is None


def test_movers_are_looked_for_once_for_what_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a loss stays not finite, or climbed, nothing is told again, and no step looks for the layer that moved first."""
    judge, asked = RunJudge(), list[int]()
    monkeypatch.setattr(judge, "_movers", lambda: (asked.append(1), ("3",))[1])
    found = [alert for at in range(1, 400) for alert in judge.hear(at, float("nan"), lambda jump: "loss_spike")]
    assert [(one.name, one.step, one.points) for one in found] == [("non_finite", 1, ("3",))]
    assert len(asked) == 1

    judge, asked = RunJudge(), list[int]()
    monkeypatch.setattr(judge, "_movers", lambda: (asked.append(1), ("3",))[1])
    losses = [1.0] * 40 + [1.02**at for at in range(200)]
    found = [alert for at, loss in enumerate(losses) for alert in judge.hear(at, loss, lambda jump: "loss_spike")]
    assert [(one.name, one.points) for one in found] == [("loss_rising", ("3",))]
    assert len(asked) == 1


def test_the_data_has_no_layer_that_moved_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spike has one; it is told again once it was silent for long enough; inputs and targets have none."""
    for name, points in (("loss_spike", ("3",)), ("bad_batch", ()), ("wrong_labels", ())):
        judge = RunJudge()
        monkeypatch.setattr(judge, "_movers", lambda: ("3",))
        losses = ([1.0] * (QUIET_STEPS + 5) + [9.0]) * 2
        found = [alert for at, loss in enumerate(losses) for alert in judge.hear(at, loss, lambda jump, name=name: name)]
        assert [(one.name, one.points, one.number) for one in found] == [(name, points, pytest.approx(9.0))] * 2
