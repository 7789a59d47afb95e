"""The forecast of a spec: its columns, its bands, where it stops, and its slow twin."""

from dataclasses import replace
from math import inf, sqrt

import numpy as np
import pytest

from fathometer.activations import ACTIVATIONS, find_activation
from fathometer.depth_profile import DepthProfile
from fathometer.errors import SpecError
from fathometer.spec import PRESETS, RESIDUAL_KINDS, Mlp
from fathometer.theory import forecast, forecast_stack
from fathometer.theory.gaussian import expectation, pair_expectation


def slow_plain(spec: Mlp, correlation: float) -> dict[str, list[float]]:
    """Follow a plain network layer by layer, with nothing but the quadrature."""
    phi, length, cosine = spec.phi, 1.0, correlation
    signals, cosines, slopes = [], [], []
    for index in range(spec.depth):
        fan_in = spec.inputs if index == 0 else spec.width
        scale = spec.scale("input" if index == 0 else "hidden", fan_in, spec.width)
        weight, bias = fan_in * scale.weight_std**2, scale.bias_std**2
        q = weight * length + bias
        c = (weight * length * cosine + bias) / q
        length = float(expectation(lambda u: phi.function(u) ** 2, q))
        cosine = float(pair_expectation(phi.function, q, c)) / length
        signals.append(length)
        cosines.append(cosine)
        slopes.append(weight * float(expectation(lambda u: phi.slope(u) ** 2, q)))
    gradients = [float(np.prod(slopes[index + 1 :])) for index in range(spec.depth)]
    return {"signal": signals, "correlation": cosines, "gradient": gradients}


@pytest.mark.parametrize("init", ["pytorch", "xavier", "he", "orthogonal"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "gelu", "sigmoid"])
def test_forecast_of_a_plain_network_equals_the_slow_twin(activation: str, init: str) -> None:
    """Signal, correlation and gradient equal those of a layer-by-layer loop over plain quadrature."""
    spec = Mlp(depth=6, width=50, inputs=80, activation=activation, init=init, gain=1.2)
    fast, slow = forecast(spec, correlation=0.3), slow_plain(spec, 0.3)

    for name, series in slow.items():
        assert fast.values[name] == pytest.approx(series, rel=1e-9)  # rounding over six layers


@pytest.mark.parametrize("residual", RESIDUAL_KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_kind_has_a_forecast(residual: str, activation: str) -> None:
    """Each residual kind with each activation gives finite numbers for every block, inside their bands."""
    profile = forecast(Mlp(depth=4, residual=residual, activation=activation))

    assert (profile.source, profile.points) == ("forecast", ("blocks.0", "blocks.1", "blocks.2", "blocks.3"))
    assert profile.facts["stops"] is None
    assert {"signal", "correlation", "gradient"} <= set(profile.values)
    assert ("branch_ratio" in profile.values) == (residual != "none")
    assert ("saturated" in profile.values) == find_activation(activation).saturates
    for series in profile.values.values():
        assert np.all(np.isfinite(series))
    for name in ("signal", "gradient"):
        assert np.all(np.less_equal(profile.low[name], profile.values[name]))
        assert np.all(np.less_equal(profile.values[name], profile.high[name]))


@pytest.mark.parametrize("gain", [0.0, 1e-6, 1e6])
@pytest.mark.parametrize("init", ["he", "orthogonal", "fixup"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid"])
def test_extreme_networks_get_numbers_and_no_warning(activation: str, init: str, gain: float) -> None:
    """Weights of zero, and signals that leave every floating-point range, still give a forecast."""
    for residual in ("none", "plain", "post-norm"):
        profile = forecast(Mlp(depth=150, residual=residual, activation=activation, init=init, gain=gain))
        assert not np.any(np.isnan(profile.values["signal"]))
        assert not np.any(np.isnan(profile.values["gradient"]))


def test_rezero_and_fixup_start_as_the_identity() -> None:
    """A branch of zeros leaves signal, correlation and gradient as they are; a small one does not."""
    for start in ({"residual": "rezero"}, {"residual": "plain", "init": "fixup", "branch_layers": 2}):
        profile = forecast(Mlp(depth=50, **start), correlation=0.2)
        for name, expected in (("signal", 1.0), ("correlation", 0.2), ("gradient", 1.0), ("branch_ratio", 0.0)):
            assert profile.values[name] == pytest.approx([expected] * 50, abs=1e-12)
    small = forecast(Mlp(depth=50, residual="plain", branch_scale=0.1))
    assert small.values["signal"][-1] == pytest.approx(1.01**50)


def test_the_input_decides_where_a_forecast_starts() -> None:
    """He keeps twice half of any signal; an input correlation of 1 stays 1."""
    profile = forecast(Mlp(depth=3), signal=0.25, correlation=1.0)

    assert profile.values["signal"] == pytest.approx([0.25] * 3)
    assert profile.values["correlation"] == pytest.approx([1.0] * 3)


def test_bands_narrow_like_one_over_root_width() -> None:
    """Four times the width gives a band of half the size in log; orthogonal weights a narrower one still."""

    def band(spec: Mlp) -> float:
        profile = forecast(spec)
        return np.log(profile.high["signal"][-1] / profile.low["signal"][-1])

    narrow, wide = Mlp(depth=10, width=100, inputs=100), Mlp(depth=10, width=400, inputs=400)

    assert band(narrow) == pytest.approx(2 * band(wide))
    assert band(narrow) == pytest.approx(2 * 1.96 * sqrt(5 * 10 / 100))  # 5/n in each ReLU layer (Hanin & Nica 2020)
    assert band(replace(narrow, init="orthogonal")) == pytest.approx(sqrt(3 / 5) * band(narrow))


def test_a_forecast_says_where_theory_stops() -> None:
    """Depth over width of one, and BatchNorm, are named; a wide network and LayerNorm are not."""
    assert "depth over width" in str(forecast(Mlp(depth=64, width=64)).facts["stops"])
    assert "BatchNorm" in str(forecast(Mlp(norm="batch")).facts["stops"])
    assert forecast(Mlp(depth=64, width=6400)).facts["stops"] is None
    assert forecast(Mlp(norm="layer")).facts["stops"] is None


def test_saturation_follows_the_length() -> None:
    """Tanh units saturate at a gain of 5 and hardly at 1."""
    shares = [forecast(Mlp(activation="tanh", init="lecun", gain=gain)).values["saturated"][-1] for gain in (1.0, 5.0)]

    assert shares[0] == pytest.approx(0.0, abs=1e-3)
    assert shares[1] == pytest.approx(0.5, abs=0.05)  # P(|u| > 2.99) at q ≈ 21


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_forecast(name: str) -> None:
    """Each reference network gets a forecast that survives a dictionary."""
    profile = forecast(PRESETS[name].spec)

    assert DepthProfile.from_dict(profile.to_dict()) == profile


def test_a_stack_equals_the_spec_it_came_from() -> None:
    """`forecast_stack` with a spec's variances and widths is that spec's forecast, bands and all."""
    spec = Mlp(depth=5, width=40, inputs=80, activation="tanh", init="pytorch")
    fan_ins = [80, 40, 40, 40, 40]
    variances = [1 / 3] * 5, [1 / (3 * fan_in) for fan_in in fan_ins]
    stack = forecast_stack("tanh", *variances, correlation=0.1, widths=[*fan_ins, 40], points=forecast(spec).points)
    whole = forecast(spec, correlation=0.1)

    for table in ("values", "low", "high"):
        for name, series in getattr(whole, table).items():
            assert getattr(stack, table)[name] == pytest.approx(series)


def test_a_stack_without_widths_is_infinite_and_uneven_widths_change_the_gradient() -> None:
    """Without widths the bands are closed; a layer that widens gathers more gradient for each unit in front of it."""
    infinite = forecast_stack("relu", [2.0] * 3, [0.0] * 3)
    widening = forecast_stack("relu", [2.0] * 3, [0.0] * 3, widths=[10, 100, 200, 200])

    assert infinite.low["signal"] == infinite.values["signal"] == infinite.high["signal"]
    assert infinite.values["gradient"] == pytest.approx((1.0, 1.0, 1.0))
    assert widening.values["gradient"] == pytest.approx((2.0, 1.0, 1.0))


@pytest.mark.parametrize("signal", [0.0, -1.0, inf])
def test_a_signal_must_be_a_positive_number(signal: float) -> None:
    """An input without a second moment has no forecast."""
    with pytest.raises(SpecError, match="above 0"):
        forecast(Mlp(), signal=signal)


def test_a_correlation_must_be_a_cosine() -> None:
    """No two inputs have a cosine of 1.5."""
    with pytest.raises(SpecError, match="-1 to 1"):
        forecast(Mlp(), correlation=1.5)


def test_variances_and_widths_must_fit() -> None:
    """A stack needs one bias variance for each weight variance, one width more, and at least one layer."""
    with pytest.raises(SpecError, match="`bias_variances`"):
        forecast_stack("relu", [2.0, 2.0], [0.0])
    with pytest.raises(SpecError, match="`widths`"):
        forecast_stack("relu", [2.0, 2.0], [0.0, 0.0], widths=[8, 8])
    with pytest.raises(SpecError, match="at least one layer"):
        forecast_stack("relu", [], [])
