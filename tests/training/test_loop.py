"""The loop is the plain loop of torch, and stops in time."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import BatchError
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.spec import Transformer
from fathometer.training import fit

Pair = tuple[Tensor, Tensor]


def make_model(seed: int) -> nn.Sequential:
    """Return a network with dropout and statistics."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Dropout(0.2), nn.BatchNorm1d(12), nn.Linear(12, 3))


def make_batches(seed: int, count: int = 4) -> list[Pair]:
    """Return batches of eight samples with three classes."""
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(8, 6, generator=generator), torch.randint(3, (8,), generator=generator)) for _ in range(count)]


def plain_loop(model: nn.Module, batches: list[Pair], asked: Asked) -> list[float]:
    """Train as a page of torch's own tutorials would: the slow plain twin."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[asked.optimizer]
    optimizer = kind(model.parameters(), lr=asked.learning_rate, weight_decay=asked.weight_decay, fused=True)
    model.train()
    losses = []
    for step in range(asked.steps):
        for group in optimizer.param_groups:
            group["lr"] = asked.learning_rate * (min(1.0, (step + 1) / asked.warmup) if asked.warmup else 1.0)
        inputs, targets = batches[step % len(batches)]
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        if asked.clip is not None:
            norm = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm()
            for parameter in model.parameters():
                parameter.grad.mul_((asked.clip / (norm + 1e-6)).clamp(max=1.0))
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    "asked",
    [
        Asked(steps=11),
        Asked(steps=11, optimizer="adamw", weight_decay=0.1, warmup=5),
        Asked(steps=11, optimizer="sgd", learning_rate=0.5, clip=0.3),
        Asked(steps=11, optimizer="sgd", learning_rate=0.5, clip=0.3, warmup=3),
    ],
    ids=["adam", "adamw-warmup", "sgd-clip", "sgd-clip-warmup"],
)
def test_the_loop_equals_a_plain_one_bit_for_bit(asked: Asked, seed: int) -> None:
    """Losses and weights are those of a loop written by hand, with the same seed; dropout and batch norm included."""
    mine, twin, batches = make_model(seed), make_model(seed), make_batches(seed)
    torch.manual_seed(seed)
    fitted = fit(mine, batches, asked)
    torch.manual_seed(seed)
    expected = plain_loop(twin, batches, asked)

    assert expected == list(fitted.losses)
    assert all(torch.equal(value, mine.state_dict()[name]) for name, value in twin.state_dict().items())
    assert fitted.stopped_at is None
    assert fitted.seconds > 0


def test_another_rate_would_be_noticed(seed: int) -> None:
    """The comparison above can fail: a run with another learning rate has other losses."""
    batches = make_batches(seed)
    torch.manual_seed(seed)
    fitted = fit(make_model(seed), batches, Asked(steps=5, learning_rate=2e-3))

    assert plain_loop(make_model(seed), batches, Asked(steps=5)) != list(fitted.losses)


class Slope(nn.Module):
    """A loss whose gradient is (3, 4, 12), of norm 13."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, factors: Tensor) -> Tensor:
        return self.weight @ factors


@pytest.mark.parametrize(("clip", "share"), [(None, 1.0), (3.0, 3 / 13), (20.0, 1.0)])
def test_clipping_scales_the_whole_gradient(clip: float | None, share: float) -> None:
    """A gradient of (3, 4, 12) has norm 13: clipped at 3 it keeps its direction; at 20, or off, it stays as it is."""
    model = Slope()
    asked = Asked(steps=1, optimizer="sgd", learning_rate=1.0, clip=clip)
    fit(model, [(torch.tensor([3.0, 4.0, 12.0]), torch.zeros(()))], asked, loss_fn=lambda output, _: output)

    # clip_grad_norm_ adds 1e-6 to the norm
    torch.testing.assert_close(model.weight.data, -share * torch.tensor([3.0, 4.0, 12.0]), rtol=1e-6, atol=0)


def test_a_loss_that_is_not_finite_stops_the_run_before_the_step(seed: int) -> None:
    """The step is told, counted from 1; the weights are as the last good step left them; the callback gets the batch."""
    model, batches, told = make_model(seed), make_batches(seed), []
    model[3] = nn.Identity()  # a batch norm would take NaN into its statistics, as it does in any loop
    batches[2] = (torch.full((8, 6), float("nan")), batches[2][1])
    weights: dict[int, Tensor] = {}
    fitted = fit(
        model,
        batches,
        Asked(steps=9),
        on_step=lambda step, loss: weights.update({step: model[0].weight.detach().clone()}),
        on_nonfinite=lambda step, module, batch: told.append((step, module, batch)),
    )

    assert fitted.stopped_at == 3
    assert len(fitted.losses) == 2
    assert torch.equal(weights[2], model[0].weight)
    assert not torch.equal(weights[1], weights[2])
    (step, module, batch) = told[0]
    assert (len(told), step, module is model) == (1, 3, True)
    assert batch[0].isnan().all()


def test_observers_see_the_gradient_before_it_is_clipped() -> None:
    """Each observer is called once a step with (step, model, loss), while the whole gradient is in the parameters."""
    seen = []
    fit(
        Slope(),
        [(torch.tensor([3.0, 4.0, 12.0]), torch.zeros(()))],
        Asked(steps=2, optimizer="sgd", clip=1.0),
        loss_fn=lambda output, _: output,
        observers=[lambda step, model, loss: seen.append((step, model.weight.grad.norm().item(), loss.requires_grad))],
    )

    assert seen == [(1, 13.0, False), (2, 13.0, False)]


def test_a_stream_that_ends_early_is_an_error(seed: int) -> None:
    """A generator cannot be read twice: the error says so; a list can."""

    def stream() -> Iterator[Pair]:
        yield from make_batches(seed, 2)

    with pytest.raises(BatchError, match="no more batches"):
        fit(make_model(seed), stream(), Asked(steps=3))
    assert len(fit(make_model(seed), make_batches(seed, 2), Asked(steps=3)).losses) == 3


@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_transformer_learns_as_in_a_plain_loop_bit_for_bit(clip: float | None) -> None:
    """With tied weights, a warm-up and a clip, the losses at one seed are those of a loop that is written out."""
    spec = Transformer(depth=3, width=16, heads=2, vocabulary=11, context=8)
    asked = Asked(steps=12, optimizer="adamw", learning_rate=1e-2, weight_decay=0.1, warmup=4, clip=clip)
    tokens = torch.randint(11, (5, 4, 9), generator=torch.Generator().manual_seed(0))
    batches = [(rows[:, :-1], rows[:, 1:]) for rows in tokens]
    plain = build(spec, seed=1)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=asked.learning_rate, weight_decay=0.1, fused=True)
    expected = []
    for step in range(asked.steps):
        optimizer.param_groups[0]["lr"] = asked.learning_rate * min(1.0, (step + 1) / 4)
        inputs, targets = batches[step % 5]
        loss = F.cross_entropy(plain(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(plain.parameters(), clip)
        optimizer.step()
        expected.append(loss.item())

    assert list(fit(build(spec, seed=1), batches, asked).losses) == expected
    assert list(fit(build(spec, seed=2), batches, asked).losses) != expected
