"""How samples lie among each other: spread, correlation and rank."""

from math import gcd, inf, isfinite

import torch
from jaxtyping import Float
from torch import Tensor

MIN_SAMPLES = 8  # fewer cannot tell two directions from one
MAX_SAMPLES, MAX_UNITS = 256, 4096  # a sample of larger activations is enough for averages
MAX_NUMBERS, MIN_PLACES = 2**15, 32  # the same, where all units of a place are needed
TINY = 1e-300  # so that nothing is divided by 0
NORM_HOLDS = 0.999  # a norm without gains, to which nothing has to be added


def as_rows(tensor: Tensor, num_samples: int | None = None) -> Float[Tensor, "sample unit"]:
    """Return activations `(batch, …)` as float64 rows, one for each sample, at most `MAX_SAMPLES` × `MAX_UNITS` of them.

    `num_samples` is the batch size, if known: where the first axis has another size and the second has this one, as in
    `(time, batch, width)`, the second is the batch. The rows are a copy. Of larger activations every n-th unit is taken, n
    without a common factor with their number, so that all channels, rows and columns of an image have equal parts in it.
    """
    tensor = _batch_first(tensor.detach(), num_samples)
    if tensor.ndim == 0:
        tensor = tensor.reshape(1)
    rows = tensor.reshape(tensor.shape[0], -1) if tensor.numel() else tensor.new_zeros(tensor.shape[0], 1)
    rows = _every(rows, stride(rows.shape[0], MAX_SAMPLES), stride(rows.shape[1], MAX_UNITS))
    rows = rows.cpu() if rows.device.type == "mps" else rows  # it has no float64
    return rows.to(torch.float64, copy=True)


def _batch_first(tensor: Tensor, num_samples: int | None) -> Tensor:
    is_second = tensor.ndim > 2 and num_samples == tensor.shape[1] != tensor.shape[0]
    return tensor.movedim(1, 0) if is_second else tensor


def as_places(
    tensor: Tensor, num_samples: int | None = None, rows: Float[Tensor, "row entry"] | None = None
) -> Float[Tensor, "sample place unit"] | None:
    """Return activations as float64 vectors of all units at some places of some samples; None without an axis of units.

    The places of `(batch, time, width)` are the tokens, those of `(batch, channel, …)` from four axes on the pixels, and
    `(batch, width)` has one for each sample. At most `MAX_NUMBERS` are taken, by every n-th place of every n-th sample. The
    `rows` of the same activations, if given, are used again where they are the same numbers.
    """
    tensor = _batch_first(tensor.detach(), num_samples)
    if tensor.ndim < 2 or not tensor.numel():
        return None
    if tensor.ndim > 3:
        tensor = tensor.movedim(1, -1).flatten(1, -2)
    elif tensor.ndim == 2:
        tensor = tensor.unsqueeze(1)
    samples, places, units = tensor.shape
    most = max(MAX_NUMBERS // units, MIN_PLACES)
    if rows is not None and places == 1 and samples <= most and rows.shape == (samples, units):
        return rows.unsqueeze(1)
    first = stride(samples, most if places == 1 else MIN_SAMPLES)
    some = _every(tensor, first, stride(places, max(most // -(-samples // first), 4)))
    return (some.cpu() if some.device.type == "mps" else some).to(torch.float64, copy=True)


def _every(tensor: Tensor, first: int, second: int) -> Tensor:
    """Return every n-th entry of the first axis and every n-th of the second."""
    return tensor if first == second == 1 else tensor[::first, ::second]


def stride(size: int, most: int) -> int:
    """Return the smallest step that leaves at most `most` of `size` and shares no factor with it."""
    if size <= most:
        return 1
    step = -(-size // most)
    while step > 1 and gcd(step, size) > 1:
        step += 1
    return max(step, 1)


def rounding_floor(dtype: torch.dtype) -> float:
    """Return the spread below which samples differ by no more than rounding, for numbers of this type.

    A rounded number is off by up to eps/2 of its size, so samples that ought to be equal have a spread of about
    eps²/24 = 0.04 eps². Measured in collapsed networks (tanh, ReLU, GELU, sigmoid, convolutions; 20 to 50 layers): 0.005
    to 0.3 eps² in bfloat16, where sums are kept in float32, and 0.07 to 4 eps² in float32, where sums round as well. The
    floors are a few times more: eps² for 16 bits, (4 eps)² from 32 bits on. Coarser arithmetic than the numbers' own type
    (autocast, TF32) is not seen.
    """
    eps = torch.finfo(dtype).eps
    return eps**2 if dtype.itemsize < 4 else (4 * eps) ** 2


def second_moment(rows: Float[Tensor, "sample unit"]) -> float:
    """Return the mean square of all entries."""
    return _energy(rows) / rows.numel()


def _energy(rows: Tensor) -> float:
    """Return the sum of squares, without a copy of them."""
    flat = rows.reshape(-1)
    return float(flat.dot(flat))


def correlation(rows: Float[Tensor, "sample unit"]) -> float | None:
    """Return the mean cosine between two different samples; None for fewer than two, or if all are zero."""
    spread_of = spread(rows)
    return None if spread_of is None else 1 - spread_of


def spread(rows: Float[Tensor, "sample unit"], floor: float = 0.0) -> float | None:
    """Return 1 minus the mean cosine between two different samples, exact also when it is tiny; None if unknown.

    Samples are scaled to length 1; the mean over pairs is then the spread around the mean, Σ‖u_i - ū‖²/(n-1), which
    keeps its precision where all cosines are close to 1. What is below `floor` is returned as `floor`: read it as
    "no more than this" (see `rounding_floor`). Samples that are all zero do not count.
    """
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    shortest, longest = _range(lengths)
    if shortest == 0:
        some = lengths[:, 0] != 0
        rows, lengths = rows[some], lengths[some]
    if rows.shape[0] < 2 or not longest < inf:  # NaN is not less either
        return None
    unit = rows / lengths
    return max(_energy(unit.sub_(unit.mean(dim=0))) / (unit.shape[0] - 1), floor)


def effective_rank(rows: Float[Tensor, "sample unit"], floor: float = 0.0) -> float | None:
    """Return the participation ratio (Σλ)²/Σλ² of the centred Gram matrix: the number of directions in which samples differ.

    It runs from 1 to min(samples - 1, units). None for fewer than `MIN_SAMPLES`, or if the samples do not differ: if their
    energy around the mean is at most `floor` of the whole, where rounding errors would be counted as directions.
    """
    if rows.shape[0] < MIN_SAMPLES:
        return None
    centred = rows - rows.mean(dim=0)
    energy, square = _energy(centred), _energy(centred @ centred.T)
    if not energy > floor * _energy(rows) or not 0 < square < float("inf"):
        return None
    return energy**2 / square


def shared_direction(inputs: Float[Tensor, "sample unit"], outputs: Float[Tensor, "row column"]) -> float | None:
    """Return the mean over samples of the correlation over units between what enters and leaves; None if shapes differ.

    A block with a residual stream keeps much of its input (near 1 for a weak branch); a plain one next to nothing.
    """
    if inputs.shape != outputs.shape or inputs.shape[1] < 2:
        return None
    x, y = inputs - inputs.mean(dim=1, keepdim=True), outputs - outputs.mean(dim=1, keepdim=True)
    lengths = torch.linalg.vector_norm(x, dim=1) * torch.linalg.vector_norm(y, dim=1)
    products = torch.linalg.vecdot(x, y)
    if not _range(lengths)[0] > 0:
        products, lengths = products[lengths > 0], lengths[lengths > 0]
    return float((products / lengths).mean()) if len(products) else None


def _range(numbers: Tensor) -> tuple[float, float]:
    """Return the least and the largest number, NaN twice if one is; (inf, -inf) of none."""
    low, high = numbers.aminmax() if numbers.numel() else (inf, -inf)
    return float(low), float(high)


def token_spread(places: Float[Tensor, "sample place unit"], floor: float = 0.0) -> float | None:
    """Return 1 minus the mean cosine between two different tokens of one sample, exact also when it is tiny; None if unknown.

    As `spread`, within each sample; its mean over samples. Tokens that are all zero do not count.
    """
    lengths = torch.linalg.vector_norm(places, dim=2, keepdim=True)
    some = lengths > 0
    counts = some.sum(dim=1, keepdim=True)
    unit = torch.where(some, places / lengths.where(some, 1), 0)
    around = (unit - unit.sum(dim=1, keepdim=True) / counts.clamp(min=1)).where(some, 0)
    each = around.square().sum(dim=(1, 2)) / (counts[:, 0, 0] - 1).clamp(min=1)
    each = each[counts[:, 0, 0] > 1]
    if not len(each) or not bool(torch.isfinite(each).all()):
        return None
    return max(float(each.mean()), floor)


def normalised_share(places: Float[Tensor, "sample place unit"]) -> float | None:
    """Return how far the lengths of vectors are held equal, as a norm holds them: 1 = exactly, 0 = not; None if unknown.

    It is 1 - Var(Σ x²)/Σ Var(x²), with sums over units and variances over places: were the units free of each other, both
    would be equal. The larger of that and of the same after each unit is divided by its root mean square, which a norm with
    a gain for each channel needs; that one falls short of 1 by about 2 over the number of places. Unknown for fewer than
    `MIN_SAMPLES` places, and where they do not differ.
    """
    squares = places.flatten(0, 1)
    squares = (squares / squares.abs().amax().clamp(min=TINY)).square_()
    means = squares.mean(dim=0)
    shares = [_held(squares.sum(dim=1), squares, means)]
    if shares[0] is None or shares[0] < NORM_HOLDS:
        squares = squares / (means if _range(means)[0] > 0 else means.where(means > 0, 1))
        shares.append(_held(squares.sum(dim=1), squares, squares.mean(dim=0)))
    return max((share for share in shares if share is not None), default=None)


def normalised_samples(tensor: Tensor, rows: Float[Tensor, "sample unit"]) -> float | None:
    """Return the same for whole samples `(sample, …)`, as a group norm of images leaves them; `rows` are some of their units."""
    if len(rows) != len(tensor):
        return None
    exact = torch.promote_types(tensor.dtype, torch.float32)
    lengths = torch.linalg.vector_norm(tensor.detach().flatten(1), dim=1, dtype=exact).to(rows)
    squares = rows.square()
    return _held(lengths.square() * (rows.shape[1] / tensor[0].numel()) ** 0.5, squares, squares.mean(dim=0))


def normalised_by_block(share: float | None, ratio: float, floor: float = 0.0) -> float | None:
    """Return how far a residual block itself holds lengths equal that adds `ratio` of its input; None if that is too little.

    `share` is that of its output. What the block adds disturbs lengths that came in equal by about 2 ratio² only, on the
    scale of `normalised_share`; `floor` is that of the numbers' type.
    """
    disturbed = min(2 * ratio**2, 1.0)
    return None if share is None or disturbed <= 100 * floor else max(1 - (1 - share) / disturbed, 0.0)


def _held(sums: Float[Tensor, "place"], squares: Float[Tensor, "place unit"], means: Float[Tensor, "unit"]) -> float | None:
    if len(squares) < MIN_SAMPLES or squares.shape[1] < 2:
        return None
    whole, parts = _energy(sums - sums.mean()), _energy(squares - means)
    return max(1 - whole / parts, 0.0) if isfinite(whole) and parts > 1e-24 * _energy(squares) else None


def kept_share(inputs: Float[Tensor, "sample unit"], outputs: Float[Tensor, "sample unit"]) -> float:
    """Return the c for which c × inputs is nearest to the outputs: what a norm behind a sum has left of its first part."""
    return float(inputs.flatten().dot(outputs.flatten())) / _energy(inputs)
