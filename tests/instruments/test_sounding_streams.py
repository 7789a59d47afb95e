"""What blocks with a stream do: branches, norms, tokens and attention, each against its own definition."""

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import Sounding, find_depth_points, listen, sound
from fathometer.instruments.attention import sharpness

BATCH, TIME, WIDTH, HEADS, DEPTH = 2, 12, 32, 4, 3
Stream = Callable[[Tensor, Tensor, nn.Module], Tensor]


def sounded(model: nn.Module, *inputs: Tensor, layers: str | None = None) -> Sounding:
    """Return the sounding of a model at the depth points that are found in it, or at the layers of these names."""
    trace: list[tuple[str, int]] = []
    with torch.no_grad(), listen(model, on_call=lambda call: trace.append((call.name, call.index))):
        model(*inputs)
    points = find_depth_points(model, trace, layers)
    assert points.found_as == ("chosen" if layers else "blocks")
    return sound(model, lambda: model(*inputs), lambda y: y.float().square().mean(), points, num_samples=len(inputs[0]))


def tokens(batch: int = BATCH) -> Tensor:
    """Return Gaussian tokens (batch, time, width)."""
    return torch.randn(batch, TIME, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Attention(nn.Module):
    """Attention by hand, of x over y; it remembers its scores."""

    def __init__(self, gain: float = 3.0) -> None:
        super().__init__()
        self.query_key, self.value = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        with torch.no_grad():
            self.query_key.weight.mul_(gain)

    def scores(self, x: Tensor, y: Tensor) -> Tensor:
        query, key = self.query_key(x)[..., :WIDTH], self.query_key(y)[..., WIDTH:]
        return query.unflatten(-1, (HEADS, -1)).transpose(1, 2) @ key.unflatten(-1, (HEADS, -1)).transpose(1, 2).mT

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        weights = self.scores(x, y).softmax(-1)
        return (weights @ self.value(y).unflatten(-1, (HEADS, -1)).transpose(1, 2)).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Self-attention, and cross-attention where there is something to look at."""

    def __init__(self, gains: tuple[float, ...]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Attention(gain) for gain in gains)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = x + part(x, x)
        return x


class Network(nn.Module):
    """An attention in front, blocks, and an attention behind."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = nn.Linear(WIDTH, WIDTH), nn.ModuleList(blocks), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = F.scaled_dot_product_attention(50 * x, x, x)  # outside of the blocks: nobody's
        for block in self.blocks:
            x = block(x)
        x = self.head(x)
        return F.scaled_dot_product_attention(50 * x, x, x)


def test_each_block_has_the_sharpest_of_its_attentions() -> None:
    """Entropy is the least and the size of scores the largest over heads and attentions; those outside do not count."""
    torch.manual_seed(0)
    model, x = Network([Block((1.0, 3.0)), Block((3.0, 1.0)), Block((0.1, 0.1))]).double(), tokens()
    columns, entered = sounded(model, x, layers="blocks.?").columns, []
    with listen(model, ["blocks.0", "blocks.1", "blocks.2"]) as calls:
        model(x)
    for call, block in zip(calls, model.blocks, strict=True):
        stream, found = call.inputs[0], []
        for part in block.parts:
            found.append(sharpness(part.scores(stream, stream).detach()))
            stream = stream + part(stream, stream)
        entered.append((min(one.entropy for one in found), max(one.logits for one in found)))

    # The same sums in float64.
    assert columns["attention_entropy"] == pytest.approx([entropy for entropy, _ in entered], rel=1e-9)
    assert columns["attention_logits"] == pytest.approx([logits for _, logits in entered], rel=1e-9)
    assert entered[2][0] > 0.99 > entered[0][0]


class Branch(nn.Module):
    """x + what a layer makes of x, in one of several ways; `added` is what was added to what."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.layer, self.norm = way, nn.Linear(WIDTH, WIDTH, bias=False), nn.LayerNorm(WIDTH)
        self.scale = nn.Parameter(torch.tensor({"rezero": 0.0, "layer scale": 1e-5, "strong": 30.0}.get(way, 1.0)))
        self.ratio = 0.0

    def forward(self, x: Tensor, mask: Tensor | None = None, **rest: Tensor) -> Tensor | tuple[Tensor, None]:
        x = rest.get("hidden", x)
        f = self.scale * self.layer(self.norm(x) if self.way == "pre-norm" else x.clone())
        self.ratio = float(f.detach().double().norm() / x.detach().double().norm())
        if self.way == "post-norm":
            return self.norm(x + f)
        if self.way == "in place":
            x += f
            return x
        return (x + f, None) if self.way == "tuple" else x + f


class Streams(nn.Module):
    """Blocks in a row, the signal handed on in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.blocks, self.readout = way, nn.ModuleList(Branch(way) for _ in range(DEPTH)), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x, (WIDTH,)) if self.way == "post-norm" else 1 * x
        for block in self.blocks:
            x = block(torch.ones(TIME, TIME, dtype=x.dtype), hidden=x) if self.way == "mask first" else block(x)
            x = x[0] if isinstance(x, tuple) else x
        return self.readout(x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("way", ["plain", "pre-norm", "post-norm", "strong", "in place", "tuple", "mask first"])
def test_the_branch_ratio_is_what_is_added(way: str, dtype: torch.dtype) -> None:
    """It is the size of the branch over that of the stream, before a norm and behind one, whatever the block returns."""
    torch.manual_seed(0)
    model, x = Streams(way).to(dtype), tokens().to(dtype)
    columns = sounded(model, x).columns
    expected = [block.ratio for block in model.blocks]

    # bfloat16 rounds the sum by up to 0.4% of it. Behind a norm, what is kept of the input is told by how much of it is
    # there, and a branch happens to be along the stream: of 24 × 32 numbers, about 4% of its size.
    tolerance = 0.1 if way == "post-norm" else {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 0.02}[dtype]
    assert columns["branch_ratio"] == pytest.approx(expected, rel=tolerance)


def test_a_norm_behind_the_sum_hides_the_plain_difference() -> None:
    """The control: with a strong branch, what leaves less what enters is far from what was added, behind a norm."""
    torch.manual_seed(0)
    model, x = Streams("post-norm").double(), tokens()
    with torch.no_grad():
        for block in model.blocks:
            block.scale.fill_(3.0)
    ratios, added = sounded(model, x).columns["branch_ratio"], [block.ratio for block in model.blocks]
    stream = F.layer_norm(x, (WIDTH,))
    difference = float((model.blocks[0](stream).detach() - stream).norm() / stream.norm())

    assert ratios == pytest.approx(added, rel=0.15)  # as above, for a stream of which a third is left
    assert difference < 0.8 * added[0]


def test_branches_that_start_at_nothing() -> None:
    """ReZero at 0 adds nothing, LayerScale a hundred-thousandth; in bfloat16 that is lost in the sum, and so it is 0."""
    torch.manual_seed(0)
    x = tokens()

    assert sounded(Streams("rezero").double(), x).columns["branch_ratio"] == [0.0] * DEPTH
    model = Streams("layer scale").float()
    tiny = sounded(model, x.float()).columns["branch_ratio"]
    assert tiny == pytest.approx([block.ratio for block in model.blocks], rel=0.01)  # rounding: 6e-8 of a sum, of 6e-6 added
    lost = sounded(Streams("layer scale").bfloat16(), x.bfloat16()).columns["branch_ratio"]
    assert all(ratio < 1e-4 for ratio in lost)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_norm_behind_the_sum_is_seen_in_the_numbers(dtype: torch.dtype) -> None:
    """Post-norm blocks are normalised, others are not, also where what enters the first one is."""
    torch.manual_seed(0)
    x = tokens(16).to(dtype)

    assert min(sounded(Streams("post-norm").to(dtype), x).columns["normalised"]) > 0.99
    for way in ("plain", "pre-norm", "strong"):
        assert max(sounded(Streams(way).to(dtype), x).columns["normalised"]) < 0.7
    inside = nn.Sequential(nn.LayerNorm(WIDTH), Streams("layer scale")).float()
    assert max(sounded(inside, x.float()).columns["normalised"]) < 0.7
    unknown = nn.Sequential(nn.LayerNorm(WIDTH), Streams("rezero")).float()
    assert sounded(unknown, x.float()).columns["normalised"] == [None] * DEPTH


def test_token_spread_is_that_of_each_block() -> None:
    """It is 1 minus the mean cosine of two tokens of a sample; samples without an axis of tokens have none."""
    torch.manual_seed(0)
    model, x = Streams("pre-norm").double(), tokens()
    columns = sounded(model, x).columns
    with listen(model, [f"blocks.{index}" for index in range(DEPTH)]) as calls:
        model(x)
    for call, told in zip(calls, columns["token_spread"], strict=True):
        pairs = [(a, b) for sample in call.output.detach() for a, b in combinations(sample, 2)]
        cosines = torch.stack([F.cosine_similarity(a, b, dim=0) for a, b in pairs])
        assert told == pytest.approx(1 - float(cosines.mean()), abs=1e-12)  # float64

    flat = nn.Sequential(*[nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(3)]).double()
    assert sounded(flat, x[:, 0]).columns["token_spread"] == [None] * 3
    images = nn.Sequential(*[nn.Sequential(nn.Conv2d(3, 3, 1), nn.Tanh()) for _ in range(3)])
    assert sounded(images, torch.randn(4, 3, 5, 5)).columns["token_spread"] == [None] * 3


def test_norms_over_the_batch_are_counted_by_block() -> None:
    """Their number for each layer with weights, at most one; a network without has no such column."""

    def block(*norms: nn.Module) -> nn.Sequential:
        parts = [nn.Linear(8, 8), nn.Identity(), nn.Linear(8, 8), nn.Identity()]
        for index, norm in zip((1, 3), norms, strict=False):
            parts[index] = norm
        return nn.Sequential(*parts, nn.ReLU())

    torch.manual_seed(0)
    x = torch.randn(16, 8)
    both, one = block(nn.BatchNorm1d(8), nn.BatchNorm1d(8)), block(nn.BatchNorm1d(8))

    class Rows(nn.Module):
        def __init__(self, *blocks: nn.Module) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Wrapped(block) for block in blocks)

        def forward(self, x: Tensor) -> Tensor:
            for each in self.blocks:
                x = each(x)
            return x

    class Wrapped(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    model = Rows(both, one, block(nn.LayerNorm(8), nn.LayerNorm(8)))
    assert sounded(model, x).columns["batch_norm"] == [1.0, 0.5, None]
    assert "batch_norm" not in sounded(Rows(block(), block()), x).columns
