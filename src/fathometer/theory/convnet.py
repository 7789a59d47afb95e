"""What theory expects of a convnet at its start, block by block.

Plain networks are followed by the maps alone. The stream of a residual one is bent by φ after every sum, and no longer
Gaussian: `channels` follows it.

Letters: α the branch multiplier, δ the gradient's second moment at what leaves a block and h in front of its last φ, both
channel by channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fathometer.depth_profile import DepthProfile
from fathometer.spec import ConvNet
from fathometer.theory.channels import Draws, signal_of, widened
from fathometer.theory.convolution import Block, Path, blocks_of, convolution, left_by_places, shared, through, way_back
from fathometer.theory.gaussian import Array
from fathometer.theory.mlp import BATCH_NORM_STOPS
from fathometer.theory.profile import Crossing, Start, profile_of
from fathometer.theory.steps import IDENTITY, Response, Signal, activate, add, then

_POOL_STOPS = "max-pool: images whose pixels are independent"
_BORDER_STOPS = "borders: the activation is taken as if all places had the mean signal; near borders there is less"


@dataclass(frozen=True)
class Step:
    """What came of one residual block: its crossing (without the way back), and what the way back needs.

    `stream` is what leaves, `passed` φ′² of the last φ (both by channel), `slope` that of the branch, `shortcut_slope` that
    of the projection, without their borders.
    """

    block: Block
    crossing: Crossing
    stream: Array
    along: Array
    passed: Array
    slope: float
    shortcut_slope: float = 1.0


def forecast_convnet(spec: ConvNet, start: Start) -> DepthProfile:
    """Return what theory expects of a convnet; each block is one point."""
    stem, side = _stem(spec, start)
    blocks = list(blocks_of(spec, side))
    follow = _plain if spec.residual == "none" else _residual
    crossings = follow(blocks, replace(stem, along=np.ones(side)) if spec.layout == "imagenet" else stem, spec, start)
    reasons = {
        BATCH_NORM_STOPS: spec.norm == "batch",
        _POOL_STOPS: spec.layout == "imagenet",
        _BORDER_STOPS: spec.norm is None and not spec.phi.homogeneous,
    }
    stops = [reason for reason, applies in reasons.items() if applies]
    return profile_of(crossings, spec.phi, scatter=stem.response.noise, stops=stops)


def _stem(spec: ConvNet, start: Start) -> tuple[Path, int]:
    """Return what leaves the stem's norm, and how wide the image is behind the stem."""
    size, stride = (3, 1) if spec.layout == "cifar" else (7, 2)
    shape = (spec.channels, spec.first_width, size, stride)
    image = Path(Signal(start.signal, start.correlation), np.ones(spec.side), IDENTITY)
    path = through([convolution(spec, "input", shape, spec.side)], image, spec, start.num_inputs)
    return path, len(path.along) if spec.layout == "cifar" else -(-len(path.along) // 2)


def _plain(blocks: Sequence[Block], stem: Path, spec: ConvNet, start: Start) -> list[Crossing]:
    """Return the crossings of x ← φ(f(x))."""
    draws = Draws()
    signal = signal_of(_bent(draws, stem, spec)) if spec.layout == "imagenet" else activate(stem.signal, spec.phi, 1.0)[0]
    at, crossings = replace(stem, signal=signal), []
    for block in blocks:
        path = through(block.branch, at, spec, start.num_inputs)
        signal, last, _ = activate(path.signal, spec.phi, block.width)
        response = then(path.response, shared(last, path.signal, len(path.along)))
        crossings.append(Crossing(signal, response, (*path.lengths, path.signal.moment)))
        at = replace(path, signal=signal)
    along = np.ones(len(at.along))
    for index, block in reversed(list(enumerate(blocks))):
        share, along = way_back(block.branch, along)
        response = crossings[index].response
        crossings[index] = replace(crossings[index], response=replace(response, slope=response.slope * share))
    return crossings


def _bent(draws: Draws, stem: Path, spec: ConvNet) -> Array:
    """Return the channels that leave the stem, (2, channel)."""
    drawn = draws.pooled(stem.signal) if spec.layout == "imagenet" else draws.start(stem.signal)
    return spec.phi.function(drawn)


def _residual(blocks: Sequence[Block], stem: Path, spec: ConvNet, start: Start) -> list[Crossing]:
    """Return the crossings of x ← φ(shortcut(x) + α f(x))."""
    draws, steps = Draws(), list[Step]()
    stream, along = _bent(draws, stem, spec), stem.along
    for block in blocks:
        steps.append(_step(block, stream, along, spec=spec, start=start, draws=draws))
        stream, along = steps[-1].stream, steps[-1].along
    growths = _growths(steps, len(along))
    return [
        replace(step.crossing, response=replace(step.crossing.response, slope=growth))
        for step, growth in zip(steps, growths, strict=True)
    ]


def _step(block: Block, stream: Array, along: Array, *, spec: ConvNet, start: Start, draws: Draws) -> Step:
    entering = Path(signal_of(stream), along, IDENTITY)
    path = through(block.branch, entering, spec, start.num_inputs)
    shortcut, side_path = widened(stream, block.widening), None
    if block.projection is not None:
        side_path = through([block.projection], entering, spec, start.num_inputs)
        shortcut = draws.pair(side_path.signal, np.zeros_like(stream))
    shown = 0.0 if spec.zero_init_last else float(spec.branch_multiplier)
    total = shortcut + shown * draws.pair(path.signal, shortcut)
    leaving = spec.phi.function(total)
    lengths = (*path.lengths, signal_of(total).moment)
    response = _response(path, side_path, shortcut, total, spec=spec, block=block, shown=shown)
    added = None if block.projection is not None or block.widening > 1 else _added(stream, leaving)
    crossing = Crossing(signal_of(leaving), response, lengths, added)
    return Step(
        block,
        crossing,
        leaving,
        path.along,
        spec.phi.slope(total[0]) ** 2,
        shown**2 * path.response.slope,
        1.0 if side_path is None else side_path.response.slope,
    )


def _response(
    path: Path, side_path: Path | None, shortcut: Array, total: Array, *, spec: ConvNet, block: Block, shown: float
) -> Response:
    # As in an MLP, with the sum taken as Gaussian: good enough for a scatter. What all channels share does not scatter.
    kept, centred = signal_of(shortcut), signal_of(total - total.mean())
    both = abs(signal_of(shortcut - shortcut.mean()).correlation * path.signal.correlation)
    crossed = block.width / left_by_places(both, len(path.along))
    _, response = add(kept, path.signal, (path.response, IDENTITY), (1.0, shown), width=crossed, depth=1)
    if side_path is not None:
        response = replace(response, noise=response.noise + side_path.response.noise)
    _, last, _ = activate(signal_of(total), spec.phi, block.width)
    return then(response, shared(last, centred, len(path.along)))


def _added(entering: Array, leaving: Array) -> float:
    return float(((leaving - entering) ** 2).mean() / (entering**2).mean()) ** 0.5


def _growths(steps: Sequence[Step], side: int) -> list[float]:
    """Return the growth of the gradient through each block on its way back from the last, where it is the same everywhere."""
    growths, delta, along = [], np.ones(steps[-1].stream.shape[1]), np.ones(side)
    for step, before in zip(reversed(steps), [*reversed(steps[:-1]), None], strict=True):
        block, h = step.block, step.passed * delta
        share, around = way_back(block.branch, along)
        inside = step.slope * share * float(h.mean())
        if block.projection is not None:
            share, _ = way_back([block.projection], along)
            num_channels = len(h) if before is None else before.stream.shape[1]
            carried = np.full(num_channels, step.shortcut_slope * share * float(h.mean()))
        else:  # every stride-th place of the channels that were there before
            carried = h[: len(h) // block.widening] / block.stride**2
        entering, kept = carried + inside, float(carried.mean()) / max(float(carried.mean()) + inside, 1e-300)
        spread = np.ones(len(around)) if block.stride > 1 else along
        along = kept * spread + (1 - kept) * around
        growths.append(float(entering.mean()) / max(float(delta.mean()), 1e-300))
        delta = entering / max(float(entering.mean()), 1e-300)
    return growths[::-1]
