"""Small networks and tasks on which runs are made to fail."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fathometer.data import digits
from fathometer.networks import build
from fathometer.spec import ConvNet, Mlp, Transformer

Pair = tuple[Tensor, Tensor]
TOKENS, CONTEXT = 16, 16


@dataclass
class Case:
    """A network with its batches, and how it is trained when nothing is wrong."""

    model: nn.Module
    batches: Iterator[Pair]
    rate: float
    optimizer: str = "adam"
    blocks: list[nn.Module] = field(default_factory=list)
    casts: bool = False


def pixels(seed: int, size: int = 64) -> Iterator[Pair]:
    """Yield batches of handwritten digits for ever."""
    while True:
        yield from digits().batches(size, seed)
        seed += 1000


def words(seed: int, size: int = 16) -> Iterator[Pair]:
    """Yield batches of a language in which the next token follows from the one before the last, with the next tokens as targets.

    One in ten is drawn at random; the rest is a fixed permutation of the token two places back, so attention must find it.
    """
    follows = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(1))
    made = torch.Generator().manual_seed(seed)
    while True:
        tokens = torch.randint(TOKENS, (size, CONTEXT + 1), generator=made)
        is_free = torch.rand(size, CONTEXT + 1, generator=made) < 0.1
        for place in range(2, CONTEXT + 1):
            tokens[:, place] = torch.where(is_free[:, place], tokens[:, place], follows[tokens[:, place - 2]])
        yield tokens[:, :-1], tokens[:, 1:]


class HalfStream(nn.Module):
    """Residual blocks whose stream is float16 under autocast, with a norm before the readout."""

    def __init__(self, depth: int = 6, width: int = 48) -> None:
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList(HalfBlock(width) for _ in range(depth))
        self.norm, self.readout = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(1))
        for block in self.blocks:
            x = block(x)
        return self.readout(self.norm(x.float()))


class HalfBlock(nn.Module):
    """x + down(relu(up(norm(x)))), where the sum stays in float16 and the norm is taken in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.up(self.norm(x.float())).relu()).to(x.dtype)


def relu_mlp(seed: int) -> Case:
    """Return a plain ReLU network on digits."""
    model = build(Mlp(depth=6, width=48), seed=seed)
    return Case(model, pixels(seed), 1e-3, blocks=list(model.blocks))


def residual_mlp(seed: int) -> Case:
    """Return a pre-norm residual network on digits."""
    model = build(Mlp(depth=12, width=48, residual="pre-norm", norm="layer"), seed=seed)
    return Case(model, pixels(seed), 1e-3, "adamw", list(model.blocks))


def tanh_mlp(seed: int) -> Case:
    """Return a plain tanh network on digits, trained by SGD with momentum."""
    model = build(Mlp(depth=6, width=48, activation="tanh", init="xavier"), seed=seed)
    return Case(model, pixels(seed), 0.03, "sgd", list(model.blocks))


def convnet(seed: int) -> Case:
    """Return a ResNet with BatchNorm on digits."""
    model = build(ConvNet(depth=8, width=8, image_size=8, channels=1), seed=seed)
    return Case(model, ((x.reshape(-1, 1, 8, 8), y) for x, y in pixels(seed)), 3e-3)


def transformer(seed: int, residual: str = "pre-norm", depth: int = 4) -> Case:
    """Return a small transformer on the language."""
    spec = Transformer(depth=depth, width=32, heads=2, vocabulary=TOKENS, context=CONTEXT, residual=residual)
    model = build(spec, seed=seed)
    return Case(model, words(seed), 5e-3, "adamw", list(model.blocks))


def post_norm(seed: int) -> Case:
    """Return a post-norm transformer."""
    case = transformer(seed, "post-norm", 6)
    case.rate = 3e-3
    return case


def half_stream(seed: int) -> Case:
    """Return a residual network in float16 autocast on digits."""
    torch.manual_seed(seed)
    model = HalfStream()
    return Case(model, pixels(seed), 1e-3, "adamw", list(model.blocks), casts=True)


NETWORKS: dict[str, Callable[[int], Case]] = {
    "relu mlp": relu_mlp,
    "residual mlp": residual_mlp,
    "tanh mlp": tanh_mlp,
    "convnet": convnet,
    "transformer": transformer,
    "post-norm transformer": post_norm,
    "float16 residual": half_stream,
}
