"""Truth by training: a good network reaches its twin, a broken one does not."""

from math import log
from pathlib import Path

import pytest
import torch
from benchmarks.zoo import task
from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.plain import drawn, stack
from benchmarks.zoo.plant import biased
from benchmarks.zoo.sequences import CONTEXT, marked_sequences, recall, reversal, successors
from benchmarks.zoo.tasks import class_entropy
from benchmarks.zoo.truth import is_near, is_settled, known, run, sweep, truth_of

GOOD = well("a family", "digits", {"three layers": lambda seed: drawn(stack(3))})[0]
DEAD = ill("a family", "digits", "dead_units", {"dead": lambda seed: biased(drawn(stack(6)), -5.0)})[0]


@pytest.mark.parametrize(("share", "truth"), [(0.9, "healthy"), (0.89, "at risk"), (0.5, "at risk"), (0.49, "will not train")])
def test_the_share_of_the_twins_drop_is_the_truth(share: float, truth: str) -> None:
    """Nine tenths train, under a half fails, between is at risk."""
    assert truth_of(share) == truth


@pytest.mark.parametrize(("entry", "truth"), [(GOOD, "healthy"), (DEAD, "will not train")], ids=("good", "dead"))
def test_training_tells_the_good_from_the_broken(entry: Entry, truth: str) -> None:
    """Three He layers learn digits at their first rate; six that are biased off learn at none."""
    shares = sweep(entry, drop=2.1)  # the twin's drop is 2.1 to 2.2 of ln 10

    assert truth_of(max(shares.values())) == truth
    assert len(shares) == (1 if truth == "healthy" else 3)


def test_what_is_known_is_not_trained_again(tmp_path: Path) -> None:
    """A second run reads the file that the first one wrote, adds nothing to it, and says nothing."""
    path, said = tmp_path / "truth.jsonl", list[object]()
    path.write_text('{"name": "twin of digits", "task": "digits", "drop": 2.1}\n', encoding="utf-8")
    first = run([GOOD], path=path, say=said.append)
    size, lines = path.stat().st_size, len(said)

    assert run([GOOD], path=path, say=said.append) == first
    assert (path.stat().st_size, len(said)) == (size, lines)
    assert known(path)[GOOD.name]["truth"] == "healthy"


@pytest.mark.parametrize(("share", "again", "settled"), [(0.88, 0.95, False), (0.99, 0.91, True), (0.88, None, True)])
def test_a_truth_that_another_order_of_batches_changes_is_not_settled(share: float, again: float | None, settled: bool) -> None:
    """Two shares on two sides of a limit leave the truth open; near a limit a network is trained again."""
    row = {"share": share, "again": again, "truth": truth_of(share)}

    assert is_settled(row) is settled
    assert is_near(row) is (share == 0.88)


def test_the_constant_loss_is_the_entropy_of_the_classes() -> None:
    """Ten equal classes give ln 10; digits nearly so."""
    assert class_entropy(torch.arange(10).repeat(5)) == pytest.approx(log(10), rel=1e-6)  # float64
    assert task("digits").constant_loss == pytest.approx(log(10), abs=0.01)  # classes differ by a few samples


def test_batches_follow_their_seed() -> None:
    """The same seed gives the same batches, another seed others, as many as there are steps."""
    work = task("digits")
    first = [[inputs for inputs, _ in work.batches(seed)] for seed in (0, 0, 1)]

    assert len(first[0]) == work.steps
    assert all(torch.equal(a, b) for a, b in zip(first[0], first[1], strict=True))
    assert not torch.equal(first[0][0], first[2][0])


def test_the_drawn_sequences_are_what_they_say() -> None:
    """Recall shows its class first, a marked step its symbol, a reversal the source; one table for all successors."""
    steps, classes = recall(50, seed=3)
    marked, symbols = marked_sequences(50, seed=3)
    (source, seen), target = reversal(50, seed=3)
    shown = marked[range(50), marked[..., -1].argmax(1), :-1].argmax(1)

    assert torch.equal(steps[:, 0].argmax(1), classes)
    assert torch.equal(shown, symbols)
    assert torch.equal(source.flip(1), target)
    assert torch.equal(seen[:, 1:], target[:, :-1])
    assert successors(4, seed=5).shape == (4, CONTEXT + 1)


def test_a_token_has_few_successors() -> None:
    """Without noise a pair of tokens decides the next one; with it, it does not."""
    for noise, decided in ((0.0, True), (0.1, False)):
        tokens = successors(400, seed=1, noise=noise)
        following: dict[tuple[int, int], set[int]] = {}
        for row in tokens[:, 2:].tolist():
            for before, last, following_token in zip(row, row[1:], row[2:], strict=False):
                following.setdefault((before, last), set()).add(following_token)
        assert all(len(found) == 1 for found in following.values()) is decided
