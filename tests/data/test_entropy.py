"""Entropies are right on texts where they are known."""

from itertools import pairwise
from math import log

import numpy as np
import pytest

from fathometer.data.entropy import bigram_entropy, bigram_loss, sequence_facts, unigram_entropy, unigram_loss


def chain(count: int, seed: int, *, stay: float = 0.9) -> np.ndarray:
    """Return a two-state chain that stays where it is with this probability."""
    moves = np.random.default_rng(seed).random(count) > stay
    return (moves.cumsum() % 2).astype(np.uint8)


def slow_bigram_loss(train: list[int], held_out: list[int], vocabulary: int) -> float:
    """Return Witten and Bell's loss by counting one pair at a time."""
    loss = 0.0
    for a, b in pairwise(held_out):
        share = (train.count(b) + 1) / (len(train) + vocabulary)
        after = [second for first, second in pairwise(train) if first == a]
        kinds = len(set(after))
        loss -= log((after.count(b) + kinds * share) / (len(after) + kinds) if after else share)
    return loss / (len(held_out) - 1)


def test_a_chain_has_the_entropies_that_theory_gives() -> None:
    """A two-state chain: ln 2 for one token, the entropy of its switch for a pair; tables reach both on held-out text."""
    train, held_out = chain(200_000, 0), chain(50_000, 1)
    truth = -(0.9 * log(0.9) + 0.1 * log(0.1))

    found = sequence_facts(train, held_out, 2)

    # 50,000 tokens: the std of the mean surprise is 0.66/√50,000 = 0.003; four of them.
    assert found["bigram_entropy"] == pytest.approx(truth, abs=0.012)
    assert found["bigram_loss"] == pytest.approx(truth, abs=0.012)
    # Neighbours are alike, so there are fewer independent tokens; the share is within 0.02 of a half, the entropy of ln 2.
    assert found["unigram_entropy"] == pytest.approx(log(2), abs=0.002)
    assert found["unigram_loss"] == pytest.approx(log(2), abs=0.002)


def test_shuffled_bytes_have_no_more_to_tell_in_pairs() -> None:
    """After a shuffle the pair tells nothing: the bigram entropy is the unigram entropy. Before, it is far lower."""
    text = np.frombuffer((b"the quick brown fox jumps over the lazy dog. " * 3000), dtype=np.uint8)
    shuffled = np.random.default_rng(0).permutation(text)

    assert bigram_entropy(text, 256) < 0.4 * unigram_entropy(text, 256)
    # 28² cells over 135,000 pairs: the correction is 0.003, and what it leaves is far below that.
    assert bigram_entropy(shuffled, 256) == pytest.approx(unigram_entropy(shuffled, 256), abs=0.001)
    assert bigram_loss(shuffled, shuffled[::-1].copy(), 256) == pytest.approx(unigram_loss(shuffled, shuffled, 256), abs=0.01)


def test_the_correction_earns_its_place() -> None:
    """On a short text of 64 even tokens the corrected entropy is nearer to ln 64 than the plain one."""
    tokens = np.random.default_rng(0).integers(64, size=500)
    shares = np.bincount(tokens) / 500
    plain = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()

    assert plain < log(64) - 0.04
    assert abs(unigram_entropy(tokens, 64) - log(64)) < 0.015


def test_the_fast_bigram_loss_equals_the_slow_one(seed: int) -> None:
    """Sorted pairs give what counting each pair by hand gives, also after tokens that the training text does not have."""
    generator = np.random.default_rng(seed)
    train, held_out = generator.integers(12, size=80), generator.integers(15, size=60)

    found = bigram_loss(train, held_out, 15)

    assert found == pytest.approx(slow_bigram_loss(train.tolist(), held_out.tolist(), 15), rel=1e-12)  # rounding of 60 logarithms


def test_the_type_that_holds_the_tokens_does_not_matter(seed: int) -> None:
    """Bytes, 32-bit and 64-bit numbers give the same, with a vocabulary whose pairs need more than 32 bits."""
    tokens = np.random.default_rng(seed).integers(200, size=3000)

    for vocabulary in (256, 70_000):
        found = [
            sequence_facts(tokens.astype(kind), tokens[:500].astype(kind), vocabulary) for kind in (np.uint8, np.int32, np.int64)
        ]
        assert found[0] == found[1] == found[2]


def test_a_probability_table_sums_to_one() -> None:
    """The smoothed pairs after each token are a distribution, so their loss is an honest one."""
    train = np.random.default_rng(0).integers(5, size=40)
    for first in range(6):
        total = sum(np.exp(-bigram_loss(train, np.array([first, second]), 6)) for second in range(6))
        assert total == pytest.approx(1, rel=1e-12)  # rounding
