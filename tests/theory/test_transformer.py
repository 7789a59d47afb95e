"""The forecast of a transformer: its kinds, where it starts, where it stops, and how fast."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fathometer.errors import SpecError
from fathometer.spec import Transformer, preset
from fathometer.spec.transformer import TRANSFORMER_KINDS
from fathometer.theory import forecast

SMALL = Transformer(depth=4, width=128, vocabulary=500, context=32)


@pytest.mark.parametrize("init", ["gpt2", "pytorch", "orthogonal", "fixup", "completep"])
@pytest.mark.parametrize("kind", TRANSFORMER_KINDS)
def test_every_kind_has_a_forecast(kind: str, init: str) -> None:
    """Each residual kind with each of these starts gives finite numbers for every block, inside their bands."""
    profile = forecast(replace(SMALL, residual=kind, init=init))

    assert profile.points == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    assert set(profile.values) == {"signal", "correlation", "gradient", "branch_ratio"}
    for series in profile.values.values():
        assert np.all(np.isfinite(series))
    for name in ("signal", "gradient"):
        assert np.all(np.less_equal(profile.low[name], profile.values[name]))
        assert np.all(np.less_equal(profile.values[name], profile.high[name]))


def test_extreme_transformers_get_numbers_and_no_warning() -> None:
    """Signals that leave every floating-point range, one place, one unit and one word still give a forecast."""
    specs = [
        replace(SMALL, residual="plain", branch_scale=30.0, depth=50, init="lecun"),
        replace(SMALL, residual="plain", branch_scale=30.0, depth=50, activation="tanh", init="lecun"),
        Transformer(depth=1, width=1, vocabulary=1, context=1),
        replace(SMALL, branch_scale=0.0),
        replace(SMALL, init="fixup", residual="peri-norm", gated=True),
    ]
    for spec in specs:
        profile = forecast(spec)
        assert not any(np.isnan(series).any() for series in map(np.array, profile.values.values()))


def test_branches_of_nothing_are_the_identity() -> None:
    """ReZero leaves the stream of words and positions as it is; a plain branch does not."""
    profile, plain = forecast(replace(SMALL, residual="rezero")), forecast(replace(SMALL, residual="plain", init="lecun"))

    assert profile.values["signal"] == pytest.approx([2 * 0.02**2] * 4)  # a word and a position, std .02 each
    assert profile.values["correlation"] == pytest.approx([0.5] * 4, abs=0.01)  # all samples share the positions
    assert profile.values["gradient"] == pytest.approx([1.0] * 4)
    assert plain.values["signal"][-1] > 2 * plain.values["signal"][0]


def test_tokens_that_repeat_draw_samples_together() -> None:
    """`correlation` is how often two tokens are the same: without positions it is where the stream starts."""
    spec = replace(SMALL, residual="rezero", positions="none")

    assert forecast(spec).values["correlation"][0] == pytest.approx(1 / 500)
    assert forecast(spec, correlation=0.3).values["correlation"][0] == pytest.approx(0.3)


def test_longer_inputs_make_weaker_attention() -> None:
    """The mean over more places adds less; the whole context is the default."""
    lengths = [forecast(replace(SMALL, init="lecun"), num_tokens=number).values["signal"][0] for number in (1, 4, 32)]

    assert lengths[0] > lengths[1] > lengths[2]
    assert lengths[2] == forecast(replace(SMALL, init="lecun")).values["signal"][0]
    with pytest.raises(SpecError, match="`num_tokens`"):
        forecast(SMALL, num_tokens=0)


def test_depth_scaling_does_what_it_promises() -> None:
    """The pre-norm stream grows; with norms × 1/√l it grows far less, and with DeepNorm the gradient is even."""
    deep = replace(SMALL, depth=48, init="lecun")
    grown, scaled = (forecast(replace(deep, norm_scaling=flag)).values["signal"] for flag in (False, True))
    gradient = forecast(replace(deep, residual="deepnorm")).values["gradient"]

    assert grown[-1] / grown[0] > 5 * scaled[-1] / scaled[0]
    assert max(gradient) / min(gradient) < 1.2
    assert max(b / a for a, b in pairwise(scaled)) < 2


def test_a_forecast_says_where_theory_stops() -> None:
    """Attention that is sharp from the start, and dropout, are named; GPT-2 is neither."""
    assert forecast(preset("gpt2")).facts["stops"] is None
    assert "attention" in str(forecast(preset("gpt3-175b")).facts["stops"])  # std .02 is large for 12,288 units
    assert "dropout" in str(forecast(replace(SMALL, dropout=0.1)).facts["stops"])


def test_a_soft_cap_and_qk_norm_calm_attention() -> None:
    """GPT-3's logits are no longer sharp with either."""
    for calm in ({"qk_norm": True}, {"attention_softcap": 2.0}):
        assert forecast(replace(preset("gpt3-175b"), depth=2, **calm)).facts["stops"] is None
