"""Attention as a random mean: its moments by drawing, its averages by loops."""

import numpy as np
import pytest

from fathometer.theory.attention import Softmax, look, look_back, softmax_of
from fathometer.theory.places import Kernel, Places

TIMES = 6
CAUSAL = Places(np.ones(TIMES), np.tril(np.ones((TIMES, TIMES))))
GROUPS = np.arange(TIMES)


def drawn_kernel(seed: int, rows: int = 1) -> Kernel:
    """Return the kernel of explicit random vectors at each place, the same in every row."""
    vectors = np.random.default_rng(seed).standard_normal((TIMES, 30)) + 0.5
    gram = vectors @ vectors.T / 30
    return Kernel(np.tile(np.diagonal(gram), (rows, 1)), np.tile(gram, (rows, 1, 1)))


def flat(softmax: Softmax) -> Softmax:
    """Return a softmax whose gradient does not go through the logits."""
    return Softmax(softmax.meeting, 0 * softmax.flow)


@pytest.mark.parametrize("variance", [0.02, 0.5, 4.0, 30.0])
def test_the_softmax_is_that_of_drawn_logits(variance: float) -> None:
    """E and F are those of 200,000 softmaxes over Gaussian logits; at other variances they are not."""
    softmax = softmax_of(CAUSAL)
    variances = np.full(TIMES, variance)
    drawn = np.random.default_rng(1).standard_normal((200_000, TIMES)) * variance**0.5
    for index in range(TIMES):
        weights = np.exp(drawn[:, : index + 1])
        weights /= weights.sum(axis=1, keepdims=True)
        squares = (weights**2).sum(axis=1)
        jacobian = squares - 2 * (weights**3).sum(axis=1) + squares**2
        # 0.5% for the draws; between the rows of the table the line is off by up to 3% where E bends most
        assert softmax.meetings(variances, GROUPS)[index] == pytest.approx((index + 1) * squares.mean(), rel=0.03)
        assert softmax.flows(variances, GROUPS)[index] == pytest.approx(jacobian.mean(), rel=0.05, abs=1e-9)
    twice = softmax.meetings(np.full(TIMES, 2 * variance + 0.5), GROUPS)
    assert np.all(twice[1:] > 1.02 * softmax.meetings(variances, GROUPS)[1:])


def test_equal_logits_are_a_plain_mean() -> None:
    """With logits of variance 0 the kernel is A K Aᵀ for the matrix A of causal means."""
    kernel = drawn_kernel(0)
    means = np.tril(np.ones((TIMES, TIMES))) / np.arange(1, TIMES + 1)[:, None]
    looked = look(kernel, kernel.cosines(), 0.0, CAUSAL, softmax_of(CAUSAL))
    expected = means @ kernel.pairs[0] @ means.T

    assert looked.same[0] == pytest.approx(np.diagonal(expected))
    off = ~np.eye(TIMES, dtype=bool)
    assert looked.pairs[0][off] == pytest.approx(expected[off])


def test_the_way_back_of_a_plain_mean_is_its_transpose() -> None:
    """With equal logits a gradient's kernel comes back as Aᵀ G A."""
    gradient, cosines = drawn_kernel(3), drawn_kernel(0).cosines()
    means = np.tril(np.ones((TIMES, TIMES))) / np.arange(1, TIMES + 1)[:, None]
    back = look_back(gradient, cosines, 0.0, CAUSAL, softmax_of(CAUSAL))
    expected = means.T @ gradient.pairs[0] @ means

    assert back.same[0] == pytest.approx(np.diagonal(expected))
    off = ~np.eye(TIMES, dtype=bool)
    assert back.pairs[0][off] == pytest.approx(expected[off])


def test_sharp_attention_looks_at_one_place() -> None:
    """The second moment grows from that of a mean to nearly that of one value as the logits grow."""
    same = np.ones((2, TIMES))
    kernel = Kernel(same, np.zeros((2, TIMES, TIMES)))
    moments = [look(kernel, kernel, variance, CAUSAL, softmax_of(CAUSAL)).same[0, -1] for variance in (0.0, 1.0, 20.0, 200.0)]

    assert moments == sorted(moments)
    assert moments[0] == pytest.approx(1 / TIMES)
    assert moments[-1] > 0.9


def test_the_gradient_through_logits_adds_to_that_through_values() -> None:
    """Queries and keys bring a gradient of their own, more with sharper logits, and none to a place that sees itself alone."""
    kernel = Kernel(np.ones((2, TIMES)), np.zeros((2, TIMES, TIMES)))
    gradient = Kernel(np.ones((1, TIMES)), np.zeros((1, TIMES, TIMES)))
    softmax = softmax_of(CAUSAL)
    shares = []
    for variance in (0.1, 1.0):
        whole = look_back(gradient, kernel, variance, CAUSAL, softmax).same[0]
        values = look_back(gradient, kernel, variance, CAUSAL, flat(softmax)).same[0]
        assert np.all(whole >= values)
        shares.append(float((whole - values).sum() / values.sum()))

    assert 0 < shares[0] < shares[1]
    alone = Places(np.ones(1), np.ones((1, 1)))
    one = Kernel(np.ones((1, 1)), np.zeros((1, 1, 1)))
    back = look_back(one, Kernel(np.ones((2, 1)), np.zeros((2, 1, 1))), 1.0, alone, softmax_of(alone))
    assert back.same[0] == pytest.approx([1.0])
