"""Make a trained network deeper without a change of what it computes."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from fathometer.errors import unknown_name
from fathometer.networks.build import Network, build
from fathometer.networks.carry import carry
from fathometer.networks.convnet import ConvNetwork
from fathometer.networks.duplicate import duplicate
from fathometer.networks.growth import PLACES, Growth, alike, check_growth, lay_out
from fathometer.networks.identity import check_identity_exists, make_identity, take_numbers
from fathometer.networks.mlp import MlpNetwork
from fathometer.networks.roles import roles
from fathometer.networks.transformer import TransformerNetwork
from fathometer.spec import ConvNet, Spec


@dataclass(frozen=True)
class Deepened:
    """A grown copy of a network, its optimizer (None where none was given), and which of its blocks are new."""

    model: nn.Module
    optimizer: Optimizer | None
    new_blocks: tuple[int, ...]


def deepen(
    model: nn.Module,
    *,
    to: int,
    optimizer: Optimizer | None = None,
    inputs: Any = None,
    where: str = "end",
    blocks: str | None = None,
    seed: int = 0,
) -> Deepened:
    """Return a copy of a network grown to depth `to`, by blocks that start as the identity: what it computes stays the same.

    For a network made by `build`, `to` is the new `spec.depth`; new blocks start as its spec says (`seed`), but for the zeros
    that make them the identity. For any other module, `to` is the number of blocks in its list of like blocks (the largest, or
    the one named `blocks`); a new block copies the one before it, with zeros in the last layer of each branch, found by
    measuring on `inputs` (Wu et al. 2024, "LLaMA Pro"). `where` is a key of `PLACES`. The model is left alone.

    An `optimizer` comes back as a new one over the grown network: old parameters keep their states, and new ones join the
    group of the old ones that they are like, with its options as they are, but for the rate and ε that depth-μP and CompleteP
    change with depth. A scheduler has to be made anew.

    Raises `ModelError` with the reason where no block can be the identity, `SpecError` where `to` takes blocks away.

    >>> deepen(build("pre-norm-96@depth=3"), to=5).model.spec.depth
    5
    """
    if where not in PLACES:
        raise unknown_name("place", where, PLACES)
    is_ours = isinstance(model, MlpNetwork | ConvNetwork | TransformerNetwork)
    growth = _grow(model, to, where, seed) if is_ours else duplicate(model, to, inputs=inputs, where=where, blocks=blocks)
    grown = None if optimizer is None else carry(optimizer, growth)
    new_blocks = tuple(index for index, (_, is_new) in enumerate(growth.layout) if is_new)
    return Deepened(growth.model, grown, new_blocks)


def _grow(model: Network, to: int, where: str, seed: int) -> Growth:
    spec, deeper = model.spec, _deeper(model.spec, to)
    before, now = _counts(spec), _counts(deeper)
    check_growth(before, now, f"`to` = {to}")
    check_identity_exists(spec)
    example = next(model.parameters())
    fresh, grown = build(deeper, seed=seed, device=example.device, dtype=example.dtype), deepcopy(model)
    growth = Growth(grown, lay_out(before, now, where), dict(zip(model.parameters(), grown.parameters(), strict=True)))
    old_blocks, blocks = list(grown.blocks), nn.ModuleList()
    for (index, is_new), block in zip(growth.layout, fresh.blocks, strict=True):
        if is_new:
            make_identity(block)
            growth.kin.update(alike(block, model.blocks[index]))
        else:
            growth.factors.update(take_numbers(old_blocks[index], block))
        blocks.append(block.train(model.training) if is_new else old_blocks[index])
    grown.blocks = blocks
    for module in grown.modules():
        if getattr(module, "spec", None) == spec:
            module.spec = deeper  # pyrefly: ignore[bad-argument-type]  (nn.Module types attributes as Tensor | Module)
    growth.paces.update(_paces(grown, spec, deeper))
    return growth


def _paces(grown: nn.Module, spec: Spec, deeper: Spec) -> Iterator[tuple[Tensor, tuple[float, float]]]:
    for name, tensor in roles(grown).items():
        before, now = (one.scale(tensor.role, tensor.fan_in, tensor.fan_out) for one in (spec, deeper))
        rate = now.learning_rate_multiplier / before.learning_rate_multiplier
        epsilon = now.epsilon_multiplier / before.epsilon_multiplier
        # Rounded, so that what is alike but for the last digit stays in one group.
        yield grown.get_parameter(name), (round(rate, 12), round(epsilon, 12))


def _deeper(spec: Spec, to: int) -> Spec:
    return replace(spec, depth=to, stages=None) if isinstance(spec, ConvNet) and to != spec.depth else replace(spec, depth=to)


def _counts(spec: Spec) -> tuple[int, ...]:
    return spec.block_counts if isinstance(spec, ConvNet) else (spec.depth,)
