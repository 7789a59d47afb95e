"""Random modules whose blocks are known by construction: the blocks that are found are they."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import find_depth_points
from fathometer.instruments.trace import trace_of

INPUTS = 5
ACTIVATIONS, NORMS = (nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU), (nn.LayerNorm, nn.Identity, nn.RMSNorm)


class Plain(nn.Module):
    """A block without a stream: two layers."""

    def __init__(self, width: int, random: Random) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(width, width), random.choice(ACTIVATIONS)(), nn.Linear(width, width))
        self.norm = random.choice(NORMS)(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.layers(x)))


class Skip(Plain):
    """A residual block."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(self.norm(x))


class Branches(nn.Module):
    """A residual block with heads in a list, and a branch of layers behind them."""

    def __init__(self, width: int, random: Random) -> None:
        super().__init__()
        self.width = width
        self.heads = nn.ModuleList(nn.Linear(width, width) for _ in range(random.randint(2, 3)))
        self.mix, self.drop = nn.Linear(width, width), nn.Dropout(random.choice((0.0, 0.1)))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), random.choice(ACTIVATIONS)(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.mix(sum(head(x) for head in self.heads)))
        return x + self.mlp(x)


class Tuples(Skip):
    """A block that answers with its signal and something else, and takes both."""

    def forward(self, x: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        hidden = x[0] if isinstance(x, tuple) else x
        return super().forward(hidden), torch.ones(2)


class Convolution(nn.Module):
    """A block of another kind of layers: along the width."""

    def __init__(self, width: int, random: Random) -> None:
        super().__init__()
        self.width = width
        self.first, self.second = nn.Conv1d(1, 3, 3, padding=1), nn.Conv1d(3, 1, 1)
        self.norm = nn.BatchNorm1d(3) if random.random() < 0.5 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.norm(self.first(x[:, None]))))[:, 0]


KINDS: tuple[Callable[[int, Random], nn.Module], ...] = (Plain, Skip, Branches, Tuples, Convolution)


@dataclass(frozen=True)
class Held:
    """Some blocks, and how they are held: the module, and the names of the blocks in it, in the order in which they run."""

    module: nn.Module
    names: tuple[str, ...]


class InOrder(nn.Module):
    """Parts that run one after the other, in the order of their definition or another; lists are walked through."""

    def __init__(self, parts: dict[str, nn.Module], order: list[str] | None = None) -> None:
        super().__init__()
        self.order = list(parts) if order is None else order
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.order:
            x = _through(getattr(self, name), x)
        return x


def _through(part: nn.Module, x: Tensor) -> Tensor:
    if isinstance(part, nn.ModuleList | nn.ModuleDict):
        for inner in part.values() if isinstance(part, nn.ModuleDict) else part:
            x = _through(inner, x)
        return x
    answer = part(x)
    return answer[0] if isinstance(answer, tuple) else answer


Way = Callable[[list[nn.Module], Random], Held]


def in_list(blocks: list[nn.Module], random: Random) -> Held:
    """Hold blocks in a ModuleList."""
    return Held(InOrder({"h": nn.ModuleList(blocks)}), tuple(f"h.{index}" for index in range(len(blocks))))


def in_dictionary(blocks: list[nn.Module], random: Random) -> Held:
    """Hold blocks in a ModuleDict."""
    named = {f"layer{index}": block for index, block in enumerate(blocks)}
    return Held(InOrder({"layers": nn.ModuleDict(named)}), tuple(f"layers.{name}" for name in named))


def in_sequential(blocks: list[nn.Module], random: Random) -> Held:
    """Hold blocks in a Sequential, where each takes what the one before answers."""
    if any(isinstance(block, Tuples) and not isinstance(after, Tuples) for block, after in pairwise([*blocks, None])):
        return in_list(blocks, random)
    return Held(nn.Sequential(*blocks), tuple(str(index) for index in range(len(blocks))))


def as_attributes(blocks: list[nn.Module], random: Random) -> Held:
    """Hold blocks as attributes, in another order than they run, with norms among them."""
    named = {f"block{index}": block for index, block in enumerate(blocks)}
    shuffled = {name: named[name] for name in random.sample(list(named), len(named))}
    return Held(InOrder(shuffled, order=list(named)), tuple(named))


def in_a_loop(blocks: list[nn.Module], random: Random) -> Held:
    """Run the first block again and again."""
    turns = random.randint(2, 4)
    names = ("block", *(f"block#{turn}" for turn in range(2, turns + 1)))
    return Held(InOrder({"block": blocks[0]}, order=["block"] * turns), names)


def with_one_again(blocks: list[nn.Module], random: Random) -> Held:
    """Hold blocks in a list in which the first stands twice."""
    held = in_list([*blocks, blocks[0]], random)
    return Held(held.module, (*held.names[:-1], "h.0#2"))


def in_stages(blocks: list[nn.Module], random: Random) -> Held:
    """Hold blocks in two stages, each a list with a layer behind it."""
    cut = random.randint(1, len(blocks) - 1)
    parts, names = {}, []
    for index, own in enumerate((blocks[:cut], blocks[cut:])):
        reduce = nn.Linear(own[0].width, own[0].width)
        parts[f"stage{index}"] = InOrder({"blocks": nn.ModuleList(own), "reduce": reduce})
        names += [f"stage{index}.blocks.{number}" for number in range(len(own))]
    return Held(InOrder(parts), tuple(names))


WAYS: tuple[Way, ...] = (in_list, in_dictionary, in_sequential, as_attributes, in_a_loop, with_one_again)


def network(seed: int, ways: tuple[Way, ...] = WAYS, most_kinds: int = 2) -> tuple[nn.Module, list[str]]:
    """Return a random network and the names of its blocks as they run.

    It has a stem, one to three stacks, each of one kind of blocks or of two in turns and nested in other modules, perhaps a
    layer between them, and a readout.
    """
    random = Random(seed)
    width = random.choice((4, 7, 16))
    parts, names = {"stem": nn.Linear(INPUTS, width)}, []
    for index in range(random.randint(1, 3)):
        kinds = random.sample(KINDS, random.randint(1, most_kinds))
        way = random.choice(ways)
        count = random.randint(3, 5) if len(kinds) == 1 else 2 * len(kinds)
        held = way([kinds[number % len(kinds)](width, random) for number in range(count)], random)
        module, path = held.module, f"stack{index}"
        for depth in range(random.randint(0, 2)):
            module, path = InOrder({f"inner{depth}": module}), f"{path}.inner{depth}"
        path = ".".join([f"stack{index}", *reversed(path.split(".")[1:])])
        names += [f"{path}.{name}" for name in held.names]
        between = random.choice((None, nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU()))
        parts |= {f"stack{index}": module} | ({} if between is None else {f"between{index}": between})
    return InOrder({**parts, "readout": nn.Linear(width, 3)}), names


def flat_network(seed: int) -> tuple[nn.Module, list[str]]:
    """Return layers with their norms, activations and dropout in one flat Sequential, and a readout."""
    random = Random(seed)
    width, count = random.choice((4, 7)), random.randint(3, 6)
    norm, activation, drop = random.choice(NORMS), random.choice(ACTIVATIONS), random.random() < 0.5
    layers, names = [nn.Linear(INPUTS, width), activation()] if random.random() < 0.5 else [nn.Flatten()], []
    names += ["0"] if len(layers) == 2 and norm is nn.Identity else []
    for index in range(count):
        first = INPUTS if len(layers) == 1 else width
        names.append(str(len(layers)))
        layers += [nn.Linear(first, width), norm(width), activation(), *([nn.Dropout(0.1)] if drop and index % 2 else [])]
    return nn.Sequential(*layers, nn.Linear(width, 3)), names


def found_in(model: nn.Module) -> list[str]:
    """Return the names of the points of a model that is run once."""
    x = torch.randn(4, INPUTS)
    return [point.name for point in find_depth_points(model, trace_of(model, lambda: model(x))).points]


SEEDS = st.integers(0, 2**32)


@given(SEEDS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_blocks_of_random_networks_are_found(seed: int) -> None:
    """Number, names and order are those of construction."""
    model, names = network(seed)
    assert found_in(model) == names


@given(SEEDS)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_layers_of_flat_networks_are_found(seed: int) -> None:
    """In a flat Sequential each layer, with what goes with it, is a block; the readout is none."""
    model, names = flat_network(seed)
    assert found_in(model) == names


@given(SEEDS)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_blocks_in_random_stages_are_found(seed: int) -> None:
    """Stages that hold a list of blocks, down to one, and a layer behind it are opened."""
    model, names = network(seed, ways=(in_stages,), most_kinds=1)
    assert found_in(model) == names


@pytest.mark.slow
def test_how_often_blocks_are_found_where_they_are_not_certain() -> None:
    """Where a stage holds one block of each kind, it may as well be the block itself: still most networks are as built."""
    exact = [found_in(model) == names for model, names in (network(seed, ways=(*WAYS, in_stages)) for seed in range(150))]
    assert sum(exact) / len(exact) > 0.8  # 127 of 150 when this was written
