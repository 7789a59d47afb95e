"""The parts of a convnet, for one image."""

from collections.abc import Iterator
from dataclasses import replace

from fathometer.scaling.parts import KEPT_BY_RESULT, Part, kept_input, matrix, norm_parameters
from fathometer.spec import ConvNet


def convnet_parts(spec: ConvNet) -> Iterator[Part]:
    """Yield the parts of a convnet, for one image."""
    stem_size, side = (3, spec.side) if spec.layout == "cifar" else (7, _half(spec.side))
    yield Part("stem", saved=spec.channels * spec.side**2)
    yield _convolution(spec, "stem", spec.channels, spec.first_width, stem_size, side)
    channels = spec.first_width
    yield Part("stem", saved=_activated(spec, channels, side))
    if spec.layout == "imagenet":
        side = _half(side)
        yield Part("stem", saved=channels * side**2)
    for stage, (width, count) in enumerate(zip(spec.stage_widths, spec.block_counts, strict=True)):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            name, is_first = f"{stage}.{index}", stage == index == 0
            entered = 0 if is_first else channels * side**2  # what enters the first block is kept by the stem
            parts = list(_block(spec, channels, width, side, stride))
            channels, side = width * spec.expansion, _half(side) if stride == 2 else side
            rerun = 0 if spec.activation in KEPT_BY_RESULT else -channels * side**2  # only the next block keeps what leaves
            yield Part("blocks", block=name, stream=entered, rerun=rerun)
            yield from (replace(part, block=name) for part in parts)
    yield matrix("readout", channels, spec.classes)


def _block(spec: ConvNet, channels: int, width: int, side: int, stride: int) -> Iterator[Part]:
    small, last = _half(side) if stride == 2 else side, width * spec.expansion
    if spec.block_kind == "basic":
        shapes = [(channels, width, 3, small), (width, last, 3, small)]
    else:
        shapes = [(channels, width, 1, side), (width, width, 3, small), (width, last, 1, small)]
    for fan_in, fan_out, kernel, places in shapes:
        yield _convolution(spec, "blocks", fan_in, fan_out, kernel, places)
        yield Part("blocks", saved=_activated(spec, fan_out, places))
    if spec.shortcut_kind == "B" and (stride == 2 or channels != last):
        yield _convolution(spec, "shortcuts", channels, last, 1, small)


def _convolution(spec: ConvNet, group: str, fan_in: int, fan_out: int, kernel: int, side: int) -> Part:
    # With its norm, whose input is kept; the image that it reads is kept by what made it.
    weights = kernel**2 * fan_in * fan_out
    norm = norm_parameters(spec.norm, fan_out) or fan_out  # without a norm there is a bias
    return Part(group, weights + norm, macs=weights * side**2, saved=fan_out * side**2 if spec.norm else 0)


def _activated(spec: ConvNet, channels: int, side: int) -> int:
    size = channels * side**2
    return size + kept_input(spec.activation, size)


def _half(side: int) -> int:
    return (side + 1) // 2  # 3×3 with padding 1 and 7×7 with padding 3, at stride 2
