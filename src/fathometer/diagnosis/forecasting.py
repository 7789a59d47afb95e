"""What theory expects of the network that was measured."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from fathometer.activations import ACTIVATIONS, LEAKY_SLOPE
from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import Examination
from fathometer.networks import ConvNetwork, MlpNetwork, TransformerNetwork, scales
from fathometer.spec import Mlp, Spec
from fathometer.theory import forecast, forecast_stack

_MODULES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.ELU: "elu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.SELU: "selu",
}
_SILENT = (nn.Flatten, nn.Identity)


def forecast_for(case: Case, examination: Examination) -> DepthProfile | None:
    """Return the forecast for the weights as they are now, or None ("no forecast") where theory does not reach.

    A plain stack of linear layers and one activation, anybody's, is forecast from the variances of its weights and biases;
    a network built from a spec is forecast from that, as long as its weights still have the spec's spread.
    """
    start = _start(case, examination)
    stack = _plain_stack(case.model, examination)
    if stack is not None and start["signal"] > 0:
        activation, layers = stack
        variances = [layer.in_features * _second_moment(layer.weight) for layer in layers]
        biases = [0.0 if layer.bias is None else _second_moment(layer.bias) for layer in layers]
        widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
        names = examination.profile.points
        return forecast_stack(activation, variances, biases, **start, widths=widths, points=names)
    spec = getattr(case.model, "spec", None)
    plain = isinstance(spec, Mlp) and spec.residual == "none"
    if not isinstance(spec, Spec) or plain or not _is_as_asked(case.model, spec, examination):
        return None
    return forecast(spec, **start, num_inputs=case.num_samples, num_tokens=_num_tokens(case))


def _start(case: Case, examination: Examination) -> dict[str, float]:
    """Return second moment and correlation of what enters; of tokens, how often two in the same place are the same."""
    facts = examination.profile.facts
    signal, correlation = facts.get("input_signal"), facts.get("input_correlation")
    tokens = _tokens(case)
    if tokens is not None and tokens.shape[0] > 1:
        flat = tokens.reshape(tokens.shape[0], -1)
        same = (flat[:, None] == flat[None]).double().mean(dim=2)
        count = flat.shape[0]
        return {"signal": 1.0, "correlation": float((same.sum() - count) / (count * (count - 1)))}
    return {
        "signal": signal if isinstance(signal, float) else 0.0,
        "correlation": correlation if isinstance(correlation, float) else 0.0,
    }


def _tokens(case: Case) -> Tensor | None:
    whole = isinstance(case.inputs, Tensor) and not case.inputs.is_floating_point() and case.inputs.ndim == 2
    return case.inputs if whole else None


def _num_tokens(case: Case) -> int | None:
    tokens = _tokens(case)
    return None if tokens is None else tokens.shape[1]


def _plain_stack(model: nn.Module, examination: Examination) -> tuple[str, list[nn.Linear]] | None:
    """Return the activation and the layers of a stack h ← φ(W h + b) in which each block feeds the next, else None."""
    activations, layers = set[str](), list[nn.Linear]()
    for point in examination.points.points:
        inside = [m for member in point.modules for m in model.get_submodule(member).modules() if not list(m.children())]
        kinds = [module for module in inside if not isinstance(module, _SILENT)]
        if len(kinds) != 2 or type(kinds[0]) is not nn.Linear or not _is_usual(kinds[1]) or point.start:
            return None
        layers.append(kinds[0])
        activations.add(_MODULES[type(kinds[1])])
    fits = all(one.out_features == two.in_features for one, two in pairwise(layers))
    if len(activations) != 1 or not fits or not _feeds_straight(examination):
        return None
    return (activations & set(ACTIVATIONS)).pop(), layers


def _is_usual(module: nn.Module) -> bool:
    """Return whether this is an activation that theory knows, with torch's own slope and scale."""
    slope, alpha = getattr(module, "negative_slope", LEAKY_SLOPE), getattr(module, "alpha", 1.0)
    return type(module) in _MODULES and bool(slope == LEAKY_SLOPE) and bool(alpha == 1.0)


def _feeds_straight(examination: Examination) -> bool:
    """Return whether each block's output, untouched, is the next one's input: no sum, scale or reshaping between them."""
    points = examination.points.points
    return all((one.leave, two.enter) in examination.feeds for one, two in pairwise(points))


def _is_as_asked(model: nn.Module, spec: Spec, examination: Examination) -> bool:
    """Return whether this is the network of its spec, every weight matrix still with the spread that the spec gives it."""
    if len(examination.profile) != spec.num_blocks or not isinstance(model, MlpNetwork | ConvNetwork | TransformerNetwork):
        return False
    parameters = dict(model.named_parameters())
    expected = {name: scale.weight_std for name, scale in scales(model).items() if parameters[name].ndim > 1}
    return all(_has_spread(parameters[name], std) for name, std in expected.items())


def _has_spread(weight: Tensor, std: float) -> bool:
    """Return whether a matrix has this std within a tenth, or five standard errors of a small one."""
    slack = 0.1 + 5 * (2 * weight.numel()) ** -0.5
    size = float(torch.linalg.vector_norm(weight.detach())) / weight.numel() ** 0.5
    return abs(size - std) <= slack * std


def _second_moment(tensor: Tensor) -> float:
    return float(tensor.detach().double().square().mean())
