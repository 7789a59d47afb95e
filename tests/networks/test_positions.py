"""Rotary positions turn pairs of units, and only how far apart places are matters."""

import pytest
import torch

from fathometer.networks.positions import rotate


@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_rotation_equals_a_product_of_complex_numbers(base: float, seed: int) -> None:
    """Unit i and unit i + head_width/2 are the two parts of a number that is multiplied with e^(i·angle)."""
    heads = torch.randn(2, 3, 7, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    numbers = torch.complex(heads[..., :6], heads[..., 6:])
    frequencies = torch.tensor([base ** (-2 * i / 12) for i in range(6)], dtype=torch.float64)
    angles = torch.outer(torch.arange(7, dtype=torch.float64), frequencies)
    turned = numbers * torch.polar(torch.ones_like(angles), angles)

    # Double precision; the same few products, in another order.
    torch.testing.assert_close(rotate(heads, base), torch.cat([turned.real, turned.imag], -1), rtol=1e-12, atol=1e-12)


def test_only_the_distance_matters(seed: int) -> None:
    """A query at place t and a key at place s have the same product as those at t + 1 and s + 1; unturned they have not."""
    generator = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(8, generator=generator, dtype=torch.float64).expand(9, 8) for _ in range(2))
    products = rotate(query, 10_000.0) @ rotate(key, 10_000.0).T

    # Double precision, sums of 8 products.
    torch.testing.assert_close(products[1:, 1:], products[:-1, :-1], rtol=0, atol=1e-12)
    assert (products[0] - products[0, 0]).abs().max() > 0.1  # and the distance does matter


def test_lengths_are_kept_and_the_first_place_is_not_turned(seed: int) -> None:
    """Turning changes no length, and place 0 has angle 0."""
    heads = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turned = rotate(heads, 10_000.0)

    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1))
    assert torch.equal(turned[0], heads[0])


def test_half_precision_loses_nothing_in_the_angles(seed: int) -> None:
    """In bfloat16 the angles of far places are still right: only the result is rounded."""
    heads = torch.randn(4000, 4, generator=torch.Generator().manual_seed(seed)).to(torch.bfloat16)
    turned = rotate(heads, 10_000.0)

    assert turned.dtype == torch.bfloat16
    # bfloat16 has 8 bits: each of a handful of roundings is off by at most 1/256 of numbers up to about 4.
    torch.testing.assert_close(turned.float(), rotate(heads.float(), 10_000.0), rtol=0, atol=0.06)
