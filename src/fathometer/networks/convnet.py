"""A convnet as a torch module: residual or plain, CIFAR or ImageNet."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import BatchError
from fathometer.networks.layers import make_activation, make_image_norm
from fathometer.parametrizations.roles import Role
from fathometer.spec import ConvNet

Images = Float[Tensor, "batch channels height width"]
NewImages = Float[Tensor, "batch new_channels new_height new_width"]


class ConvBlock(nn.Module):
    """x ← φ(shortcut(x) + α f(x)), f = `branch` = conv norm φ conv norm (φ conv norm); without shortcuts x ← φ(f(x)).

    `shortcut` is None for a plain twin. A basic block strides in its first convolution, a bottleneck in its 3×3.
    """

    def __init__(self, spec: ConvNet, channels: int, width: int, stride: int) -> None:
        super().__init__()
        last = width * spec.expansion
        if spec.block_kind == "basic":
            shapes = [(channels, width, 3, stride), (width, last, 3, 1)]
        else:
            shapes = [(channels, width, 1, 1), (width, width, 3, stride), (width, last, 1, 1)]
        self.branch = nn.Sequential()
        for index, shape in enumerate(shapes):
            self.branch.extend([make_activation(spec.activation)] if index else [])
            self.branch.extend(_convolution(spec, *shape))
        self.shortcut = _make_shortcut(spec, channels, last, stride)
        self.activation = make_activation(spec.activation)
        self.branch_scale = spec.branch_multiplier
        self.starts_at_zero = spec.zero_init_last

    def forward(self, images: Images) -> NewImages:
        branch = self.branch(images)
        if self.shortcut is None:
            return self.activation(branch)
        branch = branch if self.branch_scale == 1 else self.branch_scale * branch
        return self.activation(self.shortcut(images) + branch)

    def matrices(self) -> Iterator[tuple[Role, nn.Conv2d]]:
        """Yield the convolutions with their roles, a projection of the shortcut last."""
        *inner, last = [module for module in self.branch if isinstance(module, nn.Conv2d)]
        for convolution in inner:
            yield "hidden", convolution
        yield "branch_last", last
        for module in self.shortcut.modules() if self.shortcut is not None else ():
            if isinstance(module, nn.Conv2d):
                yield "hidden", module

    @torch.no_grad()
    def reset_scales(self) -> None:
        """Set the gain of the last norm to 0 where the spec asks for it."""
        if self.starts_at_zero:
            gain = self.branch[-1].weight
            assert isinstance(gain, nn.Parameter)
            gain.zero_()


class PaddedShortcut(nn.Module):
    """Every `stride`-th place, and zeros for the new channels: option A, without parameters."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels, self.stride = new_channels, stride

    def forward(self, images: Images) -> NewImages:
        thinned = images[:, :, :: self.stride, :: self.stride]
        return F.pad(thinned, (0, 0, 0, 0, 0, self.new_channels))


class ConvNetwork(nn.Module):
    """stem → blocks (of all stages, in order) → average pool → readout, for any `spec.ConvNet`.

    Its numbers are torch's until `initialize` sets them; `build` does both.
    """

    def __init__(self, spec: ConvNet) -> None:
        super().__init__()
        self.spec = spec
        self.stem = _make_stem(spec)
        self.blocks = nn.ModuleList(_make_blocks(spec))
        self.readout = nn.Linear(spec.stage_widths[-1] * spec.expansion, spec.classes)
        self.output_multiplier = spec.output_multiplier

    def forward(self, images: Shaped[Tensor, "*shape"]) -> Float[Tensor, "batch classes"]:
        """Return logits `(batch, classes)` for images `(batch, channels, height, width)` of any height and width."""
        _check_images(images, self.spec)
        signal = self.stem(images)
        for block in self.blocks:
            signal = block(signal)
        logits = self.readout(signal.mean(dim=(2, 3)))
        return logits if self.output_multiplier == 1 else self.output_multiplier * logits

    def matrices(self) -> Iterator[tuple[Role, nn.Conv2d | nn.Linear]]:
        """Yield every weight that a parametrization scales, with its role, in the order of execution."""
        stem = self.stem[0]
        assert isinstance(stem, nn.Conv2d)
        yield "input", stem
        for block in self.blocks:
            assert isinstance(block, ConvBlock)
            yield from block.matrices()
        yield "output", self.readout


def _make_stem(spec: ConvNet) -> nn.Sequential:
    size, stride = (3, 1) if spec.layout == "cifar" else (7, 2)
    stem = nn.Sequential(*_convolution(spec, spec.channels, spec.first_width, size, stride), make_activation(spec.activation))
    if spec.layout == "imagenet":
        stem.append(nn.MaxPool2d(3, stride=2, padding=1))
    return stem


def _make_blocks(spec: ConvNet) -> Iterator[ConvBlock]:
    channels = spec.first_width
    for stage, (width, count) in enumerate(zip(spec.stage_widths, spec.block_counts, strict=True)):
        for index in range(count):
            yield ConvBlock(spec, channels, width, stride=2 if stage > 0 and index == 0 else 1)
            channels = width * spec.expansion


def _make_shortcut(spec: ConvNet, channels: int, last: int, stride: int) -> nn.Module | None:
    if spec.shortcut_kind is None:
        return None
    if stride == 1 and channels == last:
        return nn.Identity()
    if spec.shortcut_kind == "A":
        return PaddedShortcut(last - channels, stride)
    return nn.Sequential(*_convolution(spec, channels, last, 1, stride))


def _convolution(spec: ConvNet, channels: int, width: int, size: int, stride: int) -> list[nn.Module]:
    """Return a convolution that keeps the image's size (over its stride), and its norm; a bias where there is no norm."""
    convolution = nn.Conv2d(channels, width, size, stride=stride, padding=size // 2, bias=spec.norm is None)
    return [convolution, make_image_norm(spec.norm, width)]


def _check_images(images: Tensor, spec: ConvNet) -> None:
    if images.ndim == 4 and images.shape[1] == spec.channels:
        return
    side = spec.side
    if images.ndim == 3 and images.shape[0] == spec.channels:
        mend = "Add a batch dimension: images[None]"
    elif images.ndim == 4 and images.shape[3] == spec.channels:
        mend = "Put the channels second: images.movedim(-1, 1)"
    else:
        mend = f"Build it with channels = {images.shape[1]}" if images.ndim == 4 else "Bring the images into that shape"
    raise BatchError(
        f"The inputs have shape {tuple(images.shape)}",
        f"This network takes images (batch, {spec.channels}, height, width), such as (16, {spec.channels}, {side}, {side})",
        mend,
    )
