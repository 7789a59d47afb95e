"""A watch lets go, says what happened, holds its budget, and is one at a time."""

import gc
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fathometer as fm
from fathometer import json_text
from fathometer.diagnosis.watch_cost import CostMeter
from fathometer.diagnosis.watch_flight import SCHEMA
from fathometer.diagnosis.watch_losses import LossHistory, SpikeCounter, spike_score
from fathometer.errors import ModelError, SpecError, TargetError
from fathometer.instruments.recorder_schedule import every_nth, log_spaced
from fathometer.records import Asked
from fathometer.sinks import read_run_record
from fathometer.training import begin, go_on

Loop = tuple[nn.Module, torch.optim.Optimizer]


def loop(depth: int = 4, rate: float = 1e-3, seed: int = 0) -> Loop:
    """Return a small network and its optimizer."""
    torch.manual_seed(seed)
    model = nn.Sequential(*(nn.Sequential(nn.Linear(16, 16), nn.ReLU()) for _ in range(depth)), nn.Linear(16, 4))
    return model, torch.optim.Adam(model.parameters(), lr=rate)


def batch(step: int, size: int = 64) -> tuple[Tensor, Tensor]:
    """Return a batch of an easy task."""
    inputs = torch.randn(size, 16, generator=torch.Generator().manual_seed(step))
    return inputs, inputs[:, :4].argmax(1)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, given: tuple[Tensor, Tensor]) -> Tensor:
    """Take a step and return its loss."""
    optimizer.zero_grad()
    loss = F.cross_entropy(model(given[0]), given[1])
    loss.backward()
    optimizer.step()
    return loss


def traces(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[object]:
    """Return everything that a watch could leave: hooks of modules and optimizer, marks, modes."""
    hooks = [dict(table) for module in model.modules() for name, table in vars(module).items() if "hooks" in name]
    own = [dict(optimizer._optimizer_step_pre_hooks), dict(optimizer._optimizer_step_post_hooks)]
    marks = [set(vars(module)) for module in model.modules()]
    return [*hooks, *own, marks, torch._C._len_torch_function_stack()]


def test_between_measured_steps_nothing_is_there() -> None:
    """Right after a measured step, and until the next, the model and the optimizer have no hook."""
    model, optimizer = loop()
    before = traces(model, optimizer)[:-2]
    with fm.watch(model, optimizer, every=4) as watch:
        for at in range(1, 10):
            is_next_measured = (at + 1) % 4 == 0
            watch.step(step(model, optimizer, batch(at)))
            assert (traces(model, optimizer)[:-2] == before) != is_next_measured, at

    assert [reading.step for reading in watch.readings] == [1, 4, 8]


@pytest.mark.parametrize("problem", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["forward", "after"])
def test_nothing_is_left_after_the_block(problem: type[BaseException] | None, where: str, tmp_path: Path) -> None:
    """Hooks, marks and torch's modes are as before, also after an exception in the middle of a measured forward pass."""
    model, optimizer = loop()
    before = traces(model, optimizer)

    def fail(module: nn.Module, args: object) -> None:
        if problem is not None and failing:
            raise problem("stop")

    failing = False
    handle = model[2].register_forward_pre_hook(fail)
    inside = pytest.raises(problem) if problem is not None else pytest.MonkeyPatch.context()
    with inside, fm.watch(model, optimizer, every=1, record=tmp_path) as watch:
        for at in range(4):
            watch.step(step(model, optimizer, batch(at)))
        failing = True
        if where == "forward":
            step(model, optimizer, batch(9))
        elif problem is not None:
            raise problem("stop")
    handle.remove()

    assert traces(model, optimizer) == before
    assert len(list(tmp_path.glob("flight-*.json"))) == (problem is not None)


def test_weights_and_randomness_are_those_of_an_unwatched_run() -> None:
    """Watched at every step, with dropout, a run ends with the very same weights, bit for bit."""
    ends = []
    for watched in (False, True):
        model, optimizer = loop()
        model.insert(1, nn.Dropout(0.1))
        torch.manual_seed(5)
        with fm.watch(model, optimizer, every=1 if watched else 10**6) as watch:
            for at in range(12):
                watch.step(step(model, optimizer, batch(at)), batch(at))
        ends.append([parameter.detach().clone() for parameter in model.parameters()])

    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_two_watches_on_one_model_are_an_error() -> None:
    """The second says so, and the first one goes on; afterwards the model can be watched again."""
    model, optimizer = loop()
    with fm.watch(model, optimizer) as watch:
        with pytest.raises(ModelError, match="being watched already"), fm.watch(model):
            pass
        watch.step(step(model, optimizer, batch(0)))
    with fm.watch(model, optimizer), fm.watch(loop()[0]):  # another model may be
        pass
    with pytest.raises(ModelError, match="closed"):
        watch.step(1.0)


def test_a_watch_that_cannot_begin_leaves_no_mark(tmp_path: Path) -> None:
    """A record that cannot be written, or a schedule that raises at the first step, leaves a model that can be watched."""
    model, optimizer = loop()
    before = traces(model, optimizer)
    (tmp_path / "file").write_text("x", encoding="utf-8")

    def fails(step: int) -> bool:
        raise ZeroDivisionError

    for wishes, kind in [({"record": tmp_path / "file" / "run"}, TargetError), ({"every": fails}, ZeroDivisionError)]:
        with pytest.raises(kind), fm.watch(model, optimizer, **wishes):
            pass
        assert traces(model, optimizer) == before
    with fm.watch(model, optimizer) as watch:
        watch.step(step(model, optimizer, batch(0)))
    assert watch.steps == 1


def test_wrong_wishes_are_refused() -> None:
    """Each mistake is an error with its three parts, before anything is hooked."""
    model, optimizer = loop()
    for wishes, kind, words in [
        ({"every": 0}, SpecError, "every"),
        ({"price": "cheap"}, SpecError, "economy"),
        ({"budget": 2.0}, SpecError, "share"),
        ({"stop_on": "nan"}, SpecError, "non_finite"),
        ({"record": 5}, TargetError, "folder"),
        ({"layers": "nothing.*"}, ModelError, "match no module"),
    ]:
        with pytest.raises(kind, match=words), fm.watch(model, optimizer, **wishes) as watch:
            watch.step(step(model, optimizer, batch(0)))
    with pytest.raises(ModelError, match="moves no parameter"):
        fm.watch(model, loop()[1])
    assert not any("fathometer" in name for name in vars(model))


def test_the_step_may_be_told_before_the_optimizer_moves() -> None:
    """Called between backward and `optimizer.step()`, as an observer is, the reading is the same as when called after it."""
    found = []
    for early in (False, True):
        model, optimizer = loop()
        with fm.watch(model, optimizer, every=2) as watch:
            for at in range(6):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(batch(at)[0]), batch(at)[1])
                loss.backward()
                if early:
                    watch.step(loss)
                optimizer.step()
                if not early:
                    watch.step(loss)
        found.append(watch.readings)

    assert [reading.step for reading in found[0]] == [reading.step for reading in found[1]] == [1, 2, 4, 6]
    assert [reading.columns for reading in found[0]] == [reading.columns for reading in found[1]]


def test_it_takes_part_in_our_own_loop() -> None:
    """As an observer it reads updates of the course's optimizer, and an alert in `stop_on` ends the run."""
    course = begin(loop()[0], Asked(steps=30, learning_rate=1e-3))
    with fm.watch(course.model, course.optimizer, every=5, stop_on=["non_finite"]) as watch:
        fitted = go_on(course, [batch(at) for at in range(30)], observers=[watch])
    assert (fitted.status, len(fitted.losses), watch.should_stop) == ("finished", 30, False)
    assert "update" in watch.readings[-1].columns

    course = begin(loop()[0], Asked(steps=30, learning_rate=1e-3))
    with fm.watch(course.model, course.optimizer, every=1, stop_on=["bad_batch", "loss_spike"]) as watch:
        batches = [batch(at) if at != 20 else (1e4 * batch(at)[0].roll(1, 1), batch(at)[1]) for at in range(30)]
        fitted = go_on(course, batches, observers=[watch])
    assert fitted.status == "stopped: an observer asked"
    assert (len(fitted.losses), watch.alerts[0].step) == (21, 21)


def test_a_step_that_the_scaler_passes_over_is_not_judged() -> None:
    """An infinite gradient that a scaler catches is no alert; the next steps are read as ever."""
    model, optimizer = loop()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    with fm.watch(model, optimizer, every=1) as watch:
        for at in range(30):
            optimizer.zero_grad()
            loss = F.cross_entropy(1e3 * model(batch(at)[0]), batch(at)[1])
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            watch.step(loss)

    assert scaler.get_scale() < 2.0**127
    assert [alert.name for alert in watch.alerts if alert.name == "non_finite"] == []
    assert 1 <= len(watch.readings) < 30


def test_a_nan_is_told_with_the_layer_and_written(tmp_path: Path) -> None:
    """A weight that becomes NaN is told in the step in which the loss is; the last steps lie in a file with every tensor."""
    model, optimizer = loop()
    with fm.watch(model, optimizer, every=3, record=tmp_path, stop_on="non_finite") as watch:
        for at in range(30):
            if at == 20:
                with torch.no_grad():
                    model[1][0].weight[0, 0] = torch.nan
            watch.step(step(model, optimizer, batch(at)))
            if watch.should_stop:
                break

    assert (watch.alerts[0].name, watch.alerts[0].step, watch.should_stop) == ("non_finite", 21, True)
    flight = json_text.load(next(iter(tmp_path.glob("flight-*.json"))).read_text(encoding="utf-8"))
    assert (flight["schema"], flight["step"]) == (SCHEMA, 21)
    assert set(flight["readings"][-1]["tensors"]) == {name for name, one in model.named_parameters() if one.ndim > 1}
    assert flight["losses"][-1][0] == 21


@pytest.mark.parametrize(("fault", "name"), [("inputs", "bad_batch"), ("targets", "wrong_labels"), (None, None)])
def test_a_jump_of_the_loss_is_laid_at_the_right_door(fault: str | None, name: str | None) -> None:
    """Noise for inputs and wrong targets are told apart, in their very step; without either there is silence."""
    model, optimizer = loop(rate=3e-3)
    with fm.watch(model, optimizer, every=50) as watch:
        for at in range(1, 161):
            inputs, targets = batch(at)
            if at == 150 and fault == "inputs":
                inputs = 30 * torch.randn_like(inputs)
            if at == 150 and fault == "targets":
                targets = (targets + 1) % 4
            watch.step(step(model, optimizer, (inputs, targets)), (inputs, targets))

    assert [(alert.name, alert.step) for alert in watch.alerts] == ([] if name is None else [(name, 150)])


def test_the_planted_layer_is_named_first() -> None:
    """One layer's rate is raised a little at each step: it is named first, before the loss has suffered."""
    for planted in (1, 4):
        model, _ = loop(depth=6)
        groups = [{"params": block.parameters(), "lr": 1e-3} for block in model]
        optimizer = torch.optim.Adam(groups)
        with fm.watch(model, optimizer, every=2, stop_on="update_size") as watch:
            for at in range(1, 200):
                if at > 60:
                    optimizer.param_groups[planted]["lr"] *= 1.06
                watch.step(step(model, optimizer, batch(at)))
                if watch.should_stop:
                    break

        assert watch.alerts[0].name == "update_size"
        assert watch.alerts[0].points[0] == str(planted), watch.alerts[0]


def test_spike_score_is_that_of_plain_numpy() -> None:
    """The running score equals the definition, computed from the whole list, over several windows and with spikes."""
    made = np.random.default_rng(0)
    losses = 2.0 + 1e-3 * np.arange(2500) + 0.1 * made.standard_normal(2500)
    losses[made.integers(0, 2500, 12)] += 3.0
    window, counter, expected = 300, SpikeCounter(300), 0
    for at, loss in enumerate(losses):
        past = losses[max(0, at - window) : at]
        is_spike = len(past) > 1 and abs(loss - past.mean()) >= 7 * past.std()
        expected += is_spike
        assert counter.add(float(loss)) == is_spike, at

    assert 6 <= expected <= 12
    assert spike_score(losses.tolist(), window) == counter.score == expected / 2500


def test_a_loss_that_falls_or_is_noisy_is_silent() -> None:
    """Falling losses, noise of any scale, and a loss near zero do not jump or climb; a jump of a third does."""
    made = np.random.default_rng(1)
    for scale in (1e-6, 1.0, 65536.0):
        history = LossHistory()
        for at in range(600):
            loss = scale * (2.3 * np.exp(-at / 80) + 0.01) * np.exp(0.08 * made.standard_normal())
            assert history.add(float(loss)) is None
            assert history.climb is None
        assert history.add(scale * 1.0) is not None


def test_the_budget_holds_itself() -> None:
    """With a price of 3 steps and a budget of a tenth, one step in 27 or more is measured, whatever `every` asks for."""
    meter = CostMeter(every_nth(1), budget=0.1)
    for at in range(1, 1500):
        due = meter.is_due(at)
        meter.add(0.01, due)
        if due:
            meter.add_to_last(0.03)
            meter.pause = meter.needed

    assert meter.cost.share is not None
    # the first two measured steps come before the price is known
    assert 0.08 < meter.cost.share < 0.1 * 1.04
    assert meter.pause == 27


def test_schedules() -> None:
    """Every nth, and log-spaced: about as many in each decade."""
    steps = [at for at in range(1, 10_001) if log_spaced(12)(at)]
    counts = [sum(low <= at < 10 * low for at in steps) for low in (10, 100, 1000)]

    assert [at for at in range(1, 31) if every_nth(10)(at)] == [1, 10, 20, 30]
    assert all(abs(count - 12) <= 1 for count in counts), counts


def test_a_record_is_written_and_read(tmp_path: Path) -> None:
    """Each measured step is a line with the losses since the one before; the end says how it went."""
    model, optimizer = loop()
    with fm.watch(model, optimizer, every=5, record=tmp_path) as watch:
        for at in range(20):
            watch.step(step(model, optimizer, batch(at)))
    record = read_run_record(tmp_path)

    assert [row["step"] for row in record.rows] == [1, 5, 10, 15, 20]
    assert [at for at, _ in record.losses] == list(range(1, 21))
    assert record.end is not None
    assert record.end["how"] == "finished"
    assert "ms more each" in record.end["cost"]
    assert record.column("update")[-1][0] == 20


@pytest.mark.parametrize("problem", [None, RuntimeError])
def test_the_last_losses_are_in_the_record(problem: type[Exception] | None, tmp_path: Path) -> None:
    """Those after the last measured step stand in the row of the end; gone on with, each step has one loss."""
    model, optimizer = loop()
    inside = pytest.raises(RuntimeError) if problem is not None else nullcontext()
    with inside, fm.watch(model, optimizer, every=5, record=tmp_path) as watch:
        for at in range(8):
            watch.step(step(model, optimizer, batch(at)))
        if problem is not None:
            raise problem("stop")
    record = read_run_record(tmp_path)
    assert record.losses == list(watch.flight.losses)
    assert [at for at, _ in record.losses] == list(range(1, 9))
    assert (record.rows[-1]["step"], record.end and record.end["step"]) == (5, 8)

    with fm.watch(model, optimizer, every=5, record=tmp_path).after(7) as watch:
        for at in range(7, 12):
            watch.step(step(model, optimizer, batch(at)))
    again = read_run_record(tmp_path)
    assert again.losses == [*record.losses[:7], *watch.flight.losses]
    assert [at for at, _ in again.losses] == list(range(1, 13))


@pytest.mark.slow
def test_ten_thousand_steps_grow_no_memory(tmp_path: Path) -> None:
    """From step 4,000 to step 10,000, measured at every tenth, neither Python's objects nor its tensors grow in number."""
    model, optimizer = loop(depth=2)
    given, objects, tensors = batch(0, 16), [], []
    with fm.watch(model, optimizer, every=10, record=tmp_path) as watch:
        for at in range(1, 10_001):
            watch.step(step(model, optimizer, given), given)
            if at in (4000, 10_000):
                gc.collect()
                kinds = [type(one) for one in gc.get_objects()]  # asking an object for its class may warn
                objects.append(len(kinds))
                tensors.append(sum(issubclass(kind, Tensor) for kind in kinds))

    # 600 rows more were measured, each of many objects: of every other one nothing may be kept
    assert objects[1] - objects[0] < 300, objects
    assert tensors[1] <= tensors[0]
