"""What theory expects of the network that was measured."""

from itertools import pairwise

from torch import Tensor, nn

from fathometer.activations import ACTIVATIONS, LEAKY_SLOPE
from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import Examination
from fathometer.spec import Mlp
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
    facts = examination.profile.facts
    signal, correlation = facts.get("input_signal"), facts.get("input_correlation")
    if not isinstance(signal, float) or signal <= 0:
        return None
    start = {"signal": signal, "correlation": correlation if isinstance(correlation, float) else 0.0}
    stack = _plain_stack(case.model, examination)
    if stack is not None:
        activation, layers = stack
        variances = [layer.in_features * _second_moment(layer.weight) for layer in layers]
        biases = [0.0 if layer.bias is None else _second_moment(layer.bias) for layer in layers]
        widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
        names = examination.profile.points
        return forecast_stack(activation, variances, biases, **start, widths=widths, points=names)
    spec = getattr(case.model, "spec", None)
    if isinstance(spec, Mlp) and spec.residual != "none" and _keeps_spread(spec, examination.profile):
        return forecast(spec, **start, num_inputs=case.num_samples)
    return None


def _plain_stack(model: nn.Module, examination: Examination) -> tuple[str, list[nn.Linear]] | None:
    """Return the activation and the layers of a stack h ← φ(W h + b) in which each block feeds the next, else None."""
    activations, layers = set[str](), list[nn.Linear]()
    for point in examination.points.points:
        inside = [m for member in point.members for m in model.get_submodule(member).modules() if not list(m.children())]
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
    own = type(module) in _MODULES
    return own and getattr(module, "negative_slope", LEAKY_SLOPE) == LEAKY_SLOPE and getattr(module, "alpha", 1.0) == 1.0


def _feeds_straight(examination: Examination) -> bool:
    """Return whether each block's output, untouched, is the next one's input: no sum, scale or reshaping between them."""
    points = examination.points.points
    return all((one.leave, two.enter) in examination.feeds for one, two in pairwise(points))


def _keeps_spread(spec: Mlp, profile: DepthProfile) -> bool:
    """Return whether the weights still have the spread that the spec gives them, within a fifth."""
    scales = [spec.scale("hidden", spec.width, spec.width)] * (spec.branch_layers - 1) + [
        spec.scale("branch_last", spec.width, spec.width)
    ]
    expected = (sum(scale.weight_std**2 for scale in scales) / len(scales)) ** 0.5
    measured = [value for _, value in profile.known("weight")]
    return bool(measured) and all(abs(value - expected) <= 0.2 * expected for value in measured)


def _second_moment(tensor: Tensor) -> float:
    return float(tensor.detach().double().square().mean())
