"""Convolutions in theory: a weight matrix, and what borders take away.

At infinite width a convolution is a weight matrix for each place (Xiao et al. 2018, "Dynamical isometry and a mean field
theory of CNNs"). Two places are taken to be as alike as two samples.

Letters: M the taps (place out, place in) of one axis, each 1/k: a window of k places that reaches over the border finds
zeros there. The second moment along an axis goes forward by M and the gradient's comes back by Mᵀ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fathometer.parametrizations.roles import Role
from fathometer.spec import ConvNet
from fathometer.theory.blocks import linear_of
from fathometer.theory.gaussian import Array
from fathometer.theory.steps import IDENTITY, Linear, Response, Signal, activate, linear, normalise, then


@dataclass(frozen=True)
class Convolution:
    """One convolution: its matrix, its taps along one axis, and how far what all places share goes on to be the same.

    `common` is 1 without borders; near them some taps find zeros, which each place has its own share of.
    """

    matrix: Linear
    taps: Array
    common: float


@dataclass(frozen=True)
class Block:
    """The convolutions of one block, and what its shortcut does where shapes change: a projection, or places and zeros."""

    branch: tuple[Convolution, ...]
    projection: Convolution | None
    stride: int
    widening: int

    @property
    def width(self) -> float:
        """Return the channels that leave."""
        return self.branch[-1].matrix.width


@dataclass(frozen=True)
class Path:
    """What came of convolutions in a row: the signal, its spread along an axis, the response, the lengths before each φ.

    The slope of the response leaves out what borders and strides do to the gradient: see `way_back`.
    """

    signal: Signal
    along: Array
    response: Response
    lengths: tuple[float, ...] = ()


def convolution(spec: ConvNet, role: Role, shape: tuple[int, int, int, int], side: int) -> Convolution:
    """Return the convolution of shape (channels in, channels out, size, stride) on images `side` places wide."""
    channels, width, size, stride = shape
    fan_in = channels * size**2
    matrix = linear_of(spec, role, fan_in, width * size**2, bias=spec.norm is None)
    kept = min(1.0, width / fan_in) if matrix.kept else 0.0
    reached = np.arange(-(-side // stride))[:, None] * stride + np.arange(size) - size // 2  # (place out, tap)
    taps = (np.abs(reached[:, size // 2, None] - np.arange(side)) <= size // 2) / size
    found = ((reached >= 0) & (reached < side)).mean(axis=0)  # of each tap, over places
    common = float((found**2).sum() / found.sum()) ** 2  # two places over all pairs, against a place with itself; both axes
    return Convolution(replace(matrix, width=float(width), kept=kept), taps, common)


def blocks_of(spec: ConvNet, side: int) -> Iterator[Block]:
    """Yield the blocks of all stages, for a stem whose output is `side` places wide."""
    channels = spec.first_width
    for stage, (width, count) in enumerate(zip(spec.stage_widths, spec.block_counts, strict=True)):
        for index in range(count):
            stride, last = 2 if stage > 0 and index == 0 else 1, width * spec.expansion
            projected = spec.shortcut_kind == "B" and (stride > 1 or channels != last)
            projection = convolution(spec, "hidden", (channels, last, 1, stride), side) if projected else None
            yield Block(tuple(_branch(spec, channels, width, stride=stride, side=side)), projection, stride, last // channels)
            channels, side = last, -(-side // stride)


def _branch(spec: ConvNet, channels: int, width: int, *, stride: int, side: int) -> Iterator[Convolution]:
    last = width * spec.expansion
    shapes = [(channels, width, 3, stride), (width, last, 3, 1)]
    if spec.block_kind == "bottleneck":
        shapes = [(channels, width, 1, 1), (width, width, 3, stride), (width, last, 1, 1)]
    for index, shape in enumerate(shapes):
        yield convolution(spec, "branch_last" if index == len(shapes) - 1 else "hidden", shape, side)
        side = -(-side // shape[-1])


def through(convolutions: Sequence[Convolution], path: Path, spec: ConvNet, num_inputs: int | None) -> Path:
    """Follow conv norm (φ conv norm)… from where a path stands."""
    signal, along, response, lengths = path.signal, path.along, IDENTITY, []
    for index, conv in enumerate(convolutions):
        if index:
            lengths.append(signal.moment)
            signal, activated, _ = activate(signal, spec.phi, conv.matrix.width)
            response = then(response, activated)
        share, along = _passed(conv.taps, along)
        layer = replace(conv.matrix, forward_variance=conv.matrix.forward_variance * share)
        signal, weighted = linear(signal, layer)
        response = then(response, weighted)
        if spec.norm:
            signal, normed = _normed(signal, conv, len(along), spec.norm, num_inputs)
            response = then(response, normed)
    return Path(signal, along, shared(response, signal, len(along)), tuple(lengths))


def _normed(signal: Signal, conv: Convolution, side: int, norm: str, num_inputs: int | None) -> tuple[Signal, Response]:
    if norm != "batch":
        return normalise(signal, norm, conv.matrix.width)
    # Its mean is over all samples and places, so it takes out what all of these share and leaves what is common to one place.
    taken = conv.common * signal.correlation
    among = None if num_inputs is None else num_inputs * side**2
    normed, response = normalise(replace(signal, correlation=taken), norm, conv.matrix.width, among)
    left = (signal.correlation - taken) / max(1 - taken, 1e-12)
    return replace(normed, correlation=normed.correlation + left), response


def shared(response: Response, signal: Signal, side: int) -> Response:
    """Return the response with what averaging over an image leaves of its noise, if places are as alike as samples."""
    left = left_by_places(signal.correlation**2, side)
    return replace(
        response, noise=left * response.noise, slope_noise=left * response.slope_noise, shared_noise=left * response.shared_noise
    )


def left_by_places(common: float, side: int) -> float:
    """Return what averaging over an image leaves of a variance of which two places have a share in common."""
    return common + (1 - common) / side**2


def way_back(convolutions: Sequence[Convolution], along: Array) -> tuple[float, Array]:
    """Return what borders and strides leave of a gradient spread so along each axis, and how it is spread then."""
    share = 1.0
    for conv in reversed(convolutions):
        passed, along = _passed(conv.taps.T, along)
        share *= passed
    return share, along


def _passed(taps: Array, along: Array) -> tuple[float, Array]:
    # Both axes alike: the share of one, squared.
    after = taps @ along
    mean = float(after.mean())
    return (mean / float(along.mean())) ** 2, after / mean
