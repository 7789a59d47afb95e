"""Gram matrices and their factors: the fast way and the plain one."""

import pytest
import torch
from torch import Tensor

from fathometer.implicit.gaussian import CHUNK, PLAIN, draw_product, draw_return, factor, factored, gram


def vectors(correlation: float, count: int = 16, width: int = 3 * CHUNK + 5, seed: int = 0) -> Tensor:
    """Return vectors of length near √width that share a part."""
    generator = torch.Generator().manual_seed(seed)
    common, own = torch.randn(1, width, generator=generator), torch.randn(count, width, generator=generator)
    return correlation**0.5 * common + (1 - correlation) ** 0.5 * own


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_float32_gives_the_gram_matrix_and_its_inverse(correlation: float) -> None:
    """Where vectors are told apart, the fast product is the plain one to 1e-6, and so is what its factor leads to."""
    x = vectors(correlation)
    fast, found = factored(x)
    plain = gram(x)

    assert found is not None
    assert found.is_plain
    assert (fast - plain).abs().max() < 1e-6 * plain.max()
    inverse = found.inverse @ found.inverse.T
    torch.testing.assert_close(inverse @ plain, torch.eye(16, dtype=torch.float64), atol=1e-4, rtol=0)
    assert not torch.equal(fast, plain), "the control: it was another way"


@pytest.mark.parametrize("kind", ["repeated", "nearly repeated", "few columns", "float64", "huge"])
def test_where_float32_is_not_enough_the_plain_way_is_taken(kind: str) -> None:
    """Vectors that repeat, or nearly, more vectors than columns, and numbers whose squares overflow: in float64, bit for bit."""
    x = vectors(0.1)
    if kind.endswith("repeated"):
        x = torch.cat([x[:8], x[:8] + (1e-3 if kind.startswith("nearly") else 0) * vectors(0, 8, seed=1)])
    x = {"few columns": x[:, :9], "float64": x.double(), "huge": x * 1e30}.get(kind, x)
    product, found = factored(x)
    expected = factor(gram(x))

    assert torch.equal(product, gram(x))
    assert found is not None
    assert expected is not None
    assert torch.equal(found.lower, expected.lower)
    assert found.lower.shape[1] == {"repeated": 8, "few columns": 9}.get(kind, 16)


def test_nothing_comes_of_what_is_not_finite() -> None:
    """A NaN has no factor, by either way."""
    x = vectors(0.1)
    x[3, 7] = torch.nan

    assert factored(x)[1] is None


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.99])
def test_the_adjoint_holds_by_the_fast_way(correlation: float) -> None:
    """⟨g W, x⟩ = ⟨g, y⟩ to 1e-5 of the largest, with a g that is made from y; with another, fresh matrix it does not hold."""
    x, generator = vectors(correlation), torch.Generator().manual_seed(1)
    of_x = factored(x)[1]
    y = draw_product(of_x, 500, 0.01, generator, x)
    g = y.tanh()
    back = draw_return(g, x, y, (of_x, factored(g)[1]), 0.01, generator)
    fresh = draw_product(factored(g)[1], x.shape[1], 0.01, generator, g)
    size = float((g @ y.T).abs().max())

    assert float((back @ x.T - g @ y.T).abs().max()) < 1e-5 * size
    assert float((fresh @ x.T - g @ y.T).abs().max()) > 0.05 * size


def test_the_limit_is_of_the_smallest_direction() -> None:
    """The factor knows how far apart its vectors are: the share of the smallest eigenvalue."""
    found = factored(vectors(0.999))[1]

    assert found is not None
    assert found.least < PLAIN
    assert not found.is_plain
