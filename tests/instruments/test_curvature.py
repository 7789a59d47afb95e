"""Curvature equals the largest eigenvalue of the whole Hessian, and everything stays as it was."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from fathometer.instruments import unchanged
from fathometer.instruments.curvature import Curvature, loss_curvature

SAMPLES, WIDTH = 12, 5


def network() -> nn.Module:
    """Return a small network of float64."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def batch() -> tuple[Tensor, Tensor]:
    """Return inputs and classes."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SAMPLES, WIDTH, generator=generator, dtype=torch.float64), torch.arange(SAMPLES) % 3


def measured(model: nn.Module, optimizer: torch.optim.Optimizer | None = None, **options: Any) -> Curvature:
    """Return the sharpness of a network on the batch."""
    inputs, targets = batch()
    inputs = inputs.to(next(model.parameters()).dtype)
    found = loss_curvature(model, lambda: model(inputs), lambda output: F.cross_entropy(output, targets), optimizer, **options)
    assert found is not None
    return found


def hessian(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the gradient and the Hessian of the loss in one flat vector of parameters, by torch's own function."""
    inputs, targets = batch()
    values = {name: parameter.detach() for name, parameter in model.named_parameters()}
    sizes = [value.numel() for value in values.values()]

    def loss(flat: Tensor) -> Tensor:
        parts = {name: part.view_as(v) for (name, v), part in zip(values.items(), flat.split(sizes), strict=True)}
        return F.cross_entropy(torch.func.functional_call(model, parts, (inputs,)), targets)

    flat = torch.cat([value.reshape(-1) for value in values.values()])
    flat.requires_grad_()
    return torch.autograd.grad(loss(flat), flat)[0], torch.autograd.functional.hessian(loss, flat)


def largest(matrix: Tensor) -> float:
    """Return the largest eigenvalue."""
    return float(torch.linalg.eigvalsh(matrix)[-1])


def test_sharpness_is_the_largest_eigenvalue() -> None:
    """A few products come within 1% from below, thirty equal the eigenvalue of the whole matrix."""
    exact = largest(hessian(network())[1])
    few = measured(network()).sharpness

    assert measured(network(), num_products=30).sharpness == pytest.approx(exact, rel=1e-9)
    assert few == pytest.approx(exact, rel=0.01)
    assert few <= exact


def test_adam_is_judged_by_its_own_metric() -> None:
    """P^-½ H P^-½ with P = √v + ε as at the next step: at first the size of the gradient, later what Adam remembers."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for steps in (0, 3):
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(batch()[0]), batch()[1]).backward()
            optimizer.step()
        gradient, matrix = hessian(model)
        square = gradient**2
        if steps:
            seen = torch.cat([optimizer.state[p]["exp_avg_sq"].reshape(-1) for p in model.parameters()])
            square = (0.999 * seen + 0.001 * gradient**2) / (1 - 0.999**4)
        root = (square.sqrt() + 1e-8).rsqrt()
        exact = largest(root[:, None] * matrix * root)

        found = measured(model, optimizer, num_products=51)
        # Entries with hardly a gradient make this matrix ill-conditioned.
        assert found.sharpness == pytest.approx(exact, rel=1e-4)
        assert found.limit == pytest.approx(38 / 1e-2)
        assert found.ratio == pytest.approx(exact / 3800, rel=1e-4)


LIMITS: dict[str, tuple[Callable[[Any], torch.optim.Optimizer], float | None]] = {
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.1), 2 / 0.1),
    "momentum": (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), 3.8 / 0.1),
    "nesterov": (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), 3.8 / 2.8 / 0.1),
    "adamw": (lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.99)), 3.6 / 0.2 / 0.1),
    "unknown": (lambda p: torch.optim.RMSprop(p, lr=0.1), None),
    "upwards": (lambda p: torch.optim.SGD(p, lr=0.1, maximize=True), None),
}


@pytest.mark.parametrize("name", LIMITS)
def test_each_optimizer_has_its_limit(name: str) -> None:
    """The ratio is the sharpness over the limit; optimizers that are not known get a sharpness alone."""
    model = network()
    make, limit = LIMITS[name]
    found = measured(model, make(model.parameters()))

    if limit is None:
        assert (found.limit, found.ratio, found.overshoot, found.progress) == (None, None, None, None)
        assert found.sharpness == measured(model).sharpness
    else:
        assert found.limit == pytest.approx(limit)
        assert found.ratio == pytest.approx(found.sharpness / limit)


def test_overshoot_and_progress_are_those_of_the_step() -> None:
    """For SGD: rate·gᵀHg / 2|g|², and rate·|g|² over the loss; ten times that in the long run at a momentum of 0.9."""
    model = network()
    gradient, matrix = hessian(model)
    loss, square = F.cross_entropy(model(batch()[0]), batch()[1]).item(), gradient @ gradient
    found = measured(model, torch.optim.SGD(model.parameters(), lr=0.3))
    heavy = measured(model, torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9))

    assert found.overshoot == pytest.approx(float(0.3 * (gradient @ matrix @ gradient) / (2 * square)))
    assert found.progress == pytest.approx(float(0.3 * square) / loss)
    assert heavy.progress == pytest.approx(float(3 * square) / loss)


def test_groups_keep_their_own_rates_and_the_rest_stays_out() -> None:
    """Parameters that no group holds do not count; of others the Hessian is scaled by the rates on both sides."""
    model = network()
    first, second = model[0], model[2]
    optimizer = torch.optim.SGD([{"params": [first.weight], "lr": 0.2}, {"params": [second.weight], "lr": 0.05}], lr=1.0)
    found = measured(model, optimizer, num_products=40)

    matrix = hessian(model)[1]
    rates = torch.cat([torch.full((p.numel(),), rate) for p, rate in zip(model.parameters(), (0.2, 0, 0.05, 0), strict=True)])
    root = rates.double().sqrt()
    assert found.ratio == pytest.approx(largest(root[:, None] * matrix * root) / 2)


class NoSecond(torch.autograd.Function):
    """A tanh whose author wrote one derivative only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x.tanh())
        return x.tanh()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * (1 - ctx.saved_tensors[0] ** 2)


class OnceTanh(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return NoSecond.apply(x)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-2)], ids=["float64", "float32"])
def test_without_second_derivatives_differences_serve(dtype: torch.dtype, tolerance: float) -> None:
    """A function with one derivative is measured by differences, to a third of the digits that its numbers have or better."""
    exact = measured(network())
    model = network()
    model[1] = OnceTanh()
    found = measured(model.to(dtype))

    assert (exact.is_exact, found.is_exact) == (True, False)
    assert found.sharpness == pytest.approx(exact.sharpness, rel=tolerance)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.readout = nn.GRU(1, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.rnn(x[..., None])[0][:, -1])


class Attentive(nn.Module):
    """Attention by torch's fused function, which has kernels without a second derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.readout = nn.Linear(1, 3 * 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.inside(x[..., None]).unflatten(-1, (3, 1, 4)).permute(2, 0, 3, 1, 4)
        return self.readout(F.scaled_dot_product_attention(query, key, value)[:, 0].mean(1))


@pytest.mark.parametrize(("make", "is_exact"), [(Recurrent, False), (Attentive, True)], ids=["recurrent", "attention"])
def test_recurrence_and_attention_are_measured(make: Callable[[], nn.Module], is_exact: bool) -> None:
    """The one by differences, the other exactly; both as the whole Hessian by differences of a plain loop has it."""
    torch.manual_seed(0)
    model = make().double()
    found = measured(model, num_products=30)
    parameters, (inputs, targets) = list(model.parameters()), batch()

    def gradient() -> Tensor:
        loss = F.cross_entropy(model(inputs), targets)
        return torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, parameters)])

    columns = []
    for parameter in parameters:
        for entry in parameter.data.view(-1).split(1):
            entry += 1e-5
            ahead = gradient()
            entry -= 2e-5
            columns.append((ahead - gradient()) / 2e-5)
            entry += 1e-5
    matrix = torch.stack(columns)
    assert found.is_exact == is_exact
    # The twin's own differences are off by 1e-5² of third derivatives and 1e-11 of rounding.
    assert found.sharpness == pytest.approx(largest((matrix + matrix.T) / 2), rel=1e-5)


@pytest.mark.parametrize("activation", [nn.Tanh, OnceTanh], ids=["second derivatives", "differences"])
def test_all_is_as_before(activation: type[nn.Module]) -> None:
    """Parameters bit for bit, no gradient left, dropout on again; also where the loss raises half way."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 6), activation(), nn.Dropout(0.5), nn.Linear(6, 3))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters())
    with unchanged(model):
        first = measured(model, optimizer)
    calls: list[int] = []

    def loss_of(output: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return F.cross_entropy(output, batch()[1])

    if activation is OnceTanh:
        with pytest.raises(KeyboardInterrupt):
            loss_curvature(model, lambda: model(batch()[0].float()), loss_of)
    assert measured(model, optimizer) == first
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model[2].training
    assert not optimizer.state


@pytest.mark.parametrize("factor", [0.0, float("inf")])
def test_no_slope_no_sharpness(factor: float) -> None:
    """Where the gradient is zero or not finite there is nothing to say."""
    model = network()
    assert loss_curvature(model, lambda: model(batch()[0]), lambda output: factor * output.sum()) is None


def test_a_frozen_network_has_no_curvature() -> None:
    """Nothing moves."""
    model = network().requires_grad_(False)
    assert loss_curvature(model, lambda: model(batch()[0]), lambda output: output.sum()) is None
