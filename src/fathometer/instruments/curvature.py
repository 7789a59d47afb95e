"""Does the learning rate fit the curvature of the loss?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fathometer.instruments.keep import seed_generators
from fathometer.instruments.quiet import WithoutDropout

NUM_PRODUCTS = 3
ASYMMETRY = 0.05  # of the largest number: more is not rounding, but a function on the way whose second derivative is missing
Vector = Float[Tensor, " entry"]
Product = Callable[[Tensor], Tensor]
Quadratic = tuple[float, Tensor, Product]  # a loss, its gradient, and the function that multiplies with its Hessian


@dataclass(frozen=True)
class Curvature:
    """The curvature of the loss where the optimizer is about to step, and what it bears.

    `sharpness` is the largest eigenvalue of the Hessian; for Adam of P^-½ H P^-½ with P = √v + ε as at its next step. It is
    found in a few products, so it is a bound from below. `limit` is the value beyond which steps on a quadratic overshoot
    further and further: 2/rate for SGD, (2 + 2β)/rate with momentum β, (2 + 2β₁)/((1 - β₁) rate) for Adam (Cohen et al.
    2021, "Gradient descent on neural networks typically occurs at the edge of stability"; 2022, "Adaptive gradient methods
    at the edge of stability"). `ratio` is the one over the other. `overshoot` is the part of the promised decrease that
    curvature along the step itself takes back: beyond 1 the first step raises the loss. `progress` is the decrease that
    the gradient promises for one step (for SGD with momentum: in the long run), over the loss. The last four are None
    without an optimizer, or for one whose steps are not known here. `is_exact`: by second derivatives, not differences.
    """

    sharpness: float
    limit: float | None
    ratio: float | None
    overshoot: float | None
    progress: float | None
    is_exact: bool


def loss_curvature(
    model: nn.Module,
    run: Callable[[], Any],
    loss_of: Callable[[Any], Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    *,
    num_products: int = NUM_PRODUCTS,
    seed: int = 0,
) -> Curvature | None:
    """Return the sharpness of the loss by Lanczos' method from its gradient; None where that is zero or not finite.

    `run` calls the model and returns its output; `loss_of` makes a scalar of that. Each product of the Hessian with a
    vector is a second backward pass, about two passes of the batch; where the model has recurrent layers or an operation
    without a second derivative, two gradients and their difference. Attention runs by its plain formula meanwhile, and
    dropout is off. `.grad` and the parameters are as before.
    """
    moved = None if optimizer is None else {id(p) for group in optimizer.param_groups for p in group["params"]}
    parameters = [p for p in model.parameters() if p.requires_grad and (moved is None or id(p) in moved)]
    if not parameters:
        return None

    def loss_now() -> Tensor:
        seed_generators(seed)
        return loss_of(run())

    with WithoutDropout(), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        if not any(isinstance(module, nn.RNNBase) for module in model.modules()):  # slow, or without second derivatives
            try:
                return _told(_second_backward(parameters, loss_now), parameters, optimizer, num_products, is_exact=True)
            except RuntimeError:
                pass
        return _told(_differences(parameters, loss_now), parameters, optimizer, num_products, is_exact=False)


def _told(
    quadratic: Quadratic,
    parameters: Sequence[Tensor],
    optimizer: torch.optim.Optimizer | None,
    num_products: int,
    *,
    is_exact: bool,
) -> Curvature | None:
    loss, gradient, product = quadratic
    if optimizer is None or (limit := _limit_of(optimizer)) is None:
        matrix = _restricted(product, gradient, num_products, is_exact=is_exact)
        return None if matrix is None else Curvature(_largest(matrix), None, None, None, None, is_exact)
    steps = _steps(optimizer, parameters, gradient)
    roots = steps.sqrt()
    matrix = _restricted(lambda vector: roots * product(roots * vector), roots * gradient, num_products, is_exact=is_exact)
    if matrix is None:
        return None
    rate, largest = max(float(group["lr"]) for group in optimizer.param_groups), _largest(matrix)
    promised = float((steps * gradient).double().dot(gradient.double())) / _braking(optimizer)
    progress = promised / loss if loss > 0 else None
    return Curvature(largest / rate, limit / rate, largest / limit, float(matrix[0, 0]) / 2, progress, is_exact)


def _restricted(product: Product, start: Tensor, num_products: int, *, is_exact: bool) -> Tensor | None:
    """Return the product's matrix on a Krylov space; None where it is not finite. Raises where it is not symmetric."""
    matrix, asymmetry = _lanczos(product, start, num_products)
    if not matrix.numel() or not bool(torch.isfinite(matrix).all()):
        return None
    if is_exact and asymmetry > ASYMMETRY * float(matrix.abs().max()):
        raise RuntimeError("a second derivative is missing")  # torch passes over what is marked once_differentiable
    return matrix


def _largest(matrix: Tensor) -> float:
    return float(torch.linalg.eigvalsh(matrix)[-1])


def _second_backward(parameters: Sequence[Tensor], loss_now: Callable[[], Tensor]) -> Quadratic:
    loss = loss_now()
    found = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    gradient = _flat(found, parameters)

    def product(vector: Tensor) -> Tensor:
        if not gradient.requires_grad:  # the loss is linear
            return torch.zeros_like(vector)
        found = torch.autograd.grad(gradient, parameters, grad_outputs=vector, retain_graph=True, allow_unused=True)
        return _flat(found, parameters)

    return float(loss.detach()), gradient.detach(), product


def _differences(parameters: Sequence[Tensor], loss_now: Callable[[], Tensor]) -> Quadratic:
    """Return the same with central differences, a cube root of rounding wide: there its two errors are about equal."""
    before = [p.detach().clone() for p in parameters]
    center = _flat(before, parameters)
    width = torch.finfo(center.dtype).eps ** (1 / 3) * float(center.double().norm())

    def gradient_at(place: Tensor) -> Tensor:
        for p, part in zip(parameters, place.split([p.numel() for p in parameters]), strict=True):
            p.data.copy_(part.view_as(p))  # past the version: no graph is alive that holds it
        return _flat(torch.autograd.grad(loss_now(), parameters, allow_unused=True), parameters)

    def product(vector: Tensor) -> Tensor:
        far = vector * (width / max(float(vector.double().norm()), torch.finfo(torch.float32).tiny))
        try:
            found = gradient_at(center + far) - gradient_at(center - far)
        finally:
            for p, value in zip(parameters, before, strict=True):
                p.data.copy_(value)
        return found * (float(vector.double().norm()) / (2 * width))

    loss = loss_now()
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return float(loss.detach()), _flat(found, parameters), product


def _flat(tensors: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """Return one vector; what a loss does not depend on counts as zero."""
    known = [torch.zeros_like(p) if t is None else t for t, p in zip(tensors, parameters, strict=True)]
    return torch.cat([tensor.reshape(-1) for tensor in known])


def _lanczos(product: Product, start: Vector, num_products: int) -> tuple[Float[Tensor, "step step"], float]:
    """Return the matrix on the Krylov space of the start, which is tridiagonal, and how far the product is from symmetric.

    The matrix is empty for a start of length zero, or a length that is not finite.
    """
    length, asymmetry = float(start.double().norm()), 0.0
    basis = [start / length] if 0 < length < float("inf") else []
    matrix = torch.zeros(num_products, num_products, dtype=torch.float64, device="cpu")
    for step in range(num_products if basis else 0):
        image = product(basis[-1])
        shares = torch.stack([known.dot(image) for known in basis]).double().cpu()
        asymmetry = max([asymmetry, *(shares[:-1] - matrix[step, :step]).abs().tolist()])
        matrix[step, step] = shares[-1]
        for known in [*basis, *basis]:  # once leaves rounding errors of the size of what it took away
            image = image - known.dot(image) * known
        rest = float(image.double().norm())
        if not rest > 1e-6 * float(matrix.abs().max()) or step + 1 == num_products:
            break
        matrix[step, step + 1] = matrix[step + 1, step] = rest
        basis.append(image / rest)
    return matrix[: len(basis), : len(basis)], asymmetry


def _limit_of(optimizer: torch.optim.Optimizer) -> float | None:
    """Return the limit of sharpness times rate, the least of all groups; None for an optimizer that is not known."""
    of_group = LIMITS.get(type(optimizer))
    if of_group is None or any(group.get("maximize") for group in optimizer.param_groups):
        return None
    return min(of_group(group) for group in optimizer.param_groups)


def _steps(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], gradient: Vector) -> Vector:
    """Return how far one unit of gradient moves each entry at the next step."""
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    parts = gradient.split([p.numel() for p in parameters])
    return torch.cat([_step(optimizer, groups[id(p)], p, g) for p, g in zip(parameters, parts, strict=True)])


def _step(optimizer: torch.optim.Optimizer, group: dict[str, Any], parameter: Tensor, gradient: Vector) -> Vector:
    rate = float(group["lr"])
    if "betas" not in group:
        return torch.full_like(gradient, rate)
    state, decay = optimizer.state.get(parameter, {}), float(group["betas"][1])
    seen = state["exp_avg_sq"].reshape(-1) if "exp_avg_sq" in state else torch.zeros_like(gradient)
    mean_square = (decay * seen + (1 - decay) * gradient**2) / (1 - decay ** (float(state.get("step", 0)) + 1))
    return rate / (mean_square.sqrt() + group["eps"])


def _braking(optimizer: torch.optim.Optimizer) -> float:
    """Return 1 - momentum: SGD adds gradients up, where Adam takes their mean."""
    return min(1 - float(group.get("momentum", 0)) for group in optimizer.param_groups) or 1.0


def _sgd_limit(group: dict[str, Any]) -> float:
    momentum = float(group["momentum"])
    return (2 + 2 * momentum) / (1 + 2 * momentum if group["nesterov"] else 1)


def _adam_limit(group: dict[str, Any]) -> float:
    momentum = float(group["betas"][0])
    return (2 + 2 * momentum) / (1 - momentum)


LIMITS: dict[type, Callable[[dict[str, Any]], float]] = {
    torch.optim.SGD: _sgd_limit,
    torch.optim.Adam: _adam_limit,
    torch.optim.AdamW: _adam_limit,
}
