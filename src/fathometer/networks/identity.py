"""Blocks of ours that start as the identity, and why some cannot."""

import torch
from torch import Tensor, nn

from fathometer.errors import ModelError
from fathometer.networks.convnet import ConvBlock
from fathometer.networks.residual import PlainBlock, ResidualBlock
from fathometer.spec import ConvNet, Mlp, Spec
from fathometer.spec.residual import NORM_AFTER

# φ(x) = x for what comes out of a block that ends in φ: x ≥ 0 behind a ReLU.
KEEPS_ITS_RESULT = ("relu", "linear")


def check_identity_exists(spec: Spec) -> None:
    """Raise `ModelError` with the reason where no block of this network can be the identity and still learn."""
    reason = _reason(spec)
    if reason is not None:
        mend = 'Grow a network that was built with residual = "pre-norm"' if not isinstance(spec, ConvNet) else "Build it anew"
        raise ModelError(
            f"This network cannot grow without a change of what it computes: {reason}",
            "A new block must start as the identity, and must be able to leave it",
            mend,
        )


def _reason(spec: Spec) -> str | None:
    if spec.residual in NORM_AFTER:
        return f'with `residual` "{spec.residual}" a norm stands behind the sum, and changes what passes even an empty block'
    if spec.residual == "highway":
        return "a highway's gate that is shut, so that all is carried, hardly lets a gradient through to open it"
    if isinstance(spec, ConvNet):
        return _reason_of_convnet(spec)
    if isinstance(spec, Mlp) and spec.residual == "none":
        if spec.norm is not None:
            return "a block without a stream whose norm rescales what it is given is never the identity"
        if spec.activation not in KEEPS_ITS_RESULT:
            return f'without a stream only ReLU keeps its own result, and `activation` is "{spec.activation}"'
    return None


def _reason_of_convnet(spec: ConvNet) -> str | None:
    if spec.residual == "none":
        return "a plain block of convolutions and norms is never the identity"
    if spec.activation not in KEEPS_ITS_RESULT:
        return f'`activation` is "{spec.activation}", which changes what passes an empty block; only ReLU keeps its own result'
    return None


@torch.no_grad()
def make_identity(block: nn.Module) -> None:
    """Let a block of one of our networks hand on what it is given, with as few zeros as can be.

    A learned branch scale starts at 0 (ReZero, LayerScale), else the gain of the norm that ends a branch (peri-norm, convnets),
    else the last matrix of each branch; a plain block gets W = 1, b = 0 (Chen et al. 2016, "Net2Net"). All others keep their
    random start, so that a gradient comes through at once.
    """
    if isinstance(block, PlainBlock):
        nn.init.eye_(block.linear.weight)
        block.linear.bias.zero_()
    for part in block.modules():
        if isinstance(part, ResidualBlock) and isinstance(part.branch_scale, nn.Parameter):
            part.branch_scale.zero_()
        elif isinstance(part, ResidualBlock | ConvBlock):
            for parameter in last_of_branch(part).parameters():
                parameter.zero_()


def last_of_branch(block: ResidualBlock | ConvBlock) -> nn.Module:
    """Return the last module with weights on a branch: a norm, or a matrix."""
    if isinstance(block, ResidualBlock) and any(True for _ in block.norm_inside.parameters()):
        return block.norm_inside
    return [module for module in block.branch.modules() if any(True for _ in module.parameters(recurse=False))][-1]


@torch.no_grad()
def take_numbers(block: nn.Module, fresh: nn.Module) -> dict[Tensor, float]:
    """Give a trained block the fixed multipliers of a fresh one, without a change of what it computes.

    What a multiplier loses, the weights behind it take up: for α the last module of the branch, for a norm's multiplier
    the norm. Returns by how much each of these parameters was multiplied.
    """
    factors: dict[Tensor, float] = {}
    examples = dict(fresh.named_modules())
    for name, part in block.named_modules():
        example = examples.get(name)
        if isinstance(part, ResidualBlock | ConvBlock) and isinstance(example, ResidualBlock | ConvBlock):
            before, now = part.branch_scale, example.branch_scale
            if isinstance(before, int | float) and isinstance(now, int | float):
                factors |= _multiply(last_of_branch(part), before, now)
                part.branch_scale = now
        if isinstance(part, ResidualBlock) and isinstance(example, ResidualBlock):
            factors |= _multiply(part.norm_before, part.norm_multiplier, example.norm_multiplier)
            part.norm_multiplier, part.branch_scale_start = example.norm_multiplier, example.branch_scale_start
    return factors


def _multiply(module: nn.Module, before: float, now: float) -> dict[Tensor, float]:
    if before == now:
        return {}
    for parameter in module.parameters():
        parameter.mul_(before / now)
    return dict.fromkeys(module.parameters(), before / now)
