"""How samples lie among each other, against plain loops and known cases."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fathometer.instruments import as_rows, correlation, effective_rank, second_moment
from fathometer.instruments.geometry import (
    MAX_NUMBERS,
    as_places,
    kept_share,
    normalised_by_block,
    normalised_samples,
    normalised_share,
    rounding_floor,
    shared_direction,
    spread,
    token_spread,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return Gaussian numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mean_cosine(rows: Tensor) -> float:
    """Return the mean cosine over all pairs, by a plain loop."""
    cosines = [torch.nn.functional.cosine_similarity(a, b, dim=0) for i, a in enumerate(rows) for b in rows[:i]]
    return float(torch.stack(cosines).mean())


@given(st.integers(2, 9), st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_correlation_is_the_mean_over_pairs(samples: int, units: int, seed: int) -> None:
    """The formula by the spread around the mean equals the plain loop over pairs."""
    rows = noise(samples, units, seed=seed)
    assert correlation(rows) == pytest.approx(mean_cosine(rows), abs=1e-12)  # float64, fewer than a hundred products


def test_a_tiny_spread_is_exact() -> None:
    """Where 1 - cosine would be lost in rounding, the spread still is right to many digits."""
    base, tiny = noise(1, 50), 1e-12 * noise(8, 50, seed=1)
    expected = np.mean([1e-24 * float(_across(a - b, base[0])) / 2e-24 for i, a in enumerate(tiny) for b in tiny[:i]])

    # To first order; the next order is 1e-12 less, the rounding of the base itself 1e-4 of the difference.
    assert spread(base + tiny) == pytest.approx(expected, rel=1e-3)
    assert mean_cosine(base + tiny) in (1.0, pytest.approx(1.0, abs=1e-15))


def _across(difference: Tensor, direction: Tensor) -> Tensor:
    """Return the squared part of a difference that is across a direction, over the direction's squared length."""
    along = (difference @ direction) / (direction @ direction)
    return (difference - along * direction).square().sum() / (direction @ direction)


def test_zero_samples_do_not_count() -> None:
    """Samples that are all zero have no direction; with fewer than two others nothing is known."""
    rows = noise(5, 4)
    padded = torch.cat([rows, torch.zeros(3, 4, dtype=torch.float64)])

    assert correlation(rows) == correlation(padded)
    assert correlation(padded[4:]) is None
    assert correlation(rows[:1]) is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_known(bad: float) -> None:
    """NaN and infinity have no correlation and no rank."""
    rows = noise(10, 4)
    rows[3, 2] = bad

    assert spread(rows) is None
    assert effective_rank(rows) is None


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_rank_of_equal_directions_is_their_number(rank: int) -> None:
    """Samples on ± r orthogonal axes of equal length differ in r directions."""
    axes = torch.linalg.qr(noise(20, rank))[0].T
    rows = 3 + torch.cat([axes, -axes]).repeat(8, 1)

    assert effective_rank(rows) == pytest.approx(rank, rel=1e-9)


def test_the_rank_equals_that_of_the_covariance() -> None:
    """The Gram matrix of the samples gives the participation ratio of the covariance's eigenvalues."""
    rows = noise(12, 30) @ torch.diag(torch.linspace(0.1, 2, 30, dtype=torch.float64))
    energies = np.linalg.eigvalsh(np.cov(rows.numpy().T))

    assert effective_rank(rows) == pytest.approx(energies.sum() ** 2 / (energies**2).sum(), rel=1e-9)
    assert effective_rank(1e-30 * rows) == pytest.approx(effective_rank(rows), rel=1e-9)


def test_few_samples_have_no_rank() -> None:
    """Fewer than eight samples, or samples that do not differ, have no rank."""
    assert effective_rank(noise(7, 30)) is None
    assert effective_rank(noise(8, 30)) is not None
    assert effective_rank(torch.ones(9, 3, dtype=torch.float64)) is None


def collapsed(dtype: torch.dtype, depth: int, activation: type[nn.Module], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a network as torch makes it gives in its own type, and in float64 with the same weights."""
    torch.manual_seed(0)
    model = nn.Sequential(*[layer for _ in range(depth) for layer in (nn.Linear(128, 128), activation())]).to(dtype)
    with torch.no_grad():
        return model(inputs.to(dtype)), deepcopy(model).double()(inputs.to(dtype).double())


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid])
@pytest.mark.parametrize(("dtype", "depth"), [(torch.float32, 50), (torch.bfloat16, 30), (torch.float16, 40)], ids=str)
def test_rounding_errors_are_not_directions(dtype: torch.dtype, depth: int, activation: type[nn.Module]) -> None:
    """In a collapsed network rank and spread are those of rounding: the rank is not known, the spread is held to the floor."""
    low, exact = collapsed(dtype, depth, activation, noise(64, 128))
    floor = rounding_floor(dtype)

    assert spread(as_rows(exact)) < 0.1 * floor
    assert spread(as_rows(low)) < floor
    assert spread(as_rows(low), floor) == floor
    assert effective_rank(as_rows(low), floor) is None


def test_without_a_floor_they_would_be() -> None:
    """The control: the rank of a collapsed tanh network in float32 is that of noise, many times the true one."""
    low, exact = collapsed(torch.float32, 50, nn.Tanh, noise(64, 128))

    assert effective_rank(as_rows(exact)) < 10
    assert effective_rank(as_rows(low)) > 20


@pytest.mark.parametrize(("dtype", "depth"), [(torch.float32, 15), (torch.bfloat16, 5), (torch.float16, 8)], ids=str)
def test_a_real_spread_stays(dtype: torch.dtype, depth: int) -> None:
    """The control: above the floor rank and spread are those of exact arithmetic."""
    low, exact = collapsed(dtype, depth, nn.Tanh, noise(64, 128))
    floor = rounding_floor(dtype)

    # The floor is a few times the rounding, and these spreads are tens of floors: a few per cent of rounding at most.
    assert spread(as_rows(exact)) > 10 * floor
    assert spread(as_rows(low), floor) == pytest.approx(spread(as_rows(exact)), rel=0.05)
    assert effective_rank(as_rows(low), floor) == pytest.approx(effective_rank(as_rows(exact)), rel=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_storing_alone_stays_below_the_floor(dtype: torch.dtype) -> None:
    """Samples within one rounding of each other have a spread under eps², and none of it is real."""
    base, nudge = 1 + noise(1, 4000).abs(), noise(16, 4000, seed=1).clamp(-2, 2) / 4
    stored = (base * (1 + torch.finfo(dtype).eps * nudge)).to(dtype)

    assert 0 < spread(as_rows(stored)) < torch.finfo(dtype).eps ** 2 <= rounding_floor(dtype)


def test_shared_direction_is_a_correlation_over_units() -> None:
    """It is the mean over samples of numpy's correlation coefficient; other shapes have none."""
    x, y = noise(5, 9), noise(5, 9) + noise(5, 9, seed=1)
    expected = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)])

    assert shared_direction(x, y) == pytest.approx(expected, rel=1e-9)
    assert shared_direction(x, x) == pytest.approx(1)
    assert shared_direction(x, noise(5, 8)) is None
    assert shared_direction(x, torch.zeros_like(x)) is None


@pytest.mark.parametrize("shape", [(), (6,), (6, 3), (6, 3, 2), (6, 0), (6, 2, 3, 4)])
def test_any_shape_makes_rows(shape: tuple[int, ...]) -> None:
    """The first axis is the sample, the others are its units."""
    rows = as_rows(torch.ones(shape, dtype=torch.bfloat16))

    assert rows.dtype == torch.float64
    assert len(rows) == (shape[0] if shape else 1)


def test_rows_are_a_copy() -> None:
    """What is written into the tensor later, also in float64, does not reach the rows."""
    tensor = noise(4, 3)
    rows = as_rows(tensor)
    before = rows.clone()
    tensor.zero_()

    assert torch.equal(before, rows)


def test_the_batch_is_found_behind_the_time() -> None:
    """(time, batch, width) becomes (batch, time × width); two axes, and an equal first axis, stay."""
    tensor = noise(5, 7, 3)

    assert torch.equal(tensor.movedim(1, 0).reshape(7, 15), as_rows(tensor, 7))
    assert torch.equal(tensor.reshape(5, 21), as_rows(tensor, 5))
    assert torch.equal(noise(5, 7), as_rows(noise(5, 7), 7))


@pytest.mark.parametrize(
    "shape", [(4, 64, 32, 32), (4, 3, 128, 128), (4, 512, 8, 8), (4, 100, 768), (4, 5000), (700, 64), (1000, 96, 56, 56)]
)
def test_a_sample_of_units_has_equal_parts_of_all(shape: tuple[int, ...]) -> None:
    """Where channels, rows and columns have sizes of their own, the sample's second moment is near that of the whole."""
    tensor = torch.ones(1)
    for axis, size in enumerate(shape[1:]):
        factor = torch.linspace(0.2, 2, size)[torch.randperm(size, generator=torch.Generator().manual_seed(axis))]
        tensor = tensor.unsqueeze(-1) * factor
    edges = tensor.clone()
    edges[..., 0] *= 5  # what padding does to the first column
    few = edges.expand(min(shape[0], 300), *edges.shape[1:])
    rows = as_rows(few)

    assert rows.shape[0] <= 256
    assert rows.shape[1] <= 4096
    # At least 1667 of the units, spread evenly: within a few per cent.
    assert second_moment(rows) == pytest.approx(float(few[:1].double().square().mean()), rel=0.05)


def test_an_even_stride_would_not() -> None:
    """The control: every 16th unit of 32 columns is always one of the same two columns."""
    tensor = torch.ones(4, 64, 32, 32)
    tensor[..., 0] *= 5
    flat = tensor.reshape(4, -1)

    assert float(flat[:, ::16].square().mean()) > 2 * float(flat.square().mean())
    assert second_moment(as_rows(tensor)) == pytest.approx(float(flat.square().mean()), rel=0.05)


@given(st.integers(1, 5), st.integers(2, 7), st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_token_spread_is_the_mean_over_pairs_of_one_sample(samples: int, tokens: int, units: int, seed: int) -> None:
    """It equals 1 minus the mean, over samples, of the plain loop over pairs of tokens."""
    places = noise(samples, tokens, units, seed=seed)
    expected = 1 - np.mean([mean_cosine(sample) for sample in places])

    assert token_spread(places) == pytest.approx(expected, abs=1e-12)  # float64, fewer than a hundred products


def test_a_tiny_token_spread_is_exact() -> None:
    """Where tokens are nearly one, the spread keeps its digits; below the floor it is the floor."""
    base, tiny = noise(3, 1, 50), 1e-12 * noise(3, 8, 50, seed=1)
    each = [_across(a - b, base[s, 0]) / 2 for s in range(3) for i, a in enumerate(tiny[s]) for b in tiny[s][:i]]

    assert token_spread(base + tiny) == pytest.approx(float(np.mean(each)), rel=1e-3)  # as for the spread of samples
    assert token_spread(base + tiny, floor=1e-9) == 1e-9


def test_zero_tokens_and_lone_tokens_do_not_count() -> None:
    """Padding of zeros has no direction; a sample with one token has no pair; NaN is not known."""
    places = noise(3, 6, 4)
    padded = torch.cat([places, torch.zeros(3, 2, 4).double()], dim=1)
    lone = padded.clone()
    lone[2, 1:] = 0

    assert token_spread(padded) == pytest.approx(token_spread(places), rel=1e-12)
    assert token_spread(lone) == pytest.approx(token_spread(places[:2]), rel=1e-12)
    assert token_spread(places[:, :1]) is None
    assert token_spread(places * float("nan")) is None


def test_places_are_tokens_pixels_or_samples() -> None:
    """Vectors of all units: tokens of (batch, time, width), pixels of images, samples of (batch, width)."""
    assert torch.equal(as_places(noise(2, 3, 4)), noise(2, 3, 4))
    assert torch.equal(as_places(noise(3, 2, 4), 2), noise(3, 2, 4).transpose(0, 1))
    assert torch.equal(as_places(noise(2, 3, 2, 2)), noise(2, 3, 2, 2).permute(0, 2, 3, 1).reshape(2, 4, 3))
    assert torch.equal(as_places(noise(5, 4)), noise(5, 4)[:, None])
    assert as_places(noise(5)) is None
    assert as_places(noise(0, 3, 4)) is None


def test_of_large_activations_some_places_are_taken() -> None:
    """There are never many more numbers than allowed, and units are never left out."""
    for shape in ((64, 100, 64), (1, 2000, 256), (4, 4, 2**14), (3000, 64)):
        places = as_places(torch.zeros(shape))
        assert places.shape[-1] == shape[-1]
        assert places.numel() <= max(MAX_NUMBERS, 64 * shape[-1])
        assert places.shape[0] * places.shape[1] > 7


def vectors(kind: str, width: int = 64) -> Tensor:
    """Return 128 vectors as some layer leaves them."""
    x = noise(128, width, seed=3)
    gain, norm = 0.2 + 2 * noise(width, seed=4).abs(), torch.nn.functional.layer_norm
    return {
        "noise": x,
        "noise of unequal units": x * gain,
        "collapsed noise": noise(1, width, seed=5) + 0.03 * x,
        "saturated": torch.tanh(2 * x),
        "rectified": x.relu(),
        "layer norm": norm(x, (width,)),
        "layer norm of collapsed noise": norm(noise(1, width, seed=5) + 0.03 * x, (width,)),
        "layer norm in bfloat16": norm(x, (width,)).bfloat16().double(),
        "root mean square norm": torch.nn.functional.rms_norm(7 * x, (width,)),
        "layer norm with gains": norm(x, (width,)) * gain,
        "unit length": torch.nn.functional.normalize(x),
    }[kind][:, None]


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("noise", 0, 0.5), ("noise of unequal units", 0, 0.5), ("collapsed noise", 0, 0.5), ("saturated", 0, 0.5),
        ("rectified", 0, 0.5),
        ("layer norm", 0.999, 1), ("layer norm of collapsed noise", 0.999, 1), ("layer norm in bfloat16", 0.999, 1),
        ("root mean square norm", 0.999, 1), ("layer norm with gains", 0.95, 1), ("unit length", 0.999, 1),
    ],
)  # fmt: skip
def test_normalised_is_what_a_norm_leaves(kind: str, low: float, high: float) -> None:
    """Norms of tokens leave equal lengths, also with gains and in bfloat16; other layers do not, also where all is one."""
    # Of 128 vectors a ratio of variances is known to an eighth (one deviation), four of which are 0.5.
    assert low <= normalised_share(vectors(kind)) <= high


def test_normalised_is_unknown_of_few_or_equal_vectors() -> None:
    """Fewer than eight vectors, vectors that are all the same, and NaN say nothing."""
    x = vectors("layer norm")

    assert normalised_share(x[:7]) is None
    assert normalised_share(x[:1].expand(20, -1, -1)) is None
    assert normalised_share(torch.zeros(20, 1, 4).double()) is None
    assert normalised_share(x * float("nan")) is None


def test_normalised_samples_are_what_a_group_norm_leaves() -> None:
    """A group norm of images holds the length of each image constant, though not that of each pixel."""
    x = noise(32, 8, 6, 6)
    image = torch.nn.functional.group_norm(x, 2)

    assert normalised_samples(image, as_rows(image)) == pytest.approx(1, abs=1e-6)  # its lengths are made in float32
    assert normalised_samples(x, as_rows(x)) < 0.7
    assert normalised_share(as_places(image)) < 0.7
    large = torch.nn.functional.group_norm(noise(32, 64, 10, 10), 4)  # of which the rows hold some units only
    assert normalised_samples(large, as_rows(large)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("ratio", [1e-3, 0.01, 0.1, 0.5])
def test_a_weak_branch_is_told_from_a_norm(ratio: float) -> None:
    """What is added to a stream that came in normalised is seen at once, however weak; a norm behind it is seen too."""
    stream = vectors("layer norm")
    added = stream + ratio * noise(128, 1, 64, seed=9)
    normed = torch.nn.functional.layer_norm(added, (64,))

    assert normalised_by_block(normalised_share(added), ratio) < 0.6
    assert normalised_by_block(normalised_share(normed), ratio) > 0.999
    assert normalised_by_block(normalised_share(stream), 0.0) is None
    assert normalised_by_block(1.0, ratio, floor=ratio**2) is None


def test_the_kept_share_is_that_of_the_input() -> None:
    """Of c·x + what is across x, it is c."""
    x, other = noise(8, 30), noise(8, 30, seed=1)
    across = other - x * (x.flatten() @ other.flatten()) / x.square().sum()

    assert kept_share(x, 0.7 * x + across) == pytest.approx(0.7, rel=1e-12)
