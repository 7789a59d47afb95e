"""Every remedy as code to paste: it runs on the user's own class, and does what was tried."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathometer.contract import call
from fathometer.diagnosis import preflight
from fathometer.diagnosis.case import Case, make_case
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.preflight import case_of as preflight_case
from fathometer.diagnosis.remedies import propose
from fathometer.diagnosis.remedies.propose import CATALOGUE
from fathometer.diagnosis.remedies.weights import initialise
from fathometer.diagnosis.remedies.wiring import add_residual
from fathometer.spec import Mlp


class Functional(nn.Module):
    """Layers in a ModuleList, the activation called by the user."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 16)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(12))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class Block(nn.Module):
    """Two layers and a branch, with an argument that is passed through."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.up, self.down, self.scale = nn.Linear(16, 32), nn.Linear(32, 16), scale

    def forward(self, x: Tensor, gate: float = 1.0) -> Tensor:
        return x + self.scale * gate * self.down(torch.relu(self.up(x)))


class Blocks(nn.Module):
    """A user's residual blocks."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.blocks, self.head = nn.ModuleList(Block(scale) for _ in range(8)), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, gate=1.0)
        return self.head(x)


class Shared(nn.Module):
    """One activation module that serves all layers, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.act, self.drop = nn.Sigmoid(), nn.Dropout(0.1)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(self.act(self.fc2(self.drop(self.act(self.fc1(x))))))


class Convolutions(nn.Module):
    """A plain convolutional network."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()) for _ in range(8)))
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x.reshape(-1, 4, 2, 2)).mean(dim=(2, 3)))


class ByName(nn.Module):
    """A network that takes a dictionary, or two tensors, or a dataclass."""

    def __init__(self, way: str) -> None:
        super().__init__()
        parts = [part for _ in range(8) for part in (nn.Linear(16, 16), nn.ReLU())]
        self.net, self.way = nn.Sequential(*parts, nn.Linear(16, 4)), way

    def forward(self, x: Any, mask: Tensor | None = None) -> Tensor:
        if isinstance(x, Features):
            return self.net(x.values)
        return self.net(x if mask is None else x * mask)


@dataclass
class Features:
    """Inputs as a dataclass."""

    values: Tensor


def sequential(activation: type[nn.Module]) -> nn.Sequential:
    """Return a plain stack."""
    return nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(16, 16), activation())], nn.Linear(16, 4))


def with_loud_readout() -> nn.Sequential:
    """Return a stack whose outputs are far too large."""
    model = sequential(nn.ReLU)
    for layer in model[::2]:
        nn.init.normal_(layer.weight, 0, 2**0.5 / 4)
    model[-1].weight.data.mul_(300)
    return model


class Attention(nn.Module):
    """torch's own encoder layers over four tokens of width 4, the queries and keys far too large."""

    def __init__(self, factor: float = 30.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(3))
        self.stem, self.head = nn.Linear(4, 8), nn.Linear(8, 4)
        for layer in self.layers:
            layer.self_attn.in_proj_weight.data[:16].mul_(factor)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.reshape(-1, 4, 4))
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(dim=1))


class Cut(nn.Module):
    """A stack whose first layers are cut off from the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(16, 16) for _ in range(6)), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = torch.relu(layer(x.detach() if index == 4 else x))
        return self.head(x)


def partly_frozen() -> nn.Sequential:
    """Return a stack whose first layers are frozen."""
    model = sequential(nn.ReLU)
    model[0].requires_grad_(False)
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "attention on a normalised stream": Attention,
    "a trunk cut off": Cut,
    "partly frozen": partly_frozen,
    "a softmax at the end": lambda: sequential(nn.ReLU).append(nn.Softmax(dim=-1)),
    "Sequential of ReLU": lambda: sequential(nn.ReLU),
    "Sequential of tanh": lambda: sequential(nn.Tanh),
    "Sequential of sigmoid": lambda: sequential(nn.Sigmoid),
    "functional activations": Functional,
    "residual blocks": Blocks,
    "a shared activation and dropout": Shared,
    "convolutions": Convolutions,
    "a loud readout": with_loud_readout,
    "bfloat16": lambda: sequential(nn.Tanh).bfloat16(),
}
WAYS: dict[str, Callable[[Tensor], Any]] = {
    "by name": lambda x: {"x": x, "mask": torch.ones_like(x)},
    "by position": lambda x: (x, torch.ones_like(x)),
    "whole": Features,
}


def case_of(model: nn.Module, inputs: Any = None, seed: int = 0) -> Case:
    """Return a case on 32 samples."""
    torch.manual_seed(1)
    x = torch.randn(32, 16, dtype=next(model.parameters()).dtype)
    return make_case(model, (x if inputs is None else inputs(x), torch.randint(0, 4, (32,))), seed=seed)


def made(name: str) -> nn.Module:
    """Return a network with a start of its own."""
    torch.manual_seed(0)
    return NETWORKS[name]()


def paste(code: str, model: nn.Module, inputs: Any) -> nn.Module:
    """Run pasted code where nothing is known but `model`, and `inputs` where the code says so."""
    names: dict[str, Any] = {"model": model} | ({"inputs": inputs} if "# inputs:" in code else {})
    exec(code, names)  # what a user does with it
    return names["model"]


def assert_equal(one: nn.Module, other: nn.Module, inputs: Any) -> None:
    """Fail unless two networks have the same weights and give the same answers, bit for bit."""
    assert list(one.state_dict()) == list(other.state_dict())
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    torch.manual_seed(3)
    first = call(one, inputs)
    torch.manual_seed(3)
    assert torch.equal(first, call(other, inputs))


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("name", NETWORKS)
def test_pasted_code_does_what_was_tried(name: str, seed: int) -> None:
    """For every remedy that fits, the code on the user's own class equals the copy that was tried; the original stays."""
    model = made(name)
    case = case_of(model, seed=seed)
    before = deepcopy(model.state_dict())

    for candidate in propose(case, examine(case, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))):
        if candidate.remedy.is_advice:
            continue
        applied = candidate.apply(case, seed)
        assert_equal(paste(candidate.remedy.code, deepcopy(model), case.inputs), applied, case.inputs)
        assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items()), candidate.remedy.name
        assert applied is not model


@pytest.mark.parametrize("way", WAYS)
def test_pasted_code_calls_the_model_as_it_is_called(way: str) -> None:
    """Code that runs the model passes its inputs by name, by position or whole, as the user does."""
    torch.manual_seed(0)
    model = ByName(way)
    case = case_of(model, WAYS[way])

    for candidate in propose(case, examine(case)):
        assert_equal(paste(candidate.remedy.code, deepcopy(model), case.inputs), candidate.apply(case, 0), case.inputs)


def test_every_remedy_is_proposed_somewhere() -> None:
    """Each entry of the catalogue fits at least one of these networks, from least to most invasive."""
    proposed = set()
    for name in NETWORKS:
        case = case_of(made(name))
        candidates = propose(case, examine(case, optimizer=torch.optim.SGD(case.model.parameters(), lr=0.1)))
        levels = [candidate.remedy.invasiveness for candidate in candidates]
        proposed |= {candidate.remedy.name for candidate in candidates}
        assert levels == sorted(levels)

    assert proposed == set(CATALOGUE)


def test_what_does_not_fit_is_not_proposed() -> None:
    """No swap for functional activations, no residual around residual blocks, no weaker branches where there are none."""

    def names(name: str) -> set[str]:
        case = case_of(made(name))
        return {candidate.remedy.name for candidate in propose(case, examine(case))}

    assert "swap_activation" not in names("functional activations")
    assert "add_residual" not in names("residual blocks")
    assert "scale_branches" not in names("Sequential of ReLU")
    for name in (
        "shrink_readout",
        "shrink_queries",
        "remove_softmax",
        "remove_detach",
        "put_norm_first",
        "unfreeze",
        "change_rate",
    ):
        assert name not in names("Sequential of ReLU")
    assert "add_norm" not in names("convolutions")


class Log(nn.Module):
    """The logarithm of something that may be negative."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x)


@pytest.mark.parametrize(("last", "expected"), [(Log(), False), (nn.Identity(), True)])
def test_a_loss_that_is_not_a_number_gives_no_number_to_paste(last: nn.Module, expected: bool) -> None:
    """Where the outputs are NaN no readout is made smaller by NaN; where they are large one is."""
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4), last)
    with torch.no_grad():
        model[2].weight.mul_(100)
    case = case_of(model)
    codes = [candidate.remedy.code for candidate in propose(case, examine(case))]

    assert not any("nan" in code for code in codes)
    assert any("shrink_readout" in code for code in codes) is expected


def test_a_shared_activation_is_not_wrapped_away() -> None:
    """Where one activation module serves all layers, the residual goes around the layers alone: it stays in use."""
    model = Shared()
    case = case_of(model)
    residual = next(c for c in propose(case, examine(case)) if c.remedy.name == "add_residual").apply(case, 0)
    heard = []
    residual.act.register_forward_hook(lambda *_: heard.append(1))

    residual(case.inputs)

    assert isinstance(residual.act, nn.Sigmoid)
    assert len(heard) == 2


class Torchs(nn.Module):
    """Torch's own encoder, which reads its layers' parts and, in evaluation, their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 6)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).mean(1))


def test_what_mends_a_network_that_reads_its_blocks_runs_in_evaluation_too() -> None:
    """Each remedy leaves torch's encoder one that also runs where torch takes its fast path."""
    case = make_case(Torchs(), (torch.randn(16, 8, 32), torch.randint(0, 4, (16,))))
    candidates = [c for c in propose(case, examine(case)) if not (c.remedy.is_advice or c.training or c.rates)]

    assert {"scale_branches", "put_norm_first"} <= {candidate.remedy.name for candidate in candidates}
    for candidate in candidates:
        mended = paste(candidate.remedy.code, deepcopy(case.model), case.inputs).eval()
        with torch.no_grad():
            assert mended(case.inputs).shape == (16, 4), candidate.remedy.name


class Calls(nn.Module):
    """One layer, and ReLU called after it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x))


class Ends(nn.Module):
    """Two layers with ReLU between: what leaves it has no mean."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(x)))


@pytest.mark.parametrize(
    ("block", "scale"),
    [
        (lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU()), 1 / 25),
        (Calls, 1 / 25),
        (lambda: nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU()), 1 / 5),
        (Ends, 1 / 5),
        (lambda: nn.Sequential(nn.ReLU(), nn.Linear(64, 64)), 1 / 5),
    ],
)
def test_a_branch_that_ends_in_relu_is_weaker(block: Callable[[], nn.Module], scale: float) -> None:
    """What ReLU adds has a mean, which grows with the stream: such branches get 1/depth; others, and behind a norm, 1/√depth."""
    model, x = nn.Sequential(*(block() for _ in range(25)), nn.Linear(64, 10)), torch.randn(16, 64)
    case = make_case(model, (x, torch.randint(0, 10, (16,))))
    residual = next(c for c in propose(case, examine(case)) if c.remedy.name == "add_residual")

    assert f"scale={scale}" in residual.remedy.code


def test_a_residual_around_a_perceptron_with_relu_keeps_its_samples_apart() -> None:
    """Sixty layers with ReLU inside their blocks: healthy with the residual, where 1/√depth makes all samples alike."""
    case = preflight_case(Mlp(depth=60), None)
    remedy = next(c for c in propose(case, examine(case)) if c.remedy.name == "add_residual")

    assert preflight(remedy.apply(case, 0), case.batch).verdict == "healthy"
    strong = initialise(add_residual(deepcopy(case.model), [[f"blocks.{i}"] for i in range(60)], 60**-0.5), gain=2**0.5)
    assert "rank_collapse" in {finding.cause for finding in preflight(strong, case.batch).findings}
