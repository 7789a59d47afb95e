"""Where depth is, however modules are held: lists, towers, hybrids, branches, experts."""

from collections.abc import Callable

import pytest
import torch
from tests.modules import Chain
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 8
X = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(0))
Find = Callable[..., tuple[str, list[str]]]


def numbered(prefix: str, count: int) -> list[str]:
    """Return numbered names."""
    return [f"{prefix}{index}" for index in range(count)]


def linear(outer: int = WIDTH) -> nn.Linear:
    """Return a layer."""
    return nn.Linear(WIDTH, outer)


class Block(nn.Module):
    """A transformer-like block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(WIDTH), linear()
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 16), nn.GELU(), nn.Linear(16, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.norm(x))
        return x + self.mlp(x)


class Other(Block):
    """A block of another class, as the attention among the state spaces."""


class Branch(nn.Module):
    """Two layers that somebody else adds to the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(WIDTH), linear(), linear()

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.up(self.norm(x))))


class Twice(nn.Module):
    """A block of two branches of one class: on both levels something repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Branch(), Branch()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first(x)
        return x + self.second(x)


class Interleaved(nn.Module):
    """Blocks and norms as attributes, defined backwards and run by name."""

    def __init__(self) -> None:
        super().__init__()
        self.head = linear(2)
        for index in (2, 1, 0):
            setattr(self, f"norm{index}", nn.LayerNorm(WIDTH))
            setattr(self, f"block{index}", Block())

    def forward(self, x: Tensor) -> Tensor:
        for index in range(3):
            x = getattr(self, f"norm{index}")(getattr(self, f"block{index}")(x))
        return self.head(x)


class RunBackwards(nn.Module):
    """Two stacks, defined in the other order than they run; the second from its end."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder, self.encoder = several(2), several(3)

    def forward(self, x: Tensor) -> Tensor:
        for block in (*self.encoder, *reversed(self.decoder)):
            x = block(x)
        return x


class Pairs(nn.Module):
    """Lists of (branch, branch), added to the stream by the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList([Branch(), nn.Sequential(linear(), nn.GELU(), linear())]) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for one, two in self.layers:
            x = x + one(x)
            x = x + two(x)
        return x


class Beside(nn.Module):
    """Layers in one list and norms in another, as graph networks have them."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.layers, self.norms = nn.ModuleList(make() for _ in range(4)), nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(4))
        self.readout = linear(2)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + F.relu(norm(layer(x)))
        return self.readout(x)


class Towers(nn.Module):
    """One encoder for two inputs, or two encoders of one class."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.left = Chain(blocks=several(2))
        self.right = self.left if shared else Chain(blocks=several(2))
        self.head = nn.Linear(2 * WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.left(x), self.right(x.flip(0))], -1))


class SideBySide(nn.Module):
    """Members that are all given the same: an ensemble, or experts behind a gate."""

    def __init__(self, make: Callable[[], nn.Module], stem: nn.Module, gate: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.gate, self.members = stem, gate, nn.ModuleList(make() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        shares = torch.ones(3) / 3 if self.gate is None else self.gate(x).softmax(-1)
        return sum(shares[..., index : index + 1] * member(x) for index, member in enumerate(self.members))


class Routed(nn.Module):
    """A block with attention-like layers and experts that get some samples each, by index."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.gate, self.experts = linear(), linear(3), nn.ModuleList(Branch() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(x)
        expert_of, out = torch.arange(len(x)) % 3, torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            out[expert_of == index] = expert(x[expert_of == index])
        return x + out * self.gate(x).softmax(-1).amax(-1, keepdim=True)


class Variational(nn.Module):
    """An autoencoder whose middle is two layers side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(WIDTH, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(4, 2), nn.Linear(4, 2)
        self.decoder = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.encoder(x)
        return self.decoder(self.mean(hidden) + self.log_variance(hidden).exp() * torch.randn(len(x), 2))


class Sine(nn.Module):
    """A layer and its activation, of a class of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = linear()

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30 * self.linear(x))


class Adapted(nn.Module):
    """A layer with a low-rank adapter, in the layer's place."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer, self.lora_a, self.lora_b = linear(), nn.Linear(WIDTH, 2, bias=False), nn.Linear(2, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base_layer(x) + self.lora_b(self.lora_a(x))


class Keyword(nn.Module):
    """Blocks that are given their signal by name and answer (signal, more), as many libraries do it."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Block()

        def forward(self, *, hidden_states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return self.inner(hidden_states), torch.zeros(3)

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.ModuleList(Keyword.Block() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.h:
            x, _ = block(hidden_states=x, mask=None)
        return x


def several(count: int, make: Callable[[], nn.Module] = Block) -> nn.ModuleList:
    """Return blocks in a list."""
    return nn.ModuleList(make() for _ in range(count))


def mixed(pattern: str) -> nn.ModuleList:
    """Return blocks of two classes in a list, "b" and "o"."""
    return nn.ModuleList(Block() if letter == "b" else Other() for letter in pattern)


def autoencoder() -> nn.Module:
    """Return an encoder and a decoder of three layers each."""
    encoder = nn.Sequential(nn.Linear(WIDTH, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    decoder = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, WIDTH))
    return Chain(encoder=encoder, decoder=decoder)


def perceptron() -> nn.Module:
    """Return three layers and their activations."""
    return nn.Sequential(linear(), nn.ReLU(), linear(), nn.ReLU(), linear(2))


FOUND: dict[str, tuple[Callable[[], nn.Module], str, list[str]]] = {
    "interleaved with norms": (Interleaved, "blocks", numbered("block", 3)),
    "defined in another order": (RunBackwards, "blocks", [*numbered("encoder.", 3), "decoder.1", "decoder.0"]),
    "hybrid, in turns": (lambda: Chain(stem=linear(), layers=mixed("bobo")), "blocks", numbered("layers.", 4)),
    "hybrid, one in four": (lambda: Chain(layers=mixed("ooobooob"), head=linear(2)), "blocks", numbered("layers.", 8)),
    "hybrid, in no order": (lambda: Chain(layers=mixed("booboo"), head=linear(2)), "blocks", numbered("layers.", 6)),
    "another one in the middle": (
        lambda: nn.Sequential(linear(), Block(), Other(), Block(), linear(2)), "blocks", ["1", "2", "3"],
    ),
    "blocks in wrappers": (
        lambda: Chain(layers=several(3, lambda: Chain(inner=Block()))), "blocks", numbered("layers.", 3),
    ),
    "deep inside": (lambda: Chain(a=Chain(b=Chain(c=several(4))), head=linear(2)), "blocks", numbered("a.b.c.", 4)),
    "branches of one class": (lambda: Chain(layers=several(3, Twice)), "blocks", numbered("layers.", 3)),
    "pairs in lists": (Pairs, "blocks", [f"layers.{index}.0" for index in range(3)]),
    "a list of layers and one of norms": (lambda: Beside(linear), "blocks", numbered("layers.", 4)),
    "a list of branches and one of norms": (
        lambda: Beside(lambda: nn.Sequential(linear(), nn.ReLU(), linear())), "blocks", numbered("layers.", 4),
    ),
    "one tower, twice": (
        lambda: Towers(True), "blocks", ["left.blocks.0", "left.blocks.1", "left.blocks.0#2", "left.blocks.1#2"],
    ),
    "two towers": (lambda: Towers(False), "blocks", ["left.blocks.0", "left.blocks.1", "right.blocks.0", "right.blocks.1"]),
    "layers of a class of their own": (lambda: nn.Sequential(Sine(), Sine(), Sine(), linear(1)), "blocks", numbered("", 3)),
    "adapted layers": (lambda: nn.Sequential(Adapted(), Adapted(), Adapted()), "blocks", numbered("", 3)),
    "signal by name, answer in a tuple": (Keyword, "blocks", numbered("h.", 3)),
    "torch's encoder": (
        lambda: Chain(
            tokens=nn.Unflatten(0, (2, 3)),
            encoder=nn.TransformerEncoder(
                nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True), 3, enable_nested_tensor=False
            ),
        ),
        "blocks", numbered("encoder.layers.", 3),
    ),
    "autoencoder": (autoencoder, "blocks", [*(f"encoder.{index}" for index in (0, 2, 4)), "decoder.0", "decoder.2"]),
    "variational": (
        Variational, "blocks", ["encoder.0", "encoder.2", "mean", "log_variance", "decoder.0", "decoder.2"],
    ),
    "blocks with experts": (lambda: Chain(layers=several(3, Routed)), "blocks", numbered("layers.", 3)),
    "a stage of one block": (
        lambda: Chain(stages=nn.ModuleList([Chain(blocks=several(1)), Chain(blocks=several(3))])), "blocks",
        ["stages.0.blocks.0", *numbered("stages.1.blocks.", 3)],
    ),
    # Side by side is no depth: what repeats inside of the members is, or else each layer.
    "experts": (
        lambda: SideBySide(lambda: nn.Sequential(linear(), nn.ReLU(), linear()), nn.Identity(), linear(3)), "layers",
        ["gate", *(f"members.{expert}.{layer}" for expert in range(3) for layer in (0, 2))],
    ),
    "heads": (lambda: SideBySide(linear, linear()), "layers", ["stem", *numbered("members.", 3)]),
    "ensemble": (
        lambda: SideBySide(perceptron, nn.Identity()), "blocks",
        [f"members.{member}.{layer}" for member in range(3) for layer in (0, 2, 4)][:-1],
    ),
    "experts behind a stack": (
        lambda: SideBySide(linear, Chain(blocks=several(3)), linear(3)), "blocks", numbered("stem.blocks.", 3),
    ),
    "one block": (
        lambda: Chain(stem=linear(), block=Block(), head=linear(2)), "layers",
        ["stem", "block.mix", "block.mlp.0", "block.mlp.2", "head"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_blocks_however_they_are_held(name: str, found: Find) -> None:
    """What repeats in a row is depth, in the order in which it runs."""
    build, found_as, expected = FOUND[name]
    assert found(build(), X) == (found_as, expected)


def test_what_is_fed_on_is_no_longer_side_by_side(found: Find) -> None:
    """The same members, one after the other, are depth: the check for branches can fail."""

    class InARow(SideBySide):
        def forward(self, x: Tensor) -> Tensor:
            for member in self.members:
                x = member(x)
            return x

    assert found(InARow(linear, nn.Identity()), X) == ("blocks", numbered("members.", 3))
