"""Every number of a sounding equals that of a plain autograd twin."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import Sounding, find_depth_points, listen, sound

SAMPLES, WIDTH, DEPTH = 24, 12, 4
Heard = list[list[tuple[str, Tensor]]]


@dataclass
class Twin:
    """What a network's own code, written out by hand, says: each block's input, output and activations."""

    entered: list[Tensor] = field(default_factory=list)
    left: list[Tensor] = field(default_factory=list)
    heard: Heard = field(default_factory=list)
    output: Tensor = field(default_factory=lambda: torch.empty(0))

    def block(self, entered: Tensor, left: Tensor, *heard: tuple[str, Tensor]) -> Tensor:
        self.entered.append(entered)
        self.left.append(left)
        self.heard.append(list(heard))
        return left


class Mlp(nn.Module):
    """(Linear, Tanh) × depth and a readout, in one Sequential; some inputs saturate."""

    def __init__(self) -> None:
        super().__init__()
        layers = [module for _ in range(DEPTH) for module in (nn.Linear(WIDTH, WIDTH), nn.Tanh())]
        self.layers = nn.Sequential(*layers, nn.Linear(WIDTH, 3))
        with torch.no_grad():
            for layer in layers[::2]:
                layer.weight.mul_(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def twin(self, x: Tensor) -> Twin:
        twin, (*hidden, readout) = Twin(), [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in hidden:
            before = F.linear(x, layer.weight, layer.bias)
            x = twin.block(x, before.tanh(), ("tanh", before))
        twin.output = readout(x)
        return twin


class Branch(nn.Module):
    """x + W relu(V x): a residual block with a functional activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class Residual(nn.Module):
    """A stem with an activation, residual blocks, and a readout with an activation: only those of the blocks count."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks = nn.Linear(WIDTH, WIDTH), nn.ModuleList(Branch() for _ in range(DEPTH))
        self.head = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3))
        with torch.no_grad():
            self.stem.bias[:7].fill_(-100)  # were they counted, most units of the first and the last block would be dead
            self.head[0].bias[:7].fill_(-100)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def twin(self, x: Tensor) -> Twin:
        twin, x = Twin(), self.stem(x).clamp(min=0)
        for block in self.blocks:
            before = block.first(x)
            x = twin.block(x, x + block.second(before.clamp(min=0)), ("relu", before))
        twin.output = self.head(x)
        return twin


class Images(nn.Module):
    """Convolutions with an activation that writes in place, on (batch, channel, height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(*[nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True)) for _ in range(DEPTH)])
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(x.reshape(SAMPLES, 3, 2, 2)))

    def twin(self, x: Tensor) -> Twin:
        twin, x = Twin(), x.reshape(SAMPLES, 3, 2, 2)
        for stage in self.stages:
            before = F.conv2d(x, stage[0].weight, stage[0].bias, padding=1)
            x = twin.block(x, before.clamp(min=0), ("relu", before))
        twin.output = self.head(x)
        return twin


@dataclass
class Answer:
    """What a block of another library might return."""

    mask: Tensor
    hidden: Tensor


class Wrapped(nn.Module):
    """A block that takes and returns its signal inside something else."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(WIDTH, WIDTH)
        nn.init.normal_(self.linear.weight, std=2)  # else the samples are soon one, as far as bfloat16 can tell

    def forward(self, value: object) -> object:
        x = next(iter(_tensors(value)))
        y, mask = torch.sigmoid(self.linear(x)), torch.ones(1, dtype=torch.long)
        return {"tuple": (y, mask), "dict": {"mask": mask, "hidden": y}, "dataclass": Answer(mask, y)}[self.kind]


def _tensors(value: object) -> list[Tensor]:
    parts = vars(value) if isinstance(value, Answer) else value
    parts = list(parts.values()) if isinstance(parts, dict) else parts
    parts = [parts] if isinstance(parts, Tensor) else list(parts)
    return [part for part in parts if part.is_floating_point()]


class Structured(nn.Module):
    """Blocks whose outputs are tuples, dictionaries or dataclasses."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.blocks, self.readout = nn.ModuleList(Wrapped(kind) for _ in range(DEPTH)), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        value: object = x
        for block in self.blocks:
            value = block(value)
        return self.readout(_tensors(value)[0])

    def twin(self, x: Tensor) -> Twin:
        twin = Twin()
        for block in self.blocks:
            before = block.linear(x)
            x = twin.block(x, before.sigmoid(), ("sigmoid", before))
        twin.output = self.readout(x)
        return twin


class Shared(nn.Module):
    """One block that runs again and again, with one activation module for all."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.readout = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.block(x)
        return self.readout(x)

    def twin(self, x: Tensor) -> Twin:
        twin = Twin()
        for _ in range(3):
            before = self.block[0](x)
            x = twin.block(x, before.tanh(), ("tanh", before))
        twin.output = self.readout(x)
        return twin


class Functional(nn.Module):
    """Layers as attributes, activations as functions and methods: each layer is a point, the readout too."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(self.fc2(F.relu(input=self.fc1(x))).tanh())

    def twin(self, x: Tensor) -> Twin:
        twin = Twin()
        first = twin.block(x, self.fc1(x))
        x = first.clamp(min=0)
        second = twin.block(x, self.fc2(x))
        x = (2 * second).sigmoid() * 2 - 1
        twin.output = twin.block(x, self.fc3(x))
        twin.heard = [[("relu", first)], [("tanh", second)], []]
        return twin


class InPlace(nn.Module):
    """An activation outside the blocks that overwrites what has just been tapped."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.readout = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)), nn.Linear(WIDTH, 3)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.readout(x)

    def twin(self, x: Tensor) -> Twin:
        twin = Twin()
        for layer in self.layers:
            before = twin.block(x, layer(x))
            twin.heard[-1].append(("relu", before))
            x = before.clamp(min=0)
        twin.output = self.readout(x)
        return twin


NETWORKS = {
    "mlp": Mlp,
    "residual": Residual,
    "convolutions": Images,
    "tuples": lambda: Structured("tuple"),
    "dictionaries": lambda: Structured("dict"),
    "dataclasses": lambda: Structured("dataclass"),
    "shared block": Shared,
    "functional": Functional,
    "in place": InPlace,
}
# Both sides do nearly the same sums; where they differ (an activation as a product, a branch written out) the module's
# own type rounds otherwise: a few units in its last place, and through four saturated layers back a dozen in bfloat16.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-6, torch.bfloat16: 0.05}


def loss_of(output: Tensor) -> Tensor:
    """Return a cross-entropy with fixed targets."""
    return F.cross_entropy(output, torch.arange(len(output)) % 3)


def sounded(model: nn.Module, x: Tensor) -> Sounding:
    """Return the sounding of a model at the depth points that are found in it."""
    trace: list[tuple[str, int]] = []
    with torch.no_grad(), listen(model, on_call=lambda call: trace.append((call.name, call.index))):
        model(x)
    return sound(model, lambda: model(x), loss_of, find_depth_points(model, trace), num_samples=len(x))


def made(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    """Return a network and inputs of this type."""
    torch.manual_seed(3)
    return NETWORKS[name]().to(dtype), torch.randn(SAMPLES, WIDTH).to(dtype)


def rows(tensor: Tensor) -> np.ndarray:
    """Return one row of float64 numbers for each sample."""
    return tensor.detach().double().reshape(len(tensor), -1).numpy()


def mean_cosine(x: np.ndarray) -> float:
    """Return the mean cosine over all pairs of samples, by a plain loop."""
    pairs = [(a, b) for a, b in combinations(x, 2) if a.any() and b.any()]
    return float(np.mean([a @ b / np.sqrt(a @ a) / np.sqrt(b @ b) for a, b in pairs]))


def participation(x: np.ndarray) -> float:
    """Return (Σλ)²/Σλ² of the covariance's eigenvalues."""
    energies = np.linalg.eigvalsh(np.cov(x.T))
    return float(energies.sum() ** 2 / (energies**2).sum())


def dead(heard: list[tuple[str, Tensor]]) -> float | None:
    """Return the share of ReLUs that answer no sample, by a plain loop; the worst of several."""
    shares = []
    for name, before in heard:
        units = before.detach().movedim(1, 0).reshape(before.shape[1], -1)
        shares += [sum(all(value <= 0 for value in unit.tolist()) for unit in units) / len(units)] if name == "relu" else []
    return max(shares, default=None)


def saturated(heard: list[tuple[str, Tensor]]) -> float | None:
    """Return the share of inputs where the slope itself is under 1% of its largest; the worst of several."""
    shares = []
    for name, before in heard:
        x = before.detach().double()
        slope = {"tanh": lambda x: 1 - x.tanh() ** 2, "sigmoid": lambda x: 4 * x.sigmoid() * (1 - x.sigmoid())}.get(name)
        shares += [float((slope(x) < 0.01).double().mean())] if slope else []
    return max(shares, default=None)


def expected(model: nn.Module, x: Tensor) -> dict[str, list[float | None]]:
    """Return every column, from the twin's tensors and one call of `torch.autograd.grad`."""
    twin = model.twin(x)
    loss = loss_of(twin.output)
    at_output, *gradients = (rows(g) for g in torch.autograd.grad(loss, [twin.output, *twin.left]))
    left, entered = [rows(h) for h in twin.left], [rows(h) for h in twin.entered]
    same = [a.shape == b.shape for a, b in zip(left, entered, strict=True)]
    pairs = list(zip(entered, left, same, strict=True))
    return {
        "signal": [float((h**2).mean()) for h in left],
        "correlation": [mean_cosine(h) for h in left],
        "spread": [1 - mean_cosine(h) for h in left],
        "rank": [participation(h) for h in left],
        "gradient": [float((g**2).mean() / (at_output**2).mean()) for g in gradients],
        "gradient_correlation": [mean_cosine(g) for g in gradients],
        "dead": [dead(heard) for heard in twin.heard],
        "saturated": [saturated(heard) for heard in twin.heard],
        "shared": [np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(i, o, strict=True)]) if ok else None for i, o, ok in pairs],
        "branch_ratio": [float(np.sqrt(((o - i) ** 2).mean() / (i**2).mean())) if ok else None for i, o, ok in pairs],
    }


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_column_equals_the_twin(name: str, dtype: torch.dtype) -> None:
    """Signal, correlation, spread, rank, gradients, dead and saturated shares and branches are those of plain autograd."""
    model, x = made(name, dtype)
    columns, tolerance = sounded(model, x).columns, TOLERANCE[dtype]
    for column, numbers in expected(model, x).items():
        got = columns.get(column, [None] * len(numbers))
        assert [None if n is None else pytest.approx(n, rel=tolerance, abs=tolerance / 10) for n in numbers] == got, column


@pytest.mark.parametrize("name", NETWORKS)
def test_parameter_gradients_are_those_of_the_scaled_loss(name: str) -> None:
    """They are `autograd.grad` of the loss, times a power of two; `.grad` is not touched."""
    model, x = made(name)
    sounding = sounded(model, x)
    plain = torch.autograd.grad(loss_of(model(x)), list(model.parameters()))

    assert sounding.scale.hex().startswith("0x1.0000000000000p")
    assert list(dict(model.named_parameters())) == list(sounding.parameter_gradients)
    for mine, theirs in zip(sounding.parameter_gradients.values(), plain, strict=True):
        assert torch.equal(theirs * sounding.scale, mine)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_twin_can_disagree() -> None:
    """The control: the twin of other weights is another one."""
    model, x = made("mlp")
    other = expected(model, x)
    with torch.no_grad():
        model.layers[0].weight.mul_(1.01)

    assert other["gradient"][0] != pytest.approx(sounded(model, x).columns["gradient"][0], rel=1e-6)


def test_unused_and_frozen_parameters_are_named() -> None:
    """A parameter that the loss does not need has None; a frozen one is not listed."""
    model, x = made("mlp")
    model.spare = nn.Linear(2, 2).double()
    model.layers[0].requires_grad_(False)
    sounding = sounded(model, x)

    assert sounding.parameter_gradients["spare.weight"] is None
    assert "layers.0.weight" not in sounding.parameter_gradients
    assert sounding.columns["gradient"][0] is None
    assert sounding.columns["gradient"][1] is not None


def test_the_worst_activation_of_a_block_counts() -> None:
    """A block with a dead and a live activation has the dead one's share, whichever comes last."""
    shares = []
    for biases in ((-100.0, 0.0), (0.0, -100.0)):
        block = [module for bias in biases for module in (_biased(bias), nn.ReLU())]
        model = nn.Sequential(nn.Sequential(_biased(0.0), nn.ReLU(), _biased(0.0), nn.ReLU()), nn.Sequential(*block))
        shares.append(sounded(model, torch.randn(SAMPLES, WIDTH)).columns["dead"])

    assert [share[1] for share in shares] == [1.0, 1.0]
    assert all(share[0] < 0.9 for share in shares)


def _biased(bias: float) -> nn.Linear:
    layer = nn.Linear(WIDTH, WIDTH)
    nn.init.constant_(layer.bias, bias)
    return layer


def test_activations_are_counted_once_each() -> None:
    """However it is called, an activation is heard once: as a module, a function, a method, in place."""
    model, x = made("mlp")
    assert dict(sounded(model, x).heard) == {"tanh": DEPTH}
    model, x = made("residual")
    assert dict(sounded(model, x).heard) == {"relu": DEPTH + 2}
    model, x = made("in place")
    assert dict(sounded(model, x).heard) == {"relu": DEPTH}


class TimeFirst(nn.Module):
    """Blocks that work on (time, batch, width), as recurrent networks do by default."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.readout = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3)), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, 0)
        for block in self.blocks:
            x = block(x).tanh()
        return self.readout(x.mean(0))


def test_time_may_come_first() -> None:
    """The batch is found behind the time, so samples are compared and not time steps."""
    torch.manual_seed(0)
    model, x = TimeFirst().double(), torch.randn(SAMPLES, 5, WIDTH, dtype=torch.float64)
    one = sounded(model, x).columns
    first = rows(model.blocks[0](x))

    assert one["correlation"][0] == pytest.approx(mean_cosine(first), abs=1e-9)
    assert one["rank"][0] == pytest.approx(participation(first), rel=1e-6)


def test_recurrent_modules_are_sounded() -> None:
    """An LSTM returns a tuple; its output carries the signal."""
    torch.manual_seed(0)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.readout = nn.LSTM(WIDTH, 8, num_layers=2, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.readout(self.lstm(x)[0][:, -1])

    model, x = Reader(), torch.randn(SAMPLES, 5, WIDTH)
    columns = sounded(model, x).columns

    assert columns["signal"][0] == pytest.approx(float(model.lstm(x)[0].detach().double().square().mean()), rel=1e-6)
    assert all(columns["gradient"])
