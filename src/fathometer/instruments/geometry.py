"""How samples lie among each other: the spread, correlation and rank of activations."""

import torch
from jaxtyping import Float
from torch import Tensor

MIN_SAMPLES = 8  # fewer cannot tell two directions from one
MAX_SAMPLES, MAX_UNITS = 256, 4096  # a strided sample of larger activations is enough for averages


def as_rows(tensor: Tensor, num_samples: int | None = None) -> Float[Tensor, "sample unit"]:
    """Return activations `(batch, …)` as float64 rows, one for each sample, at most `MAX_SAMPLES` × `MAX_UNITS` of them.

    `num_samples` is the batch size, if known: an axis of that size further back (time first) is taken as the batch.
    """
    tensor = tensor.detach()
    if tensor.ndim == 0:
        tensor = tensor.reshape(1)
    if num_samples and tensor.shape[0] != num_samples and num_samples in tensor.shape[:3]:
        tensor = tensor.movedim(list(tensor.shape).index(num_samples), 0)
    rows = tensor.reshape(tensor.shape[0], -1) if tensor.numel() else tensor.new_zeros(tensor.shape[0], 1)
    rows = rows[:: -(-rows.shape[0] // MAX_SAMPLES), :: -(-rows.shape[1] // MAX_UNITS)]
    return rows.to(torch.float64)


def second_moment(rows: Float[Tensor, "sample unit"]) -> float:
    """Return the mean square of all entries."""
    return float(rows.square().mean())


def correlation(rows: Float[Tensor, "sample unit"]) -> float | None:
    """Return the mean cosine between two different samples; None for fewer than two, or if all are zero.

    Samples are scaled to length 1 first. The mean over pairs is 1 minus the spread around the mean, Σ‖u_i - ū‖²/(n-1),
    which keeps its precision where all cosines are close to 1.
    """
    spread_of = spread(rows)
    return None if spread_of is None else 1 - spread_of


def spread(rows: Float[Tensor, "sample unit"]) -> float | None:
    """Return 1 minus the mean cosine between two different samples, exact also when it is tiny; None if unknown."""
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rows, lengths = rows[lengths[:, 0] > 0], lengths[lengths[:, 0] > 0]
    if rows.shape[0] < 2 or not bool(torch.isfinite(lengths).all()):
        return None
    unit = rows / lengths
    return float((unit - unit.mean(dim=0)).square().sum() / (unit.shape[0] - 1))


def effective_rank(rows: Float[Tensor, "sample unit"]) -> float | None:
    """Return the participation ratio (Σλ)²/Σλ² of the centred Gram matrix: the number of directions in which samples differ.

    It runs from 1 to min(samples - 1, units). None for fewer than `MIN_SAMPLES`, or if the samples do not differ at all.
    """
    if rows.shape[0] < MIN_SAMPLES:
        return None
    centred = rows - rows.mean(dim=0)
    gram = centred @ centred.T
    square = float(gram.square().sum())
    if not square > 0 or square == float("inf"):
        return None
    return float(gram.diagonal().sum()) ** 2 / square


def shared_direction(inputs: Float[Tensor, "sample unit"], outputs: Float[Tensor, "sample unit"]) -> float | None:
    """Return the mean correlation over units between what enters and what leaves a block; None if shapes differ.

    A block with a residual stream keeps much of its input (near 1 for a weak branch); a plain one next to nothing.
    """
    if inputs.shape != outputs.shape or inputs.shape[1] < 2:
        return None
    x, y = inputs - inputs.mean(dim=1, keepdim=True), outputs - outputs.mean(dim=1, keepdim=True)
    lengths = torch.linalg.vector_norm(x, dim=1) * torch.linalg.vector_norm(y, dim=1)
    return float(((x * y).sum(dim=1)[lengths > 0] / lengths[lengths > 0]).mean()) if bool((lengths > 0).any()) else None
