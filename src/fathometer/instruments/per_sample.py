"""Can samples be told apart? The Gram matrix of their gradients."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from fathometer.contract import arguments_for, batch_size, call, map_tensors, output_tensor, take_samples
from fathometer.instruments.geometry import effective_rank, spread, stride
from fathometer.instruments.keep import seed_generators
from fathometer.instruments.quiet import WithoutDropout

NumberOf = Callable[[Any, Any], Tensor]
Gradients = dict[str, Tensor]
MAX_SAMPLES, MAX_LOOP_SAMPLES = 16, 8  # one by one each sample costs a backward pass
# Of all parameters, and of each: of larger ones every n-th entry stands for its neighbours.
MAX_ENTRIES, MIN_ENTRIES = 65_536, 256
MAX_AT_ONCE = 2**25  # gradient entries that are made at once: 128 MiB


@dataclass(frozen=True)
class GradientGram:
    """Inner products of the gradients of single samples, and what they say.

    `spread` is 1 minus the mean cosine between the gradients of two different samples, exact also when it is tiny: the
    scale of neither the loss nor a sample is in it. At 0 a step for one sample is the same step for all, and only what
    they have in common can be learnt. `effective_rank` counts the directions in which the gradients differ, None for
    fewer than eight samples. `smallest` is the smallest eigenvalue over the mean one, both of the matrix of cosines; its
    condition number is bad news at one end (Xiao et al. 2020, "Disentangling trainability and generalization"): tanh in
    its ordered phase. None where gradients are not finite or all zero. `is_coupled`: a sample's output depends on others
    in the batch, as with BatchNorm; `at_once`: made by `vmap`, not one by one.
    """

    gram: Float[Tensor, "sample sample"]
    spread: float | None
    effective_rank: float | None
    smallest: float | None
    is_coupled: bool
    at_once: bool

    @property
    def mean_cosine(self) -> float | None:
        """Return the mean cosine between the gradients of two different samples."""
        return None if self.spread is None else 1 - self.spread


def gradient_gram(
    model: nn.Module, batch: tuple[Any, Any], number_of: NumberOf | None = None, *, num_samples: int = MAX_SAMPLES, seed: int = 0
) -> GradientGram:
    """Return the Gram matrix of the gradients of one number per sample, over all parameters that take gradients.

    `number_of(output, targets)` makes a scalar of the output of one sample, a batch of one; None is the projection of
    the output on one random direction, the same for all samples: it knows neither targets nor the scale of a loss, and its Gram
    matrix is an entry of the neural tangent kernel. Samples are differentiated at once by `vmap` where the module allows
    it, else one by one; where samples are coupled, within the forward pass of the whole batch, at most eight of them.
    Dropout is off meanwhile. Beyond `MAX_ENTRIES` parameters every n-th entry stands for n. Nothing is written to `.grad`.
    """
    parameters: Gradients = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    number_of = number_of or projection(seed)
    few = take_samples(batch, slice(0, num_samples))
    if not parameters:
        return _told({}, batch_size(few[0]), coupled=False, at_once=False)
    with WithoutDropout(), torch.enable_grad():
        coupled = couples_samples(model, batch[0], seed)
        gradients = None if coupled else _at_once(model, parameters, few, number_of, seed)
        at_once = gradients is not None
        if gradients is None:
            few = take_samples(batch, slice(0, min(num_samples, MAX_LOOP_SAMPLES)))
            gradients = _one_by_one(model, parameters, batch if coupled else few, number_of, seed, batch_size(few[0]))
    return _told(gradients, batch_size(few[0]), coupled=coupled, at_once=at_once)


def projection(seed: int = 0) -> NumberOf:
    """Return the function that projects an output of one sample on a random direction, the same at every call."""

    def number_of(output: Any, targets: Any) -> Tensor:
        values = output_tensor(output)
        # Numpy's numbers: inside `vmap` torch would draw others for each sample.
        direction = np.random.default_rng(seed).standard_normal(values.shape)
        return (values * torch.from_numpy(direction).to(values)).sum()

    return number_of


def couples_samples(model: nn.Module, inputs: Any, seed: int = 0) -> bool:
    """Return whether the output for the first sample depends on the rest of its batch, on chance, or cannot be had alone."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training for module in model.modules()):
        return True
    if batch_size(inputs) < 2:
        return False
    try:
        alone, together = (_first_output(model, inputs, size, seed) for size in (1, 2))
    except Exception:  # a module may refuse a batch of one
        return True
    return alone.shape != together.shape or bool((alone - together).norm() > 1e-2 * together.norm())


@torch.no_grad()
def _first_output(model: nn.Module, inputs: Any, size: int, seed: int) -> Tensor:
    """Return the output for the first sample in a batch of so many."""
    seed_generators(seed)
    few, _ = take_samples((inputs, None), slice(0, size))
    return output_tensor(call(model, few))[:1].cpu().double()


def _at_once(model: nn.Module, parameters: Gradients, few: tuple[Any, Any], number_of: NumberOf, seed: int) -> Gradients | None:
    """Return rows of gradients, `(sample, entry)` for each parameter, by `vmap`; None for a module that it cannot take."""
    size, parts = batch_size(few[0]), list[Tensor]()

    def is_sampled(tensor: Tensor) -> bool:
        return tensor.ndim > 0 and tensor.shape[0] == size

    def keep(tensor: Tensor) -> Tensor:
        parts.extend([tensor] if is_sampled(tensor) else [])
        return tensor

    map_tensors(few, keep)  # in the order in which they are put back below

    def number(values: Gradients, *sample: Tensor) -> Tensor:
        rest = iter(sample)
        inputs, targets = map_tensors(few, lambda tensor: next(rest)[None] if is_sampled(tensor) else tensor)
        args, kwargs = arguments_for(model, inputs)
        return number_of(functional_call(model, values, args, kwargs), targets)

    def rows(*sample: Tensor) -> Gradients:
        return {name: _sampled(gradient, share) for name, gradient in grad(number)(values, *sample).items()}

    values, share = {name: parameter.detach() for name, parameter in parameters.items()}, _share(parameters)
    chunk = max(1, min(size, MAX_AT_ONCE // sum(parameter.numel() for parameter in parameters.values())))
    seed_generators(seed)
    try:
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):  # fused attention has no rule for samples at once
            warnings.simplefilter("error")  # it warns where it would run one by one after all, and slowly
            return vmap(rows, chunk_size=chunk, randomness="different")(*parts)
    except Exception:  # whatever a module does that `vmap` does not know: one by one is always right
        return None


def _one_by_one(
    model: nn.Module, parameters: Gradients, batch: tuple[Any, Any], number_of: NumberOf, seed: int, num_samples: int
) -> Gradients:
    """Return the same rows from one forward pass and one backward pass for each sample."""
    seed_generators(seed)
    output, size, share = call(model, batch[0]), batch_size(batch[0]), _share(parameters)
    found: dict[str, list[Tensor]] = {name: [] for name in parameters}
    for index in range(num_samples):
        mine = map_tensors(output, partial(_row, index=index, size=size))
        number = number_of(mine, take_samples(batch, slice(index, index + 1))[1])
        gradients = torch.autograd.grad(number, list(parameters.values()), retain_graph=True, allow_unused=True)
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            found[name].append(_sampled(torch.zeros_like(parameter) if gradient is None else gradient, share))
    return {name: torch.stack(rows) for name, rows in found.items()}


def _row(tensor: Tensor, *, index: int, size: int) -> Tensor:
    return tensor[index : index + 1] if tensor.ndim and tensor.shape[0] == size else tensor


def _share(parameters: Gradients) -> int:
    """Return how many entries of each parameter are looked at."""
    return max(MIN_ENTRIES, MAX_ENTRIES // max(len(parameters), 1))


def _sampled(gradient: Tensor, share: int) -> Tensor:
    """Return at most so many entries, scaled so that inner products keep their size on average."""
    step = stride(gradient.numel(), share)
    return gradient.reshape(-1) if step == 1 else gradient.reshape(-1)[::step] * step**0.5


def _told(gradients: Gradients, size: int, *, coupled: bool, at_once: bool) -> GradientGram:
    """Return the facts; numbers about cosines only where every sample has a finite gradient that is not 0."""
    parts = [rows.detach().reshape(size, -1).cpu().double() for rows in gradients.values()]
    rows = torch.cat(parts, dim=1) if parts else torch.zeros(size, 1, dtype=torch.float64, device="cpu")
    gram, lengths = rows @ rows.T, torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    if size < 2 or not bool(torch.isfinite(gram).all()) or not bool((lengths > 0).all()):
        return GradientGram(gram, None, None, None, coupled, at_once)
    unit = rows / lengths
    smallest = float(torch.linalg.eigvalsh(unit @ unit.T)[0])
    return GradientGram(gram, spread(unit), effective_rank(unit), max(smallest, 0.0), coupled, at_once)
