"""The signal through depth, and the gradient coming back, in theory."""

from collections.abc import Callable
from typing import Any

from fathometer.depth_profile import DepthProfile
from fathometer.spec import Spec
from fathometer.spec.families import family_of
from fathometer.theory.convnet import forecast_convnet
from fathometer.theory.mlp import forecast_mlp
from fathometer.theory.profile import Start
from fathometer.theory.transformer import forecast_transformer

FORECASTS: dict[str, Callable[[Any, Start], DepthProfile]] = {
    "mlp": forecast_mlp,
    "convnet": forecast_convnet,
    "transformer": forecast_transformer,
}


def forecast(
    spec: Spec,
    *,
    signal: float = 1.0,
    correlation: float = 0.0,
    num_inputs: int | None = None,
    num_tokens: int | None = None,
) -> DepthProfile:
    """Return what theory expects of a network at its start, one point for each block.

    `signal` is the second moment of the inputs' entries, `correlation` the mean cosine of two inputs, `num_inputs` how
    many there are in a batch (it matters to BatchNorm alone; None: many). Of a transformer's tokens `correlation` is how
    often two are the same (one in the vocabulary at least), `num_tokens` how many each input has (None: its whole context),
    and `signal` says nothing. Columns: signal, correlation, gradient, for residual networks branch_ratio, for saturating
    activations saturated. The bands of signal and gradient hold 95% of networks of this width, seen by one sample (of a
    transformer's gradients nearer 90%). `facts["stops"]` says where theory does, None if nowhere. Second moments beyond
    1e±120 are reported as that.

    >>> from fathometer.spec import Mlp, preset
    >>> [round(cosine, 3) for cosine in forecast(Mlp(depth=3)).values["correlation"]]  # from orthogonal inputs
    [0.318, 0.494, 0.605]
    >>> len(forecast(preset("gpt3-175b")))
    96
    """
    return FORECASTS[family_of(spec)](spec, Start(float(signal), float(correlation), num_inputs, num_tokens))
