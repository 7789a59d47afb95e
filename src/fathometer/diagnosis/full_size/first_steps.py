"""The first steps of training at full size, weights never made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.admission import run_or_explain
from fathometer.diagnosis.case import Case, make_case
from fathometer.diagnosis.full_size.answer import TOKENS, Method, device_of, shape_of
from fathometer.diagnosis.full_size.examine import columns_of, points_of, single_blocks
from fathometer.diagnosis.full_size.unmade import unmade_network
from fathometer.diagnosis.own_batch import own_data
from fathometer.errors import SpecError
from fathometer.implicit import SMALLEST, Learned, Rule, implicit_weights, replay, session_of
from fathometer.instruments import DepthPoints, sound
from fathometer.networks import Network, scales
from fathometer.parametrizations import Scale
from fathometer.spec import Mlp, Spec, Transformer, preset


@dataclass(frozen=True)
class FirstSteps:
    """The losses before each step and after the last, the profile at each of these moments, and the mean size of the last stream.

    `sizes` are mean absolute values of what leaves the last block, as a coordinate check reads them (Yang et al. 2022, D.1).
    """

    losses: tuple[float, ...]
    profiles: tuple[DepthProfile, ...]
    sizes: tuple[float, ...]


def first_steps(
    target: Spec | str,
    rule: Rule,
    *,
    steps: int = 10,
    tokens: int = TOKENS,
    method: Method = "sampled",
    seed: int = 0,
    smallest: int = SMALLEST,
    batches: Sequence[Any] | None = None,
) -> FirstSteps:
    """Train a network of any size for a few steps, and return what its loss and profile become.

    Gradients of so few tokens are products of low rank. With SGD nothing of the size of a weight is ever there; each question is
    kept with its answer, so memory grows by what enters and leaves all matrices in each step. With Adam the update is made some
    rows at a time, 2 · tokens · parameters operations for each step so far and each product. All else is as in `preflight`;
    `batches` on a GPU have it all done there.
    """
    spec = preset(target) if isinstance(target, str) else target
    if not isinstance(spec, Mlp | Transformer):
        raise SpecError(
            f"A {type(spec).__name__} is asked for", "Perceptrons and transformers are sampled", "Use fathometer.train"
        )
    batches = _own(spec, tokens, seed) if batches is None else batches
    model = unmade_network(spec, seed=seed, smallest=smallest, device=device_of(batches[0]))
    model.requires_grad_(True)
    session = session_of(model)
    assert session is not None
    session.remembers, session.is_streamed = method == "sampled", method == "streamed"
    points = _prepared(model, make_case(model, batches[0], None, seed))
    own, moments, seen = scales(model), dict[str, list[Tensor]](), []
    for weight_name, weight in implicit_weights(model).items():
        scale = own[weight_name]
        shape = (weight.matrix.rows, weight.matrix.columns)
        weight.matrix.learned = Learned(rule, shape, scale.learning_rate_multiplier, scale.epsilon_multiplier)
    for step in range(steps + 1):
        session.step = step
        seen.append(_step(model, make_case(model, batches[step % len(batches)], None, seed), points, rule, own, moments))
    losses, profiles, sizes = zip(*seen, strict=True)
    return FirstSteps(losses, profiles, sizes)


def _prepared(model: Network, case: Case) -> DepthPoints:
    points, _ = points_of(case, None)
    for weight in implicit_weights(model).values():
        for matrix in weight.matrices:
            matrix.remembers = False  # the whole session does
    replay(model, single_blocks(points))
    return points


def _step(
    model: Network, case: Case, points: DepthPoints, rule: Rule, scale_of: dict[str, Scale], moments: dict[str, list[Tensor]]
) -> tuple[float, DepthProfile, float]:
    last = list[float]()
    block = model.get_submodule(points.points[-1].leave)
    handle = block.register_forward_hook(lambda module, args, output: last.append(float(output.detach().abs().mean())))
    try:
        sounding = sound(model, lambda: run_or_explain(case), case.loss_of, points, num_samples=case.num_samples)
    finally:
        handle.remove()
    values = columns_of(model, points, sounding)
    names = tuple(point.name for point in points.points)
    profile = DepthProfile("measured", names, {key: tuple(column) for key, column in values.items()})
    assert sounding.loss is not None
    for weight in implicit_weights(model).values():
        learned, tally = weight.matrix.learned, weight.matrix.tally
        assert learned is not None
        learned.add(tally.pairs, sounding.scale)
    _move_made(model, sounding.parameter_gradients, sounding.scale, rule, scale_of, moments)
    return float(sounding.loss.detach()), profile, last[0]


@torch.no_grad()
def _move_made(
    model: nn.Module,
    gradients: dict[str, Tensor | None],
    unit: float,
    rule: Rule,
    scale_of: dict[str, Scale],
    moments: dict[str, list[Tensor]],
) -> None:
    """Take the step of what is made: vectors, and small matrices."""
    weights = implicit_weights(model)
    for name, parameter in model.named_parameters():
        gradient = gradients.get(name)
        if name in weights or gradient is None:
            continue
        scale, gradient = scale_of[name], gradient / unit
        kept = moments.setdefault(name, [torch.zeros_like(parameter), torch.zeros_like(parameter), torch.zeros(())])
        kept[2] += 1
        own = replace(rule, rate=rule.rate * scale.learning_rate_multiplier, epsilon=rule.epsilon * scale.epsilon_multiplier)
        parameter.data.sub_(_update(gradient, kept, own))


def _update(gradient: Tensor, kept: list[Tensor], rule: Rule) -> Tensor:
    mean, square, step = kept
    if rule.kind == "sgd":
        mean.mul_(rule.momentum).add_(gradient)
        return rule.rate * mean
    (first, second), count = rule.betas, float(step)
    mean.lerp_(gradient, 1 - first)
    square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
    return rule.rate * (mean / (1 - first**count)) / ((square / (1 - second**count)).sqrt() + rule.epsilon)


def _own(spec: Spec, tokens: int, seed: int) -> list[Any]:
    samples, time = (tokens, None) if isinstance(spec, Mlp) else shape_of(tokens)
    return [
        tuple(part[:samples, :time].contiguous() if part.ndim > 1 else part[:samples] for part in pair)
        for pair in own_data(spec, seed)
    ]
