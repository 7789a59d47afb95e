"""Where depth is, for the ways in which people write networks."""

import sys

import pytest
import torch
from tests.modules import Chain, in_turn
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from fathometer.errors import ModelError
from fathometer.instruments import DepthPoint, DepthPoints, find_depth_points
from fathometer.instruments.depth_points import title_of
from fathometer.instruments.module_kinds import longest_run
from fathometer.instruments.trace import trace_of


def points_of(model: nn.Module, *inputs: Tensor, layers: object = None) -> DepthPoints:
    """Return the depth points of a model that is run once."""
    return find_depth_points(model, trace_of(model, lambda: model(*inputs)), layers)


def names(points: DepthPoints) -> list[str]:
    """Return the names of the points."""
    return [point.name for point in points.points]


def flat(depth: int, *between: nn.Module) -> list[nn.Module]:
    """Return (Linear, Tanh, what comes between) × depth, in a flat list."""
    return [module for _ in range(depth) for module in (nn.Linear(8, 8), nn.Tanh(), *between)]


def layered(depth: int, *after: nn.Module) -> list[nn.Module]:
    """Return (Linear, the same modules again) × depth, in a flat list."""
    return [module for _ in range(depth) for module in (nn.Linear(8, 8), *after)]


class Block(nn.Module):
    """A transformer-like block: a norm, a mixing layer and a Sequential of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(8), nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.norm(x))
        return x + self.mlp(x)


class Stage(nn.Module):
    """A stage of a hierarchical transformer: blocks in a list, and a layer that maps to the next stage."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.blocks, self.reduce = nn.ModuleList(Block() for _ in range(count)), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.reduce(x)


def stages(*counts: int) -> dict[str, nn.Module]:
    """Return the stages of a ResNet-like network, by attribute."""
    return {f"layer{index + 1}": nn.Sequential(*[Block() for _ in range(count)]) for index, count in enumerate(counts)}


def several(count: int) -> nn.ModuleList:
    """Return blocks in a list."""
    return nn.ModuleList(Block() for _ in range(count))


def blocks(prefix: str, count: int) -> list[str]:
    """Return numbered names."""
    return [f"{prefix}{index}" for index in range(count)]


FOUND: dict[str, tuple[nn.Module, str, list[str]]] = {
    "sequential": (nn.Sequential(*flat(4)), "blocks", ["0", "2", "4", "6"]),
    "with readout": (nn.Sequential(*flat(4), nn.Linear(8, 3)), "blocks", ["0", "2", "4", "6"]),
    "with flatten": (nn.Sequential(nn.Flatten(), *flat(3), nn.Linear(8, 3)), "blocks", ["1", "3", "5"]),
    "norm in between": (nn.Sequential(*layered(3, nn.BatchNorm1d(8), nn.ReLU())), "blocks", ["0", "3", "6"]),
    "dropout everywhere": (nn.Sequential(*flat(3, nn.Dropout())), "blocks", ["0", "3", "6"]),
    "dropout here and there": (nn.Sequential(*flat(2), nn.Dropout(), *flat(2), nn.Identity()), "blocks", ["0", "2", "5", "7"]),
    "activation first": (nn.Sequential(nn.ReLU(), *layered(3, nn.ReLU())[:-1]), "blocks", ["1", "3", "5"]),
    "one activation for all": (nn.Sequential(*layered(3, nn.Tanh())), "blocks", ["0", "2", "4"]),
    "module list": (Chain(stem=nn.Linear(8, 8), blocks=several(3)), "blocks", blocks("blocks.", 3)),
    "sequential of sequentials": (
        nn.Sequential(*[nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(3)], nn.Linear(8, 3)), "blocks", blocks("", 3),
    ),
    "twice nested": (
        nn.Sequential(*[nn.Sequential(*[nn.Sequential(*flat(1)) for _ in range(2)]) for _ in range(2)]),
        "blocks", ["0.0", "0.1", "1.0", "1.1"],
    ),
    "stages": (
        Chain(stem=nn.Linear(8, 8), **stages(2, 2, 3, 2), readout=nn.Linear(8, 3)), "blocks",
        ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1", "layer3.2", "layer4.0", "layer4.1"],
    ),
    "stages in a list": (
        Chain(stages=nn.ModuleList([Stage(2), Stage(3)])), "blocks",
        ["stages.0.blocks.0", "stages.0.blocks.1", "stages.1.blocks.0", "stages.1.blocks.1", "stages.1.blocks.2"],
    ),
    "blocks as attributes": (
        Chain(one=Block(), two=Block(), three=Block(), readout=nn.Linear(8, 2)), "blocks", ["one", "two", "three"],
    ),
    "stacks as attributes": (
        Chain(encoder=Chain(layers=several(2)), decoder=Chain(layers=several(2))), "blocks",
        ["encoder.layers.0", "encoder.layers.1", "decoder.layers.0", "decoder.layers.1"],
    ),
    "pairs in a list": (
        Chain(layers=nn.ModuleList(nn.ModuleList([nn.Linear(8, 8), nn.Sequential(*flat(1))]) for _ in range(3))), "blocks",
        ["layers.0.0", "layers.1.0", "layers.2.0"],
    ),
    "one block for all": (Chain(blocks=nn.ModuleList([Block()] * 3)), "blocks", ["blocks.0", "blocks.0#2", "blocks.0#3"]),
    "different layers": (nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU()), "layers", ["0", "2"]),
    "two of four layers": (
        nn.Sequential(*flat(2), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)), "layers", ["0", "2", "4", "6"],
    ),
    "one layer": (nn.Linear(8, 8), "layers", ["model"]),
    "one layer inside": (nn.Sequential(nn.Flatten(), nn.Linear(8, 8)), "layers", ["1"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_blocks_are_found(name: str) -> None:
    """Repeated blocks are points, in the order in which they run, however the network is written."""
    model, found_as, expected = FOUND[name]
    points = points_of(model, torch.randn(4, 8))

    assert (found_as, expected) == (points.found_as, names(points))


def test_a_block_is_from_its_first_module_to_its_last() -> None:
    """In a flat Sequential layer and activation make up a block; dropout after it is left out."""
    points = points_of(nn.Sequential(*flat(2, nn.Dropout()), nn.Linear(8, 3)), torch.randn(4, 8))

    assert points.points == (DepthPoint("0", ("0", "1")), DepthPoint("3", ("3", "4")))
    assert points.modules == ("0", "1", "3", "4")
    assert [point.holds("3.weight") for point in points.points] == [False, True]
    assert points.outside(nn.Sequential(*flat(2, nn.Dropout()), nn.Linear(8, 3))) == ("6",)


def test_a_shared_activation_ends_each_block_in_its_turn() -> None:
    """The calls of a module that many blocks share are told apart."""
    model, _, _ = FOUND["one activation for all"]
    points = points_of(model, torch.randn(4, 8)).points

    assert [(point.enter, point.start, point.leave, point.stop) for point in points] == [
        ("0", 0, "1", 0),
        ("2", 0, "1", 1),
        ("4", 0, "1", 2),
    ]


class Functional(nn.Module):
    """Layers as attributes, activations as functions; with a parameter of its own and a loss inside."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 8))
        for index in range(1, 6):
            setattr(self, f"fc{index}", nn.Linear(8, 8))
        self.norm, self.loss = nn.LayerNorm(8), nn.MSELoss()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position
        x = self.norm(F.relu(self.fc1(x)))
        for layer in (self.fc2, self.fc3, self.fc4, self.fc5):
            x = F.relu(layer(x))
        return self.loss(x, torch.zeros_like(x))


def test_layers_as_attributes_are_points_each() -> None:
    """Without blocks each layer is a point; a norm after it belongs to it, a loss and the whole model do not."""
    points = points_of(Functional(), torch.randn(4, 8))

    assert points.found_as == "layers"
    assert names(points) == ["fc1", "fc2", "fc3", "fc4", "fc5"]
    assert points.points[0].members == ("fc1", "norm")
    assert points.points[-1].members == ("fc5",)


def test_activations_as_attributes_belong_to_the_layer_before() -> None:
    """One ReLU module that serves three layers ends each of them in its turn."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.relu, self.drop = nn.Linear(8, 8), nn.Linear(8, 8), nn.ReLU(), nn.Dropout()

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(self.relu(self.b(self.drop(self.relu(self.a(x))))))

    assert points_of(Net(), torch.randn(4, 8)).points == (
        DepthPoint("a", ("a", "relu"), 0, 0),
        DepthPoint("b", ("b", "relu"), 0, 1),
    )


class Looped(nn.Module):
    """One block as an attribute, run again and again, as in ALBERT."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.stem, self.block, self.readout = nn.Linear(8, 8), block, nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = self.block(x)
        return self.readout(x)


def test_a_shared_block_counts_each_time() -> None:
    """A block that runs three times is three points; a single layer too, among the other layers."""
    assert names(points_of(Looped(Block()), torch.randn(4, 8))) == ["block", "block#2", "block#3"]
    assert names(points_of(Looped(nn.Linear(8, 8)), torch.randn(4, 8))) == ["stem", "block", "block#2", "block#3", "readout"]


def test_a_stack_inside_what_runs_twice_is_still_the_stack() -> None:
    """A whole encoder that runs twice gives its blocks, twice."""
    model = Looped(Chain(layers=nn.ModuleList(Block() for _ in range(2))))
    assert names(points_of(model, torch.randn(4, 8))) == [
        f"block.layers.{index}{turn}" for turn in ("", "#2", "#3") for index in range(2)
    ]


def test_torchs_own_transformer_has_both_stacks() -> None:
    """Encoder and decoder blocks are points, in the order in which they run."""
    model = nn.Transformer(8, 2, 2, 3, 16, batch_first=True)
    points = points_of(model, torch.randn(4, 5, 8), torch.randn(4, 6, 8))

    assert names(points) == ["encoder.layers.0", "encoder.layers.1", "decoder.layers.0", "decoder.layers.1", "decoder.layers.2"]


def test_heads_and_experts_are_parts_of_a_block() -> None:
    """Parallel modules in a list inside a block are not depth."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads, self.out = nn.ModuleList(Chain(value=nn.Linear(8, 4)) for _ in range(2)), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.cat([head(x) for head in self.heads], -1))

    model = nn.Sequential(*[Chain(attention=Attention(), mlp=nn.Sequential(*flat(2))) for _ in range(3)])
    assert names(points_of(model, torch.randn(4, 8))) == blocks("", 3)


def test_pooling_does_not_part_a_stack() -> None:
    """VGG's thirteen convolutions are thirteen blocks, whatever pooling stands between them."""
    plan = [4, 4, "M", 4, 4, "M", 4, 4, 4, "M", 4, 4, 4, "M", 4, 4, 4]
    layers: list[nn.Module] = []
    channels = 3
    for step in plan:
        layers += [nn.MaxPool2d(2)] if step == "M" else [nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(inplace=True)]
        channels = 4
    head = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))
    points = points_of(nn.Sequential(nn.Sequential(*layers), nn.Flatten(), head), torch.randn(2, 3, 32, 32))

    assert len(points.points) == 13 + 2
    assert {point.leave for point in points.points[:13]} == {
        f"0.{i}" for i, layer in enumerate(layers) if isinstance(layer, nn.ReLU)
    }


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
def test_parametrized_layers_are_layers(norm: object) -> None:
    """What makes a weight (weight norm, spectral norm) is no depth point, and no activation after one."""
    model = Functional()
    for index in range(1, 6):
        norm(getattr(model, f"fc{index}"))
    points = points_of(model, torch.randn(4, 8))

    assert names(points) == ["fc1", "fc2", "fc3", "fc4", "fc5"]
    assert all("parametrizations" not in member for point in points.points for member in point.members)
    assert points.points[0].holds("fc1.parametrizations.weight.original1")


def test_layers_can_be_chosen_by_pattern() -> None:
    """Names and patterns choose modules, in the order in which they run; one string will do."""
    model = FOUND["module list"][0]
    x = torch.randn(4, 8)

    assert names(points_of(model, x, layers=["blocks.*.mlp", "stem"])) == ["stem", "blocks.0.mlp", "blocks.1.mlp", "blocks.2.mlp"]
    assert points_of(model, x, layers="stem") == DepthPoints((DepthPoint("stem", ("stem",)),), "chosen")
    assert names(points_of(Looped(Block()), x, layers=["block.mix"])) == ["block.mix", "block.mix#2", "block.mix#3"]


class WithSpare(nn.Module):
    """A stem and blocks, and a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks, self.spare = nn.Linear(8, 8), several(3), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return in_turn(self.blocks, self.stem(x))


def test_a_block_and_its_inside_can_both_be_chosen() -> None:
    """Points may lie in each other: they come in the order in which they end, what is inside first."""
    chosen = points_of(FOUND["module list"][0], torch.randn(4, 8), layers=["blocks.1", "blocks.1.*"])
    assert names(chosen) == ["blocks.1.norm", "blocks.1.mix", *blocks("blocks.1.mlp.", 5), "blocks.1.mlp", "blocks.1"]


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (["layers.*"], r"`layers` \['layers.\*'\] match no module that ran\. Some of its modules are: stem, blocks"),
        (["stem", "nothing", "nowhere"], r"`layers` \['nothing', 'nowhere'\] match no module that ran"),
        (["blocks.0.mpl"], r"Some of its modules are: blocks\.0\.mlp"),
        (["blocks"], r"blocks only holds others: it is never called itself\. Try \"blocks\.\*\"\."),
        (["spare"], r"spare is there, but nothing calls it on this batch"),
        ([], r"`layers` is \[\]\. It holds names of modules, or patterns"),
        ([""], r"`layers` is \['']"),
    ],
)
def test_patterns_that_choose_nothing_are_errors(layers: list[object], text: str) -> None:
    """Each pattern must name something that runs; the error says what would."""
    with pytest.raises(ModelError, match=text):
        points_of(WithSpare(), torch.randn(4, 8), layers=layers)


def test_weights_without_modules_make_one_point() -> None:
    """A network whose layers never run as modules is one point: itself."""

    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(F.linear(x, self.one.weight), self.two.weight)

    points = points_of(Bare(), torch.randn(4, 8))
    assert points.points == (DepthPoint("model", ("",)),)
    assert points.points[0].holds("one.weight")
    assert points.outside(Bare()) == ()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("", (0, 0, 0)),
        ("abc", (0, 0, 0)),
        ("aaa", (0, 1, 3)),
        ("xababab", (1, 2, 3)),
        ("ababaab", (0, 2, 2)),
        ("xxabcabcy", (2, 3, 2)),
    ],
)
def test_the_longest_run_is_found(kinds: str, expected: tuple[int, int, int]) -> None:
    """The repeated group that covers most is taken; the shorter of two that cover the same."""
    assert expected == longest_run([(kind,) for kind in kinds], [kind == "a" for kind in kinds])


def calls_to_find(blocks: int) -> int:
    """Return how many functions are called to find so many blocks."""
    model, calls = Chain(blocks=several(blocks)), 0
    trace = [(name, 0) for name in reversed(dict(model.named_modules())) if name != "blocks"]  # parts end before their block

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        points = find_depth_points(model, trace).points
    finally:
        sys.setprofile(before)
    assert len(points) == blocks
    return calls


def test_the_search_grows_with_the_depth_and_not_with_its_square() -> None:
    """Twice as many blocks take twice as many calls; with four times as many a thousand blocks would take minutes."""
    assert 1.5 < calls_to_find(300) / calls_to_find(150) < 2.5


def test_a_trace_of_names_alone_will_do() -> None:
    """Without what is handed on, stacks are found all the same; what is side by side is then taken for a row."""
    for name in ("module list", "stages", "stages in a list", "with readout", "different layers"):
        model, found_as, expected = FOUND[name]
        trace = [(step.name, step.index) for step in trace_of(model, lambda model=model: model(torch.randn(4, 8)))]
        points = find_depth_points(model, trace)
        assert (found_as, expected) == (points.found_as, names(points))


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("2.1", "layer 2.1 (Tanh)"),
        ("2", "layer 2 (Sequential)"),
        ("1", "layer 1 (LSTM)"),
        ("1@7", "layer 1 (LSTM), step 7"),
        ("1@7#2", "layer 1 (LSTM), step 7, run 2"),
        ("2.0#3", "layer 2.0 (Linear), run 3"),
        ("", "the model (Sequential)"),
        ("model", "the model (Sequential)"),
        ("model@3", "the model (Sequential), step 3"),
        ("head", "head (Linear)"),
        ("the loss", "the loss"),
        ("the gradient of head.weight", "the gradient of head.weight"),
    ],
)
def test_titles_say_what_a_bare_number_is(name: str, title: str) -> None:
    """A name comes with its class; words that name no module stay."""
    model = nn.Sequential(nn.Linear(8, 8), nn.LSTM(8, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh()))
    model.add_module("head", nn.Linear(8, 2))

    assert title_of(model, name) == title
