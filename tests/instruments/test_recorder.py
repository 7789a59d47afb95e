"""What a measured step says is what plain statistics on whole tensors say."""

from collections.abc import Callable
from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments.geometry import as_rows, effective_rank, spread
from fathometer.instruments.recorder import StepRecorder
from fathometer.instruments.recorder_price import PRICES, Price
from fathometer.instruments.recorder_reading import Reading
from fathometer.instruments.recorder_sample import flat_sample, flat_samples, row_sample, row_samples
from fathometer.networks import build
from fathometer.spec import Transformer

# Samples are off by chance: of twelve blocks and five columns one in a thousand may be more than four errors off, and errors
# are themselves estimated from few rows and units (a fifth more). Never more than `SURE` of them, and a tenth on average.
SURE, USUAL = 6.0, 1.5
FULL = Price("whole", rows=10**9, numbers=10**9, hears=True, rank=True, score_rows=10**9)


def mlp(depth: int = 12, width: int = 96) -> nn.Sequential:
    """Return a plain ReLU network."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(depth)), nn.Linear(width, 10))


def batch(size: int = 128, width: int = 96) -> tuple[Tensor, Tensor]:
    """Return inputs and classes."""
    torch.manual_seed(1)
    return torch.randn(size, width), torch.randint(10, (size,))


def measured(
    model: nn.Module, optimizer: torch.optim.Optimizer, run: Callable[[], object], price: Price = PRICES["standard"]
) -> Reading:
    """Return the second measured step; the first one finds the depth points."""
    recorder = StepRecorder(model, [optimizer], price)
    for step in (1, 2):
        state = {name: value.clone() for name, value in model.state_dict().items()}
        recorder.arm()
        run()
        reading = recorder.finish(step)
        if step == 1:
            model.load_state_dict(state)
    return reading


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor) -> None:
    """Take one plain step."""
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), targets).backward()
    optimizer.step()


def scaled_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, inputs: Tensor, targets: Tensor
) -> None:
    """Take one step with a scaled loss."""
    optimizer.zero_grad()
    scaler.scale(F.cross_entropy(model(inputs), targets)).backward()
    scaler.step(optimizer)
    scaler.update()


def twin(model: nn.Sequential, rate: float, inputs: Tensor, targets: Tensor) -> dict[str, list[float]]:
    """Return the same statistics of the whole tensors, by hand, for plain SGD: no hooks, no samples."""
    outputs, x = [], inputs
    for block in model[:-1]:
        x = block(x)
        x.retain_grad()
        outputs.append(x)
    F.cross_entropy(model[-1](x), targets).backward()
    weights = [block[0].weight for block in model[:-1]]
    gradients = [float(output.grad.double().square().mean()) for output in outputs]
    sizes = [float(weight.grad.double().square().mean().sqrt()) for weight in weights]
    weight_sizes = [float(weight.detach().double().square().mean().sqrt()) for weight in weights]
    return {
        "signal": [float(output.detach().double().square().mean()) for output in outputs],
        "gradient": [gradient / gradients[-1] for gradient in gradients],
        "weight": weight_sizes,
        "weight_gradient": [size / max(sizes) for size in sizes],
        "update": [rate * size / weight for size, weight in zip(sizes, weight_sizes, strict=True)],
        "dead": [float((output.detach() == 0).all(dim=0).float().mean()) for output in outputs],
        "spread": [spread(as_rows(output)) or 0.0 for output in outputs],
        "rank": [effective_rank(as_rows(output)) or 0.0 for output in outputs],
    }


def test_numbers_are_those_of_whole_tensors_within_the_stated_error() -> None:
    """Signal, gradient, weight and its gradient are off by no more than what the reading itself states."""
    model, (inputs, targets) = mlp(), batch()
    expected = twin(mlp(), 10.0, inputs, targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    reading = measured(model, optimizer, lambda: plain_step(model, optimizer, inputs, targets))

    off = []
    for name, power in (("signal", 1), ("gradient", 1), ("weight", 2), ("weight_gradient", 2)):
        ends = reading.errors[name][-1] if name == "gradient" else 0.0
        for found, wanted, error in zip(reading.columns[name], expected[name], reading.errors[name], strict=True):
            stated = (error**2 + ends**2) ** 0.5 + 1e-6
            off.append(abs(power * log(found / wanted)) / stated)
    assert max(off) < SURE, off
    assert sum(off) / len(off) < USUAL, off
    assert min(error for error in reading.errors["signal"]) > 0.001  # it was a sample


@pytest.mark.parametrize("price", ["economy", "standard", "full"])
def test_errors_fall_with_the_price(price: str) -> None:
    """The stated errors are those of the presets: below a fifth for the cheapest, and less for what costs more."""
    model, (inputs, targets) = mlp(4), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    reading = measured(model, optimizer, lambda: plain_step(model, optimizer, inputs, targets), PRICES[price])

    assert max(reading.errors["weight"]) < {"economy": 0.1, "standard": 0.06, "full": 0.01}[price]
    assert ("rank" in reading.columns, "dead" in reading.columns) == (price != "economy",) * 2


def test_whole_tensors_give_the_twin_exactly() -> None:
    """Where everything is taken nothing is off: the counting is right apart from the sampling."""
    model, (inputs, targets) = mlp(), batch()
    expected = twin(mlp(), 10.0, inputs, targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    reading = measured(model, optimizer, lambda: plain_step(model, optimizer, inputs, targets), FULL)

    for name, wanted in expected.items():
        # float32 sums over 12,288 numbers; an update of 4e-5 is the difference of two weights, rounded at 6e-8 of these
        assert reading.columns[name] == pytest.approx(wanted, rel=2e-3 if name == "update" else 1e-4), name


def test_a_batch_in_parts_gives_the_same() -> None:
    """Four parts whose gradients are added up show what the whole batch shows."""
    inputs, targets = batch()
    found = {}
    for parts in (1, 4):
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def run(model: nn.Module = model, optimizer: torch.optim.Optimizer = optimizer, parts: int = parts) -> None:
            optimizer.zero_grad()
            for x, y in zip(inputs.chunk(parts), targets.chunk(parts), strict=True):
                (F.cross_entropy(model(x), y) / parts).backward()
            optimizer.step()

        found[parts] = measured(model, optimizer, run, FULL)

    assert found[1].facts["batch_size"] == found[4].facts["batch_size"] == 128
    for name, series in found[1].columns.items():
        assert found[4].columns[name] == pytest.approx(series, rel=2e-3), name


def test_the_first_look_sees_all_parts_of_a_batch() -> None:
    """The step that looks for depth takes each part of an accumulated batch, as every later one does."""
    inputs, targets = batch()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    recorder, found = StepRecorder(model, [optimizer], FULL), []
    for step in (1, 2):
        recorder.arm()
        optimizer.zero_grad()
        for x, y in zip(inputs.chunk(4), targets.chunk(4), strict=True):
            (F.cross_entropy(model(x), y) / 4).backward()
        optimizer.step()
        found.append(recorder.finish(step))

    for name, series in found[1].columns.items():
        if name != "dead":  # nothing is heard inside blocks before these are known
            assert found[0].columns[name] == pytest.approx(series, rel=1e-5), name


def test_small_tensors_are_sampled_as_one_by_one() -> None:
    """Stacked first and sampled then, or sampled one by one and stacked: the very same numbers."""
    torch.manual_seed(0)
    for shape in ((64, 64), (16, 10, 8), (7, 33), (5,)):
        tensors = [torch.randn(shape) for _ in range(3)]
        for rows, numbers, batch_size in ((16, 256, shape[0]), (32, 512, 10), (10**9, 10**9, None)):
            one_by_one = torch.stack([row_sample(one, rows, numbers, batch_size) for one in tensors])
            assert torch.equal(row_samples(tensors, rows, numbers, batch_size), one_by_one), (shape, rows)
            flat = torch.stack([flat_sample(one, numbers) for one in tensors])
            assert torch.equal(flat_samples(tensors, numbers), flat), (shape, numbers)


@pytest.mark.parametrize("fused", [False, True])
def test_a_scaled_loss_is_seen_unscaled(fused: bool) -> None:
    """A GradScaler's factor is in no number, also where a fused optimizer divides by it itself."""
    inputs, targets = batch()
    found = {}
    for scale in (1.0, 2.0**12):
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)

        def run(
            model: nn.Module = model, optimizer: torch.optim.Optimizer = optimizer, scaler: torch.amp.GradScaler = scaler
        ) -> None:
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(inputs), targets)).backward()
            scaler.step(optimizer)
            scaler.update()

        found[scale] = measured(model, optimizer, run, FULL)

    one, other = found.values()
    assert one.facts["gradient_norm"] == pytest.approx(other.facts["gradient_norm"], rel=1e-4)
    for name, series in one.columns.items():
        assert other.columns[name] == pytest.approx(series, rel=2e-3), name


def test_a_step_that_the_scaler_passes_over_has_no_update() -> None:
    """Where the gradient is infinite the optimizer does not move, and nothing is said of weights' gradients."""
    model, (inputs, targets) = mlp(3), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    recorder = StepRecorder(model, [optimizer], PRICES["standard"])
    recorder.arm()
    scaler.scale(1e6 * F.cross_entropy(model(inputs), targets)).backward()
    scaler.step(optimizer)
    scaler.update()

    assert not recorder.has_moved
    reading = recorder.finish(1)
    assert "update" not in reading.columns
    assert reading.facts["gradient_norm"] is None


def test_half_precision_says_how_near_its_end_it_is() -> None:
    """Under float16 autocast the headroom is the largest activation over 65,504; in float32 there is none."""
    model, (inputs, targets) = nn.Sequential(*(nn.Linear(96, 96) for _ in range(3)), nn.Linear(96, 10)), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def run() -> None:
        with torch.autocast("cpu", dtype=torch.float16):
            F.cross_entropy(model(1000 * inputs).float(), targets).backward()
        optimizer.step()

    reading = measured(model, optimizer, run)
    with torch.autocast("cpu", dtype=torch.float16):
        first = model[0](1000 * inputs).abs().max().item()

    assert reading.columns["headroom"][0] == pytest.approx(first / 65504)
    assert "headroom" not in measured(model, optimizer, lambda: plain_step(model, optimizer, inputs, targets)).columns


def test_attention_is_that_of_the_slow_look() -> None:
    """Entropy and logits of a transformer's heads equal those that a preflight's listener measures on the same rows."""
    from fathometer.instruments.attention import sharpness
    from fathometer.instruments.recorder_counting import sharpness_by_head

    torch.manual_seed(0)
    scores = 3 * torch.randn(2, 4, 16, 16)
    scores = scores.masked_fill(torch.ones(16, 16, dtype=torch.bool).triu(1), -torch.inf)
    entropy, energy = sharpness_by_head(scores)
    expected = sharpness(scores)

    assert expected is not None
    assert float(entropy.min()) == pytest.approx(expected.entropy, rel=1e-4)
    assert float(energy.max().sqrt()) == pytest.approx(expected.logits, rel=1e-4)


def test_a_transformer_shows_attention_by_block() -> None:
    """Every block has an entropy and a size of logits; scaling the queries of one by 30 is seen there alone."""
    model = build(Transformer(depth=4, width=32, heads=2, vocabulary=50, context=16), seed=0)
    tokens = torch.randint(50, (8, 17), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def run() -> None:
        F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()

    before = measured(model, optimizer, run).columns["attention_logits"]
    names = [name for name, _ in model.named_parameters() if name.startswith("blocks.2") and ("query" in name or "qkv" in name)]
    with torch.no_grad():
        for name in names:
            dict(model.named_parameters())[name].mul_(30)
    after = measured(model, optimizer, run).columns["attention_logits"]

    assert names
    assert after[2] > 10 * before[2]
    assert after[:2] == pytest.approx(before[:2], rel=1e-5)


def test_a_tensor_that_is_written_to_is_sampled_as_it_was() -> None:
    """A layer whose output is overwritten in place shows, from the second look on, what it gave out."""

    class InPlace(nn.Module):
        """Adds to what its layer gave, in place."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).add_(100.0)

    torch.manual_seed(0)
    model = nn.Sequential(*(InPlace() for _ in range(3)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    recorder = StepRecorder(model, [optimizer], FULL, layers=["*.layer"])
    inputs = torch.randn(16, 8)
    with torch.no_grad():
        wanted = float(model[0].layer(inputs).square().mean())
    for step in (1, 2, 3):
        recorder.arm()
        model(inputs).square().mean().backward()
        optimizer.step()
        reading = recorder.finish(step)

    assert reading.columns["signal"][0] == pytest.approx(wanted, rel=1e-5)


def test_checkpointed_blocks_are_looked_at_once() -> None:
    """What runs again in the backward pass counts once: the batch is as large as it is, and the numbers are the same."""
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Module):
        """Runs its blocks again in the backward pass."""

        def __init__(self, blocks: nn.Sequential, again: bool) -> None:
            super().__init__()
            self.blocks, self.again = blocks, again

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False) if self.again else block(x)
            return x

    inputs, targets = batch()
    found = []
    for again in (False, True):
        model = Checkpointed(mlp(4), again)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def run(model: nn.Module = model, optimizer: torch.optim.Optimizer = optimizer) -> None:
            plain_step(model, optimizer, inputs, targets)

        found.append(measured(model, optimizer, run, FULL))

    assert found[0].facts["batch_size"] == found[1].facts["batch_size"]
    for name in ("signal", "gradient", "weight_gradient", "update"):
        assert found[1].columns[name] == pytest.approx(found[0].columns[name], rel=1e-4), name


def test_evaluation_is_not_listened_to() -> None:
    """A pass in eval mode, or without gradients, in the middle of a measured step leaves no trace."""
    model, (inputs, targets) = mlp(4), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def run() -> None:
        with torch.no_grad():
            model(100 * inputs)
        model.eval()
        model(100 * inputs)
        model.train()
        plain_step(model, optimizer, inputs, targets)

    assert measured(model, optimizer, run, FULL).columns["signal"] == pytest.approx(
        measured(model, optimizer, lambda: plain_step(model, optimizer, inputs, targets), FULL).columns["signal"]
    )
