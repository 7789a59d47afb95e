"""The peers: asked alike, read generously, counted by hand."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks import peer_answers, peer_readings, peers
from benchmarks.peer_answers import VARIANTS, is_same, patience, question, snapshot, subset, verdict
from benchmarks.peer_readings import DOUBTFUL, WRONG, Question, Said
from benchmarks.zoo.entry import ill
from benchmarks.zoo.networks.plain import drawn, stack
from benchmarks.zoo.plant import adam, biased
from benchmarks.zoo.split import SCORED
from benchmarks.zoo.truth import known

from fathometer.finding import CAUSES

DEAD = ill("a family", "digits", "dead_units", {"dead": lambda seed: biased(drawn(stack(3)), -5.0)})[0]


def test_the_subset_is_half_healthy_and_of_families_that_no_limit_was_set_on() -> None:
    """As many healthy as sick ones, the same at every call, none of the families that limits were set on."""
    truth, chosen = known(), subset()
    healthy = [entry for entry in chosen if truth[entry.name]["truth"] == "healthy"]

    assert len(chosen) == 2 * len(healthy) == 2 * peer_answers.EACH
    assert [entry.name for entry in chosen] == [entry.name for entry in subset()]
    assert {entry.family for entry in chosen} <= set(SCORED)


def test_every_word_of_a_peer_means_causes_that_there_are() -> None:
    """The tables of what a word may mean hold only causes of the catalogue, so that a right name can be right."""
    tables = ("TORCHLENS", "TORCHMORTEM", "TORCHTEST2", "TORCHDIAG", "TORCH_AUDIT")
    meant = {cause for name in tables for causes in getattr(peer_readings, name).values() for cause in causes}

    assert meant <= set(CAUSES)
    assert set(peer_readings.READERS) == {"fathometer", *peers.PEERS}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, "no answer"),
        ([], "healthy"),
        ([Said(DOUBTFUL, "x")], "at risk"),
        ([Said(DOUBTFUL, "x"), Said(WRONG, "y")], "will not train"),
    ],
)
def test_the_worst_word_is_the_verdict(said: list[Said] | None, expected: str) -> None:
    """Nothing said is healthy, something doubtful at risk, something wrong will not train; a failure is no answer."""
    assert verdict(said) == expected


def test_a_question_is_the_same_network_with_its_loss_times_a_constant() -> None:
    """Only what the variant says differs: the scale of the loss, or the number of samples."""
    plain, scaled, small = (question(DEAD, *VARIANTS[name]) for name in ("as it is", "loss times 65536", "batch of 2"))
    losses = [asked.loss_fn(asked.model(asked.inputs), asked.targets) for asked in (plain, scaled)]

    torch.testing.assert_close(losses[1], 65536 * losses[0], rtol=1e-6, atol=0)  # float32
    assert (len(plain.inputs), len(small.inputs), len(small.batches[0][0])) == (64, 2, 2)
    assert is_same(snapshot(plain.model), snapshot(small.model))


def test_what_a_look_changes_is_seen() -> None:
    """A weight, a gradient, a mode, a hook or the generator that is not as it was is not the same."""

    def weight(model: torch.nn.Module) -> None:
        next(model.parameters()).data[0, 0] += 1e-6

    def gradient(model: torch.nn.Module) -> None:
        model(torch.ones(2, 64)).sum().backward()

    changes = (weight, gradient, lambda m: m.eval(), lambda m: m.register_forward_hook(print), lambda m: torch.rand(1))
    for change in changes:
        model = DEAD.model()
        model.train()
        before = snapshot(model)
        assert is_same(before, snapshot(model))
        change(model)
        assert not is_same(before, snapshot(model))


def test_patience_ends() -> None:
    """Whatever runs too long is interrupted; what is quick is not."""
    with pytest.raises(TimeoutError, match="no answer in 1 s"), patience(1):
        time.sleep(5)
    with patience(1):
        pass
    time.sleep(0.01)


def test_answers_are_kept_and_failures_are_no_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run asks nobody; a peer that raises has not answered, and the reason is kept."""
    asked, truth = list[Question](), {DEAD.name: {"truth": "will not train"}}

    def reader(question: Question) -> list[Said]:
        asked.append(question)
        if len(question.inputs) == 2:
            raise ZeroDivisionError("inside")
        next(question.model.parameters()).data.zero_()
        return [Said(WRONG, "dead", ("dead_units",))]

    monkeypatch.setitem(peer_answers.READERS, "a peer", reader)
    monkeypatch.setattr(peer_answers, "known", lambda: truth)
    ask: dict[str, Any] = {"path": tmp_path / "answers.jsonl", "say": lambda line: None, "chosen": [DEAD]}
    (row,) = peer_answers.answers("a peer", **ask)

    assert row["verdicts"] == {name: "no answer" if name == "batch of 2" else "will not train" for name in VARIANTS}
    assert row["errors"] == {"batch of 2": "ZeroDivisionError: inside"}
    assert row["restored"] is False
    assert peer_answers.answers("a peer", **ask) == [row]
    assert len(asked) == len(VARIANTS)


def test_our_own_reading_is_the_preflight() -> None:
    """The first word is the first cause; its optimizer is judged only where it is the network's own."""
    (first, *_) = peer_readings.fathometer(question(DEAD, 1.0, 64))
    stepping = replace(DEAD, optimizer=adam(100.0), maker=lambda seed: drawn(stack(3)))

    assert (first.severity, first.word) == (WRONG, "dead_units")
    assert "update_size" in [each.word for each in peer_readings.fathometer(question(stepping, 1.0, 64))]
    free = replace(stepping, optimizer=None)
    assert "update_size" not in [each.word for each in peer_readings.fathometer(question(free, 1.0, 64))]


def answered(truth: str, said: str, words: list[Any], **variants: str) -> dict[str, Any]:
    """Return an answer by hand."""
    verdicts = {name: variants.get(name, said) for name in VARIANTS}
    row = {"peer": "x", "truth": truth, "expected": "dead_units or saturation", "verdicts": verdicts, "said": words}
    return row | {"seconds": 0.5, "restored": truth == "healthy", "errors": {}}


def test_the_rates_are_counted_in_the_reading_that_suits_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that doubts every healthy network is read by what it calls wrong; names count for the sick alone."""
    monkeypatch.setattr(peers, "version_of", lambda peer: "1.0")
    doubt, right, other = [DOUBTFUL, "d", ["non_finite"]], [WRONG, "w", ["saturation"]], [WRONG, "v", ["curvature"]]
    rows = [
        answered("healthy", "at risk", [doubt], **{"loss times 1e-6": "healthy"}),
        answered("healthy", "at risk", [doubt]),
        answered("will not train", "will not train", [right]),
        answered("at risk", "will not train", [other, right], **{"batch of 2": "healthy"}),
    ]
    row = peers.counted("x", rows)

    assert row["reading"] == "only what is wrong"
    assert (row["well or sick, right"], row["false alarms"], row["three classes, right"]) == (4, 0, 1)
    assert (row["right name first"], row["right name at all"], row["sick"]) == (1, 2, 2)
    assert (row["same at any loss scale"], row["same with a batch of 2"], row["state restored"]) == (3, 3, 2)


def test_a_peer_that_does_not_install_has_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of pip stands in its row; if none installs, nothing is written."""
    monkeypatch.setattr(peers, "installed", lambda: dict.fromkeys(peers.PEERS, "no such package"))
    with pytest.raises(SystemExit, match="no such package"):
        peers.peers()
    monkeypatch.setattr(peers, "installed", lambda: {"torchdiag": "no such package"})
    monkeypatch.setattr(peers, "asked", lambda peer: [])
    monkeypatch.setattr(peers, "counted", lambda peer, answers: {"peer": peer, "problem": None})

    assert [row["problem"] for row in peers.peers()] == [None, None, None, None, "no such package", None]
