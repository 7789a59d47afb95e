"""Many runs give what `train` gives one by one, stacked or not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fathometer.data import digits
from fathometer.errors import BatchError, SpecError
from fathometer.records import Asked, Record
from fathometer.runs import RunsError, many, probe, train
from fathometer.runs.chunks import cut, rows_at_once
from fathometer.runs.stacked_data import source_of
from fathometer.runs.stacked_run import StackedRun
from fathometer.spec import RESIDUAL_KINDS, Mlp, Transformer
from fathometer.spec.residual import NORMED

STEPS = 20
ROUNDING = 1e-6  # of float32: four times its last bit, for sums are taken in another order
RECIPES = (
    {"optimizer": "adam", "learning_rate": 1e-3},
    {"optimizer": "adamw", "learning_rate": 3e-3, "weight_decay": 0.1, "schedule": "cosine", "warmup": 5, "clip": 1.0},
    {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9, "schedule": "wsd", "clip": 0.5},
)
NORMS = ("layer", "rms", "batch", None)
KINDS = [(kind, norm) for kind in RESIDUAL_KINDS for norm in NORMS if norm is None or kind in (*NORMED, "none")]
DIVERGES = {"optimizer": "sgd", "learning_rate": 1e12}


def quiet(*facts: object) -> None:
    """Draw no bar."""


def one_by_one(runs: Sequence[Any], data: Any = None) -> list[Record]:
    """Return what the plain loop gives: the slow twin."""
    return [train(*run, data=data, progress=quiet).record for run in runs]


def off(found: Sequence[Record], expected: Sequence[Record]) -> float:
    """Return the largest difference of two losses, relative where they are above 1; infinite where there are not as many."""
    if [len(record.losses) for record in found] != [len(record.losses) for record in expected]:
        return float("inf")
    pairs = [pair for a, b in zip(found, expected, strict=True) for pair in zip(a.losses, b.losses, strict=True)]
    judged = [(a.held_out_loss, b.held_out_loss) for a, b in zip(found, expected, strict=True)]
    pairs += [(a, b) for a, b in judged if a is not None and b is not None]
    return max(abs(a - b) / max(1.0, abs(b)) for a, b in pairs)


def facts(record: Record) -> tuple[object, ...]:
    """Return what of a record must be equal exactly."""
    return record.asked, record.network, record.status, record.stopped_at, record.stopped_in, record.held_out_accuracy


def grid(*, depths: Sequence[int] = (1, 3, 6), seeds: Sequence[int] = (0, 1), **spec: Any) -> list[tuple[Mlp, Asked]]:
    """Return every depth with every recipe and seed."""
    steps = {"steps": STEPS}
    return [(Mlp(depth=depth, **spec), Asked(seed=seed, **steps, **own)) for depth in depths for own in RECIPES for seed in seeds]


@contextmanager
def double() -> Iterator[tuple[Tensor, Tensor]]:
    """Let networks be built in float64, and hand out digits in it."""
    torch.set_default_dtype(torch.float64)
    try:
        found = digits()
        yield found.train_inputs.double(), found.train_targets
    finally:
        torch.set_default_dtype(torch.float32)


@st.composite
def grids(draw: st.DrawFn) -> list[tuple[Mlp, Asked]]:
    """Draw runs that share a width, a kind and a batch size, and differ in all that may differ."""
    width, batch_size = draw(st.integers(2, 24)), draw(st.sampled_from([1, 16, 48, 64]))
    kind = {"activation": draw(st.sampled_from(["relu", "tanh", "gelu", "selu"])), "width": width}
    kind["residual"] = draw(st.sampled_from(sorted(RESIDUAL_KINDS.keys() - {*NORMED})))
    runs = []
    for _ in range(draw(st.integers(2, 4))):
        spec = Mlp(depth=draw(st.integers(1, 5)), init=draw(st.sampled_from(["he", "xavier", "orthogonal"])), **kind)
        spec = replace(spec, gain=draw(st.sampled_from([0.5, 1.0])), bias_std=draw(st.sampled_from([None, 0.1])))
        asked = Asked(STEPS, batch_size, seed=draw(st.integers(0, 3)), **draw(st.sampled_from(RECIPES)))
        runs.append((spec, replace(asked, learning_rate=asked.learning_rate * draw(st.sampled_from([0.3, 1.0])))))
    return runs


@settings(max_examples=6, deadline=None, derandomize=True)
@given(runs=grids())
def test_a_stack_equals_one_by_one(runs: list[tuple[Mlp, Asked]]) -> None:
    """Whatever grid is drawn, losses are those of `train` to float32 rounding over twenty steps, in order."""
    found, expected = many(runs, stack="always", progress=quiet), one_by_one(runs)

    assert off(found, expected) < ROUNDING
    assert [facts(record) for record in found] == [facts(record) for record in expected]


def test_another_seed_or_rate_would_be_seen() -> None:
    """The control: one run of the grid with another seed, or a rate a hundredth larger, is off by far more than rounding."""
    runs = grid(width=16)
    expected = one_by_one(runs[:1])
    for change in ({"seed": 1}, {"learning_rate": 1.01e-3}):
        other = [(runs[0][0], replace(runs[0][1], **change)), runs[1]]
        assert off(many(other, stack="always", progress=quiet)[:1], expected) > 100 * ROUNDING


@pytest.mark.parametrize(("residual", "norm"), KINDS)
def test_every_kind_of_block_is_stacked(residual: str, norm: str | None) -> None:
    """In float64, where no rounding is made much of, every residual kind with every norm equals one by one."""
    runs = grid(width=8, depths=(1, 4), seeds=(0,), residual=residual, norm=norm)
    with double() as data:
        assert len(cut(runs, source_of(data), "always", is_shared=False)) == 1
        # Rounding is 1e-16; a batch norm takes the gradient of the biases before it to rounding alone, which Adam makes large.
        assert off(many(runs, data=data, stack="always", progress=quiet), one_by_one(runs, data)) < 1e-9


@pytest.mark.parametrize("init", ["mup", "depth-mup", "completep"])
def test_each_parameter_keeps_its_own_multipliers(init: str) -> None:
    """Networks with other bases have other rates, weight decays and ε for each role: they are stacked with their own."""
    kind = {"width": 16, "residual": "pre-norm", "branch_layers": 2, "init": init}
    bases = ((8, 2), (16, 4), (None, None))
    specs = [Mlp(depth=depth, base_width=width, base_depth=base, **kind) for depth in (2, 4) for width, base in bases]
    runs = [(spec, Asked(STEPS, learning_rate=1e-2, weight_decay=0.1, optimizer="adamw")) for spec in specs]
    with double() as data:
        assert off(many(runs, data=data, stack="always", progress=quiet), one_by_one(runs, data)) < 1e-9


def test_the_weights_are_those_of_one_run_alone() -> None:
    """Not only losses: after twenty steps each network of a stack is the one that `train` gives."""
    runs = grid(width=16)
    source = source_of(digits())
    assert source is not None
    stack = StackedRun(runs, source)
    while not stack.is_over:
        stack.advance()
    for row, place in enumerate(stack.rows):
        expected = train(*runs[place], progress=quiet).model
        for (name, found), alone in zip(stack.network.extract(row).named_parameters(), expected.parameters(), strict=True):
            assert torch.allclose(found, alone, rtol=0, atol=ROUNDING), name


def test_a_run_that_diverges_stops_alone() -> None:
    """Three of five runs diverge, at a loss or at a clipped gradient: each says when and where as alone; the others go on."""
    diverging = [DIVERGES, {**DIVERGES, "learning_rate": 1e30}, {**DIVERGES, "clip": 1e10}]
    runs = [(Mlp(depth=4, width=16), Asked(STEPS, seed=1, **own)) for own in (RECIPES[0], *diverging, RECIPES[1])]
    found, expected = many(runs, stack="always", progress=quiet), one_by_one(runs)

    assert [record.stopped_at is None for record in found] == [True, False, False, False, True]
    assert [facts(record) for record in found] == [facts(record) for record in expected]
    assert off(found, expected) < ROUNDING


def test_runs_that_all_diverge_end_early() -> None:
    """When no run is left the stack ends, and nothing is judged."""
    runs = [(Mlp(depth=3, width=16), Asked(1000, seed=seed, **DIVERGES)) for seed in range(3)]
    found = many(runs, stack="always", progress=quiet)

    assert all(record.stopped_at is not None and record.stopped_at < 50 for record in found)
    assert all(record.held_out_loss is None for record in found)


def test_values_are_learned_too() -> None:
    """Float targets give the mean squared error, as they do for one run; a pair of tensors has no held-out part."""
    inputs = torch.randn(100, 3, 4, generator=torch.Generator().manual_seed(0))
    data = (inputs, inputs.flatten(1)[:, :2].sin())
    runs = grid(width=8, inputs=12, outputs=2)
    found = many(runs, data=data, stack="always", progress=quiet)

    assert off(found, one_by_one(runs, data)) < ROUNDING
    assert found[0].held_out_loss is None


def test_targets_that_are_left_out_do_not_count() -> None:
    """A target of -100 is torch's own word for none."""
    inputs, targets = digits().train_inputs, digits().train_targets.clone()
    targets[::3] = -100
    runs = grid(width=8, seeds=(0,))

    assert off(many(runs, data=(inputs, targets), stack="always", progress=quiet), one_by_one(runs, (inputs, targets))) < ROUNDING


def alone(run: tuple[Any, Asked], data: Any = None) -> bool:
    """Return whether a run trains alone beside two that could be stacked."""
    others = [(Mlp(width=8), Asked(STEPS, seed=seed)) for seed in (1, 2)]
    source = source_of(digits() if data is None else data)
    return (0,) in cut([run, *others], source, "always", is_shared=False)


def test_a_stack_is_no_larger_than_the_memory() -> None:
    """Narrow networks share a stack by the dozen, wide ones in fours, and those that would fill half a gigabyte have none."""
    rows = {width: rows_at_once(Mlp(width=width, depth=8), Asked()) for width in (16, 128, 512, 4096)}

    assert rows[16] > 50
    assert rows[16] > rows[128] > rows[512] == 4
    assert rows[4096] == 1
    assert rows_at_once(Mlp(width=512, depth=1000), Asked()) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same() -> None:
    """Where torch builds on a GPU by default, stacks are built and trained there."""
    runs = grid(width=16)
    with torch.device("cuda"):
        # The products of a stack are other kernels than those of one run, with sums in another order.
        assert off(many(runs, stack="always", progress=quiet), one_by_one(runs)) < 1e-4


def test_what_a_stack_does_not_know_trains_alone() -> None:
    """Other families, modules, other lengths and batches, and wishes that only `train` fulfils are not stacked."""
    spec, asked = Mlp(width=8), Asked(STEPS)
    transformer = Transformer(depth=1, width=8, heads=1, vocabulary=5, context=4)
    wishes: list[dict[str, Any]] = [{"accumulate": 2}, {"precision": "bfloat16"}, {"z_loss": 1e-4}, {"optimizer": "muon"}]
    wishes += [{"steps": 3}, {"batch_size": 32}, {"momentum": 0.9}]

    assert not alone((spec, asked))
    assert [wish for wish in wishes if not alone((spec, replace(asked, **wish)))] == []
    assert alone((transformer, asked))
    assert alone((nn.Linear(64, 10), asked))
    assert alone((replace(spec, width=9), asked))
    assert alone((replace(spec, init="mup"), replace(asked, optimizer="sgd")))


def test_mixed_runs_come_back_in_order() -> None:
    """A module, a preset, two of one shape and one of another: each is what `train` says."""
    asked, linear = Asked(5), nn.Linear(64, 10)
    runs = [(linear, asked), (Mlp(width=8), asked), ("mlp-5", asked), (Mlp(width=8, depth=2), replace(asked, seed=3))]
    found, expected = many(runs, stack="always", progress=quiet), one_by_one(runs)

    assert off(found, expected) < ROUNDING
    assert [record.network for record in found] == [record.network for record in expected]
    assert many([]) == ()


def test_data_that_are_batches_are_read_by_each_run() -> None:
    """A list of batches serves every run from its start; what can be read once is refused."""
    inputs, targets = digits().train_inputs, digits().train_targets
    batches = [(inputs[:32], targets[:32]), (inputs[32:], targets[32:])]
    runs = [(Mlp(width=8), Asked(4, seed=seed)) for seed in (0, 1)]

    assert off(many(runs, data=[*batches, batches[0]], progress=quiet), one_by_one(runs, [*batches, batches[0]])) == 0
    with pytest.raises(BatchError, match="read once"):
        many(runs, data=iter(batches), progress=quiet)


def test_the_probe_decides_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where runs alone are said to take no time they train alone, where they take for ever as a stack: to the same losses."""
    runs = [(Mlp(depth=depth, width=16), Asked(steps=200, seed=seed)) for depth in (1, 4) for seed in (0, 1)]
    found = []
    for seconds in (0.0, float("inf")):
        monkeypatch.setattr(probe, "_alone", lambda runs, source, seconds=seconds: [seconds])
        found.append(many(runs, progress=quiet))

    assert off(*found) < 1e-4  # two hundred steps make more of rounding than twenty
    own_share = [len({record.seconds for record in records}) == 1 for records in found]
    assert own_share == [False, True]


def test_the_probe_measures_both() -> None:
    """Narrow networks are faster in a stack, and the probe's own steps are part of it; a short run is judged by its width."""
    source = source_of(digits())
    assert source is not None
    runs = [(Mlp(width=8, depth=depth), Asked(steps=200, seed=seed)) for depth in (2, 8) for seed in range(8)]
    stack = StackedRun(runs, source)

    assert probe.is_stack_faster(stack, source)
    assert stack.step == probe.STEPS
    for width, expected in ((16, True), (1024, False)):
        short = StackedRun([(Mlp(width=width, depth=1), Asked(steps=5, seed=seed)) for seed in (0, 1)], source)
        assert probe.is_stack_faster(short, source) == expected
        assert short.step == 0


def test_a_run_that_fails_is_named_and_the_others_are_kept() -> None:
    """One run of four cannot take the data: the error says which and why, and holds the records of the rest."""
    runs = [(Mlp(width=8), Asked(4)), (Mlp(width=8, inputs=7), Asked(4)), (Mlp(width=8), Asked(4, seed=1)), ("mlp-5", Asked(4))]
    with pytest.raises(RunsError) as caught:
        many(runs, progress=quiet)

    assert caught.value.reasons.keys() == {1}
    assert "1 of 4 runs failed: " in str(caught.value)
    assert "(run 1, Mlp(" in str(caught.value)
    assert "with 7 numbers for each sample" in str(caught.value)
    assert [record is None for record in caught.value.records] == [False, True, False, False]


def test_a_stack_that_fails_is_done_one_by_one() -> None:
    """A class that is out of range is met on the way: every run says so, as `train` would."""
    targets = digits().train_targets.clone()
    targets[-1] = 10
    runs = [(Mlp(width=8), Asked(60, seed=seed)) for seed in (0, 1)]
    with pytest.raises(RunsError, match=r"2 of 2 runs failed.*The targets run from 0 to 10"):
        many(runs, data=(digits().train_inputs, targets), stack="always", progress=quiet)


@pytest.mark.parametrize("run", ["mlp-5", ("mlp-5", 3), (3, Asked())], ids=["no pair", "nothing asked", "no network"])
def test_what_is_no_run_is_refused(run: Any) -> None:
    """A run is a pair; the error says which one is not."""
    with pytest.raises(SpecError, match="Run 1 is"):
        many(iter([("mlp-5", Asked(1)), run]))


def test_an_unknown_way_to_stack_is_refused() -> None:
    """The ways are auto, always and never."""
    with pytest.raises(SpecError, match="auto, always, never"):
        many([], stack="sometimes")


def test_progress_is_told() -> None:
    """The callable gets (finished runs, all runs, seconds left), up to the end, in a stack and alone."""
    told: list[tuple[int, int, float]] = []
    many([*grid(width=8, depths=(2,)), ("mlp-5", Asked(3))], progress=lambda *facts: told.append(facts))

    finished = [done for done, _, _ in told]
    assert finished == sorted(finished)
    assert told[-1][:2] == (7, 7)
    assert told[-1][2] == pytest.approx(0.0, abs=1e-6)
    assert 0 < told[0][2] < float("inf")
