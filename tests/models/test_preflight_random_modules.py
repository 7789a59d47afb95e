"""Random modules in random numbers: preflight answers, leaves them as they were, and never calls a NaN healthy."""

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fathometer import preflight
from fathometer.diagnosis import Preflight

# A user's full backward hook on a layer whose input takes no gradient warns, in any backward pass; so be it.
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
DTYPES = (torch.float32, torch.bfloat16, torch.float64)
ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU, nn.Sigmoid)
KINDS = ("rows", "tokens", "pictures", "dictionary")
VERDICTS = ("healthy", "unknown", "at risk", "will not train")
CLASSES, WORDS = 3, 11


class Block(nn.Module):
    """Layers with a norm before or behind them, dropout, and a way past them or none."""

    def __init__(self, width: int, random: Random, norms: tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        inner = random.choice((1, width, 2 * width + 1))
        self.layers = nn.Sequential(nn.Linear(width, inner), random.choice(ACTIVATIONS)(), nn.Linear(inner, width))
        self.norm, self.drop = random.choice(norms)(width), nn.Dropout(random.choice((0.0, 0.2)))
        self.place, self.scale = random.choice(("none", "before", "behind")), random.choice((0.0, 1e-5, 1.0, 10.0))

    def forward(self, x: Tensor) -> Tensor:
        if self.place == "none":
            return self.norm(self.layers(x))
        if self.place == "before":
            return x + self.scale * self.drop(self.layers(self.norm(x)))
        return self.norm(x + self.scale * self.drop(self.layers(x)))


class Convolution(nn.Module):
    """A convolution with a norm over the batch or none, and a way past it or none."""

    def __init__(self, width: int, random: Random, norms: tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, random.choice((1, 3)), padding="same"),
            random.choice((nn.BatchNorm2d, nn.Identity))(width),
            random.choice(ACTIVATIONS)(),
        )
        self.has_stream = random.random() < 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.has_stream else self.layers(x)


class Network(nn.Module):
    """A stem for its kind of input, blocks, and a readout; what it plants in its output is added there."""

    def __init__(self, kind: str, seed: int, planted: float = 0.0) -> None:
        super().__init__()
        random = Random(seed)
        self.kind, self.planted, width = kind, planted, random.choice((1, 4, 7))
        norms = (nn.LayerNorm, nn.RMSNorm, nn.Identity, *((nn.BatchNorm1d,) if kind in ("rows", "dictionary") else ()))
        make = Convolution if kind == "pictures" else Block
        stems = {"tokens": lambda: nn.Embedding(WORDS, width), "pictures": lambda: nn.Conv2d(2, width, 3, padding=1)}
        self.stem = stems.get(kind, lambda: nn.Linear(5, width))()
        self.blocks = nn.ModuleList(make(width, random, norms) for _ in range(random.randint(0, 5)))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor | None = None, *, features: Tensor | None = None) -> Tensor:
        x = self.stem(features if x is None else x)
        for block in self.blocks:
            x = block(x)
        x = self.head(x.mean((2, 3)) if self.kind == "pictures" else x)
        return x + self.planted if self.planted else x  # a number that is not finite is true as well


@dataclass(frozen=True)
class Made:
    """A random network with a batch for it."""

    model: nn.Module
    batch: Any


def made(kind: str, seed: int, dtype: torch.dtype, planted: float = 0.0) -> Made:
    """Return a network and its batch; modes, gradients and frozen parts are mixed by the seed."""
    torch.manual_seed(seed)
    random = Random(seed)
    model, samples = Network(kind, seed, planted).to(dtype), random.choice((2, 3, 9, 16))
    shape = {"pictures": (2, random.choice((1, 5)), random.choice((3, 8))), "tokens": (random.choice((1, 6)),)}.get(kind, (5,))
    x = torch.randint(0, WORDS, (samples, *shape)) if kind == "tokens" else torch.randn(samples, *shape).to(dtype)
    targets = torch.randint(0, CLASSES, x.shape if kind == "tokens" else (samples,))
    model.train(random.random() < 0.7)
    for parameter in model.parameters():
        if random.random() < 0.3:
            parameter.grad = torch.randn_like(parameter)
        elif random.random() < 0.1 and parameter is not model.head.weight:
            parameter.requires_grad_(False)
    model.head.register_forward_hook(lambda module, args, output: None)
    return Made(model, {"features": x, "labels": targets} if kind == "dictionary" else (x, targets))


def look(case: Made) -> Preflight:
    """Return the preflight; a dictionary's labels are its loss's."""
    if isinstance(case.batch, dict):
        features, labels = case.batch["features"], case.batch["labels"]
        return preflight(case.model, ({"features": features}, labels))
    return preflight(case.model, case.batch)


def portrait(model: nn.Module) -> dict[str, object]:
    """Return all that a look could change: parameters, buffers, gradients, modes, hooks, and torch's generator."""
    told: dict[str, object] = {"generator": torch.get_rng_state().tolist(), "grad mode": torch.is_grad_enabled()}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        told[name] = (id(tensor), tensor.data_ptr(), tensor.requires_grad, _bits(tensor), _bits(tensor.grad))
    for name, module in model.named_modules():
        told[f"{name} mode"] = module.training
        told[f"{name} hooks"] = [len(getattr(module, hooks)) for hooks in vars(module) if hooks.endswith("_hooks")]
    return told


def _bits(tensor: Tensor | None) -> bytes | None:
    return None if tensor is None else tensor.detach().clone().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


CASES = (st.sampled_from(KINDS), st.integers(0, 2**32), st.sampled_from(DTYPES))


@given(*CASES)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_module_gets_an_answer_and_is_as_it_was(kind: str, seed: int, dtype: torch.dtype) -> None:
    """Nothing is raised, the verdict is one of four, and no bit of the module differs."""
    case = made(kind, seed, dtype)
    before = portrait(case.model)
    check = look(case)

    assert check.verdict in VERDICTS
    assert check.sentence
    assert portrait(case.model) == before


@given(*CASES, st.sampled_from((float("nan"), float("inf"))))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_an_output_that_is_not_a_number_is_never_healthy(kind: str, seed: int, dtype: torch.dtype, planted: float) -> None:
    """A planted NaN or infinity is a network that will not train, by its own name, and the module is as it was."""
    case = made(kind, seed, dtype, planted)
    before = portrait(case.model)
    check = look(case)

    assert (check.verdict, check.findings[0].cause) == ("will not train", "non_finite")
    assert portrait(case.model) == before


def test_the_portrait_sees_a_plain_step() -> None:
    """The control: a training step without preflight's care does change parameters and gradients."""
    case = made("rows", 0, torch.float32)
    before = portrait(case.model)
    case.model(case.batch[0]).sum().backward()
    case.model.head.weight.data.add_(1)

    assert before != portrait(case.model)


@pytest.mark.slow
@given(*CASES, st.booleans())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_thorough_look_answers_too(kind: str, seed: int, dtype: torch.dtype, thorough: bool) -> None:
    """With an optimizer, and with or without a thorough look, nothing is raised and nothing changes."""
    case = made(kind, seed, dtype)
    before = portrait(case.model)
    batch = ({"features": case.batch["features"]}, case.batch["labels"]) if isinstance(case.batch, dict) else case.batch
    optimizer = torch.optim.Adam([parameter for parameter in case.model.parameters() if parameter.requires_grad])

    assert preflight(case.model, batch, optimizer=optimizer, thorough=thorough).verdict in VERDICTS
    assert portrait(case.model) == before
