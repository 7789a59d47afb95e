"""Perceptrons to develop on: ReLU, tanh, GELU, and batch norm."""

from dataclasses import replace
from math import sqrt

from torch import nn

from benchmarks.zoo.entry import Entry, MakeOptimizer, ill, well
from benchmarks.zoo.networks.plain import Functional, drawn, stack
from benchmarks.zoo.plant import (
    Cut,
    Logged,
    Softmaxed,
    WithSpare,
    adam,
    biased,
    frozen,
    loud_readout,
    low_rank,
    scaled,
    sgd,
    with_multiplied_gradient,
)
from fathometer.networks import build
from fathometer.spec import Mlp

HE = sqrt(2)
COLLAPSE = ("correlation_collapse", "rank_collapse")


def relu() -> list[Entry]:
    """Return healthy ReLU stacks, and those with a fault in the weights."""
    healthy = {f"He, {d} layers": (lambda seed, d=d: drawn(stack(d))) for d in (1, 2, 3, 4, 6, 8, 11, 15)}
    healthy |= {f"torch's start, {d} layers": (lambda seed, d=d: stack(d)) for d in (1, 2, 4)}
    healthy |= {f"orthogonal, {d} layers": (lambda seed, d=d: drawn(stack(d), orthogonal=True)) for d in (4, 8, 14)}
    healthy |= {f"functional, {w} wide": (lambda seed, w=w: drawn(Functional(5, width=w))) for w in (32, 64)}
    healthy |= {f"He, 3 layers, {w} wide": (lambda seed, w=w: drawn(stack(3, width=w))) for w in (24, 48)}
    family, on = "ReLU perceptron", "digits"
    small = {f"gain {g} of He, 15 layers": (lambda seed, g=g: drawn(stack(15), g * HE)) for g in (0.5, 0.35, 0.2)}
    large = {f"gain {g} of He, 25 layers": (lambda seed, g=g: drawn(stack(25), g * HE)) for g in (2, 4, 10)}
    default = {f"torch's start, {d} layers": (lambda seed, d=d: stack(d)) for d in (20, 30, 45)}
    deep = {f"He, {d} layers": (lambda seed, d=d: drawn(stack(d))) for d in (50, 65, 90)}
    dead = {f"biases of {b}": (lambda seed, b=b: biased(drawn(stack(6)), b)) for b in (-2.0, -3.0, -5.0)}
    rank = {f"weights of rank {r}": (lambda seed, r=r: low_rank(drawn(stack(10)), r)) for r in (4, 2, 1)}
    return [
        *well(family, on, healthy),
        *ill(family, on, "vanishing_signal", small, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, on, "exploding_signal", large, near=("exploding_gradient",), fix="initialise"),
        *ill(family, on, "vanishing_gradient", default, near=("vanishing_signal", *COLLAPSE), fix="initialise_orthogonal"),
        *ill(family, on, "rank_collapse", deep, near=("correlation_collapse",), fix="add_residual"),
        *ill(family, on, "dead_units", dead, fix="initialise"),
        *ill(family, on, "rank_collapse", rank, near=("correlation_collapse",), fix="initialise"),
    ]


def around() -> list[Entry]:
    """Return small ReLU stacks whose fault is around them: in the output, the loss, the gradient or the optimizer."""
    family, on = "ReLU perceptron, wired wrong", "digits"
    loud = {f"readout times {f}": (lambda seed, f=f: loud_readout(drawn(stack(6)), f)) for f in (300, 3e3, 1e5)}
    soft = {f"softmax over {d} layers": (lambda seed, d=d: Softmaxed(drawn(stack(d)))) for d in (2, 5, 12)}
    logs = {f"logarithm of 0, {d} layers": (lambda seed, d=d: Logged(drawn(stack(d)))) for d in (2, 5, 12)}
    over = {f"weights times {f:g}": (lambda seed, f=f: scaled(drawn(stack(6)), f)) for f in (1e8, 1e12, 1e30)}
    cut = {f"detached after {d} layers": (lambda seed, d=d: Cut(drawn(_trunk(d)))) for d in (3, 12, 30)}
    still = {f"{k} of 16 layers may move": (lambda seed, k=k: frozen(drawn(stack(15)), k)) for k in (4, 2, 1)}
    spare = {f"{n} layers never called": (lambda seed, n=n: WithSpare(drawn(stack(4)), n)) for n in (1, 3, 9)}
    many = {f"gradient times 100 in each of {d} layers":
            (lambda seed, d=d: with_multiplied_gradient(drawn(stack(d)), 100.0)) for d in (4, 10, 25)}  # fmt: skip
    rows = [
        *ill(family, on, "initial_loss", loud, fix="shrink_readout"),
        *ill(family, on, "softmax_before_loss", soft, near=("initial_loss",)),
        *ill(family, on, "non_finite", logs),
        *ill(family, on, "non_finite", over, near=("exploding_signal", "initial_loss"), fix="initialise"),
        *ill(family, on, "unused_parameters", cut, near=("frozen_parameters",)),
        *ill(family, on, "frozen_parameters", still),
        *ill(family, on, "unused_parameters", spare),
        *ill(family, on, "exploding_gradient", many, near=("non_finite",)),
    ]
    for strength, rate in enumerate((3e-6, 3e-7, 1e-8), start=1):
        rows += _with_optimizer(family, f"Adam at {rate:g}", adam(rate), strength)
    for strength, rate in enumerate((0.3, 3.0, 100.0), start=1):
        rows += _with_optimizer(family, f"Adam at {rate:g}", adam(rate), strength)
    healthy = {f"Adam at {r:g}": adam(r) for r in (3e-4, 1e-3, 3e-3)} | {f"SGD at {r:g}": sgd(r) for r in (0.1, 0.3)}
    return rows + [row for name, optimizer in healthy.items() for row in _with_optimizer(family, name, optimizer, 0)]


def _with_optimizer(family: str, name: str, optimizer: MakeOptimizer, strength: int) -> list[Entry]:
    (row,) = well(family, "digits", {name: lambda seed: drawn(stack(5))})
    fault = "update_size" if strength else None
    return [replace(row, optimizer=optimizer, fault=fault, strength=strength, fix="change_rate" if fault else None)]


def _trunk(depth: int) -> nn.Sequential:
    return nn.Sequential(*list(stack(depth + 1))[:-2])


def tanh() -> list[Entry]:
    """Return tanh layers: at the edge of chaos, ordered, chaotic, saturated."""
    family, on = "tanh perceptron", "digits"

    def mlp(seed: int, **spec: object) -> nn.Module:
        return build(Mlp(activation="tanh", **spec), seed=seed)

    healthy = {f"orthogonal, {d} layers": (lambda seed, d=d: mlp(seed, depth=d, init="orthogonal")) for d in (3, 8, 20, 35)}
    healthy |= {f"gain {g}, {d} layers": (lambda seed, g=g, d=d: mlp(seed, depth=d, init="lecun", gain=g))
                for d, g in ((2, 1.0), (4, 1.2), (6, 1.0), (8, 1.4), (12, 1.1), (20, 1.1))}  # fmt: skip
    healthy |= {f"torch's start, {d} layers": (lambda seed, d=d: mlp(seed, depth=d, init="pytorch")) for d in (2, 4, 7)}
    healthy |= {f"Xavier, {d} layers": (lambda seed, d=d: mlp(seed, depth=d, init="xavier")) for d in (3, 9)}
    start = {f"torch's start, {d} layers": (lambda seed, d=d: mlp(seed, depth=d, init="pytorch")) for d in (18, 28, 45)}
    chaos = {f"gain {g}, 50 layers": (lambda seed, g=g: mlp(seed, depth=50, init="lecun", gain=g)) for g in (1.7, 2.2, 3.0)}
    flat = {f"gain {g}, 5 layers": (lambda seed, g=g: mlp(seed, depth=5, init="lecun", gain=g)) for g in (7.0, 12.0, 30.0)}
    order = {f"gain 1, {d} layers": (lambda seed, d=d: mlp(seed, depth=d, init="lecun")) for d in (50, 70, 100)}
    fix = "initialise_orthogonal"
    return [
        *well(family, on, healthy),
        *ill(family, on, "vanishing_gradient", start, near=("vanishing_signal", *COLLAPSE), fix=fix),
        *ill(family, on, "exploding_gradient", chaos, near=("saturation",), fix=fix),
        *ill(family, on, "saturation", flat, near=("exploding_gradient",), fix="initialise"),
        *ill(family, on, "rank_collapse", order, near=("correlation_collapse",), fix=fix),
    ]


def gelu() -> list[Entry]:
    """Return GELU layers, and torch's start of them at depth."""
    family, on = "GELU perceptron", "digits"
    healthy = {f"He, {d} layers": (lambda seed, d=d: drawn(stack(d, "gelu"))) for d in (1, 3, 5, 9)}
    healthy |= {f"torch's start, {d} layers": (lambda seed, d=d: stack(d, "gelu")) for d in (2, 4)}
    healthy |= {f"LayerNorm, {d} layers": (lambda seed, d=d: drawn(stack(d, "gelu", norm="layer"))) for d in (3, 8, 14)}
    start = {f"torch's start, {d} layers": (lambda seed, d=d: stack(d, "gelu")) for d in (14, 22, 40)}
    small = {f"gain {g}, 10 layers": (lambda seed, g=g: drawn(stack(10, "gelu"), g)) for g in (0.7, 0.4, 0.1)}
    normed = {f"LayerNorm, {d} layers": (lambda seed, d=d: drawn(stack(d, "gelu", norm="layer"))) for d in (45, 60, 80)}
    return [
        *well(family, on, healthy),
        *ill(family, on, "vanishing_gradient", start, near=("vanishing_signal", *COLLAPSE), fix="initialise_by_measurement"),
        *ill(family, on, "vanishing_signal", small, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, on, "correlation_collapse", normed, near=("rank_collapse",), fix="add_residual"),
    ]


def batch_normed() -> list[Entry]:
    """Return plain layers with batch norm, which explode backward at depth."""
    family, on = "perceptron with batch norm", "digits"
    healthy = {f"{a}, {d} layers": (lambda seed, a=a, d=d: drawn(stack(d, a, norm="batch")))
               for a, d in (("relu", 2), ("relu", 5), ("relu", 9), ("tanh", 3), ("tanh", 10))}  # fmt: skip
    deep = {f"relu, {d} layers": (lambda seed, d=d: drawn(stack(d, norm="batch"))) for d in (30, 50, 80)}
    return [
        *well(family, on, healthy),
        *ill(family, on, "batchnorm_explosion", deep, near=("exploding_gradient",), fix="add_residual"),
    ]
