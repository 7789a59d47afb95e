"""CKA is the same after what does not matter, and unbiased; batches of any size agree."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fathometer.errors import BatchError
from fathometer.lenses import linear_cka, similarity
from fathometer.networks import build
from fathometer.spec import Mlp, Transformer


def noise(seed: int, *shape: int) -> Tensor:
    """Return Gaussian numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turn(seed: int, width: int) -> Tensor:
    """Return a random orthogonal matrix."""
    return torch.linalg.qr(noise(seed, width, width)).Q


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 40), st.integers(1, 20), st.floats(0.01, 100), st.booleans())
def test_turns_shifts_and_a_common_scale_do_not_matter(seed: int, rows: int, width: int, scale: float, unbiased: bool) -> None:
    """CKA with anything is the same after an orthogonal map, a shift and a scale, for any sizes."""
    one, other = noise(seed, rows, width), noise(seed + 1, rows, 7)
    moved = scale * one @ turn(seed + 2, width) + noise(seed + 3, 1, width)

    # Rounding of a ratio whose parts may nearly cancel.
    assert linear_cka(moved, other, unbiased=unbiased) == pytest.approx(linear_cka(one, other, unbiased=unbiased), abs=1e-6)
    assert linear_cka(moved, one, unbiased=unbiased) == pytest.approx(1, abs=1e-6)


def test_a_general_linear_map_does_matter() -> None:
    """The control: stretching directions differently changes CKA."""
    one = noise(0, 200, 8)

    assert linear_cka(one, one * torch.tensor([10.0, 5, 2, 1, 1, 0.5, 0.2, 0.1])) < 0.9


def test_the_unbiased_estimate_is_zero_where_the_biased_one_is_not() -> None:
    """Case 48: independent, 20 rows and 64 units: .7645 biased, about 0 unbiased (Nguyen et al. 2021)."""
    pairs = [(noise(seed, 20, 64), noise(seed + 10_000, 20, 64)) for seed in range(200)]
    biased, unbiased = (np.mean([linear_cka(*pair, unbiased=flag) for pair in pairs]) for flag in (False, True))

    assert biased == pytest.approx(0.7645, abs=0.02)
    assert unbiased == pytest.approx(0, abs=0.02)


def test_both_estimates_equal_their_formulas(seed: int) -> None:
    """A slow twin writes HSIC₁ of Song et al. and HSIC₀ out with matrices of ones."""
    one, other = noise(seed, 12, 5), noise(seed + 1, 12, 9)

    def first(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741  the letters of the paper
        n, k, l = len(k), k - k.diag().diag(), l - l.diag().diag()  # noqa: E741
        ones = torch.ones(n, dtype=k.dtype)
        total = (k @ l).trace() + (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2)) - 2 / (n - 2) * ones @ k @ l @ ones
        return total / (n * (n - 3))

    def zeroth(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
        centre = torch.eye(len(k), dtype=k.dtype) - 1 / len(k)
        return (k @ centre @ l @ centre).trace() / (len(k) - 1) ** 2

    grams = one @ one.T, other @ other.T
    for hsic, unbiased in ((first, True), (zeroth, False)):
        expected = hsic(*grams) / (hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])).sqrt()
        assert linear_cka(one, other, unbiased=unbiased) == pytest.approx(float(expected), rel=1e-9)


def test_the_size_of_the_batches_does_not_matter() -> None:
    """The unbiased estimate in batches of 8 and of 128 agrees; the biased one of single batches does not."""
    model, inputs = build(Mlp(depth=4, width=64, inputs=32), seed=1), noise(3, 1024, 32).float()
    small, large = (similarity(model, inputs, batch_size=size) for size in (8, 128))
    with torch.no_grad():
        signal = [model.blocks[0](inputs), model.blocks[1](model.blocks[0](inputs))]
    biased = [
        np.mean([linear_cka(*pair, unbiased=False) for pair in zip(*(x.split(size) for x in signal), strict=True)])
        for size in (8, 128)
    ]

    # 1,024 rows: the estimate itself is known to a few hundredths
    np.testing.assert_allclose(small.cka, large.cka, atol=0.03)
    assert biased[0] - biased[1] > 0.1
    assert small.num_rows == large.num_rows == 1024


def test_a_layer_is_like_itself_and_unlike_noise(seed: int) -> None:
    """The diagonal is 1, the table symmetric; two networks of different depth share their input alone exactly."""
    inputs = noise(seed, 256, 16).float()
    one, other = build(Mlp(depth=3, width=24, inputs=16), seed=1), build(Mlp(depth=5, width=40, inputs=16), seed=2)
    own, between = similarity(one, inputs), similarity(one, inputs, other)

    np.testing.assert_allclose(np.diag(own.cka), 1, atol=1e-9)
    np.testing.assert_allclose(own.cka, own.cka.T, atol=1e-9)
    assert between.cka.shape == (4, 6)
    assert (between.points, len(between.others)) == (own.points, 6)
    assert between.cka[0, 0] == pytest.approx(1)
    assert own.cka[0, 1] > own.cka[0, 3]


def test_rows_of_a_transformer_are_tokens() -> None:
    """Where every layer gives (batch, time, width), tokens are compared; where they are too many, every second or third."""
    model = build(Transformer(depth=2, width=16, vocabulary=9, context=12))
    tokens = torch.randint(0, 9, (32, 12), generator=torch.Generator().manual_seed(0))

    assert similarity(model, tokens, batch_size=16).num_rows == 32 * 12
    assert similarity(model, tokens.repeat(4, 1), batch_size=64).num_rows == 2 * 384


def test_what_cannot_be_compared_is_an_error_or_unknown() -> None:
    """Three rows are too few; a layer that is the same for all samples is like nothing."""
    with pytest.raises(BatchError, match="same rows"):
        linear_cka(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(BatchError, match="four rows"):
        similarity(build("mlp-5"), torch.zeros(3, 64))
    dead = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    nn.init.constant_(dead[0].bias, -100)

    assert np.isnan(similarity(dead, torch.rand(16, 4), layers=["1"]).cka[0, 1])
