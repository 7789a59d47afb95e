"""Speed is counted, and what is not known is said to be unknown."""

import pytest
import torch

from fathometer.runs import meter
from fathometer.runs.meter import Meter, make_meter
from fathometer.spec import Mlp, Transformer


def test_samples_and_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets (batch, time) are tokens, others samples; several processes see as many each."""
    clock = iter(range(100))
    monkeypatch.setattr(meter, "perf_counter", lambda: float(next(clock)) + 1)
    text, classes = Meter(10, world=2), Meter(10)
    list(text.counted([(torch.zeros(4, 6, dtype=torch.long), torch.zeros(4, 6, dtype=torch.long))]))
    list(classes.counted([(torch.zeros(4, 6), torch.zeros(4, dtype=torch.long))] * 3))

    assert (text.seen, text.samples, text.unit) == (48, 8, "tokens")
    assert (classes.seen, classes.samples, classes.unit) == (12, 12, "samples")
    assert text.speed == 48 / 2  # the clock was read at 1 for the first batch, twice by the other meter's, and now at 3


def test_what_is_no_training_is_left_out_of_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds of judging and saving between the steps make a run no slower."""
    clock = iter([10.0, 20.0, 21.0])
    monkeypatch.setattr(meter, "perf_counter", lambda: next(clock))
    one = Meter(4, seen=100, begun=1.0)
    with one.pause():
        pass

    assert one.speed == 100 / (20 - 10)


def test_utilisation_is_the_networks_own_work_over_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chip that is not in the table, or a module that is no network of ours, is "unknown", not a guess."""
    monkeypatch.setattr(meter, "perf_counter", lambda: 3.0)
    known = Meter(10, flops_per_sample=5e9, peak=1e12, samples=200, seen=200, begun=1.0)

    assert known.utilisation == 0.5
    assert known.facts(2, 0.25) == "loss 0.25 · 100 samples/s · utilisation 50% · 0:00:08 left"
    assert "utilisation unknown" in Meter(10, flops_per_sample=5e9, begun=1.0).facts(1, 0.25)
    assert Meter(10, peak=1e12).utilisation is None


def test_time_left_counts_from_where_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps before the resumption took this process no time."""
    monkeypatch.setattr(meter, "perf_counter", lambda: 11.0)

    assert Meter(100, first=80, begun=1.0).facts(90, 1.0).endswith("0:00:10 left")


def test_a_meter_knows_the_work_of_a_network() -> None:
    """Three forward passes' worth of products and sums for each sample; nothing for a foreign module."""
    settings = {"precision": "float32", "world": 1, "first": 0}
    one = make_meter(Mlp(depth=1, width=10, inputs=10, outputs=10), 5, torch.device("cpu"), **settings)

    assert one.flops_per_sample == pytest.approx(3 * 2 * 200, rel=0.3)  # the first layer needs no gradient of its input
    assert make_meter(None, 5, torch.device("cpu"), **settings).flops_per_sample is None
    assert make_meter(Transformer(depth=1, width=16, heads=1), 5, torch.device("cpu"), **settings).peak is None
