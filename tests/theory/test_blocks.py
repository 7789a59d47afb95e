"""Theory and the builder mean the same network, for every residual kind."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from fathometer.networks import build
from fathometer.networks.layers import EPSILON as NETWORK_EPSILON
from fathometer.networks.mlp import MlpNetwork
from fathometer.networks.residual import GATE_BIAS
from fathometer.spec import RESIDUAL_KINDS, Mlp
from fathometer.theory import forecast
from fathometer.theory.blocks import HIGHWAY_SHARE
from fathometer.theory.steps import EPSILON

SIZES = {"depth": 6, "width": 300, "inputs": 300}
SPECS = [Mlp(**SIZES, residual=kind, activation=phi) for kind in RESIDUAL_KINDS for phi in ("relu", "tanh")] + [
    Mlp(**SIZES, norm="batch"),
    Mlp(**SIZES, norm="rms", activation="gelu"),
    Mlp(**SIZES, residual="pre-norm", norm="batch"),
    Mlp(**SIZES, residual="peri-norm", branch_layers=2),
    Mlp(**SIZES, residual="deepnorm", norm="rms", branch_layers=2, init="orthogonal"),
    Mlp(**SIZES, residual="plain", branch_layers=3, init="fixup"),
    Mlp(**SIZES, residual="plain", activation="tanh", init="pytorch", branch_scale=0.5, bias_std=0.5),
]


def measure(spec: Mlp, num_inputs: int = 300) -> dict[str, np.ndarray]:
    """Return signal, correlation and gradient of one built network, for inputs of second moment 1."""
    generator = torch.Generator().manual_seed(7)  # not the network's seed: inputs must not be its weights
    blocks = blocks_of(build(spec, seed=1), torch.randn(num_inputs, spec.inputs, generator=generator))
    # Pulled back from the last block itself: a readout may start at zero.
    gradients = torch.autograd.grad(blocks[-1], blocks, torch.randn(blocks[-1].shape, generator=generator))
    moments = np.array([float(gradient.pow(2).mean()) for gradient in gradients])
    return {
        "signal": np.array([float(block.detach().pow(2).mean()) for block in blocks]),
        "correlation": np.array([mean_cosine(block.detach()) for block in blocks]),
        "gradient": moments / moments[-1],
    }


def blocks_of(model: MlpNetwork, inputs: torch.Tensor) -> list[torch.Tensor]:
    """Return what leaves each block."""
    signal, blocks = inputs if model.stem is None else model.stem(inputs), []
    for block in model.blocks:
        signal = block(signal)
        blocks.append(signal)
    return blocks


def mean_cosine(block: torch.Tensor) -> float:
    """Return the mean cosine of two different samples."""
    unit = torch.nn.functional.normalize(block, dim=1)
    return float((unit @ unit.T).sum() - len(unit)) / (len(unit) * (len(unit) - 1))


def spec_id(spec: Mlp) -> str:
    """Return the fields that tell the specs apart."""
    return f"{spec.residual}-{spec.norm}-{spec.activation}-{spec.init}-{spec.branch_layers}"


@pytest.mark.parametrize("spec", SPECS, ids=spec_id)
def test_a_built_network_does_as_forecast(spec: Mlp) -> None:
    """Signal, correlation and gradient of one network of width 300 are those of the forecast."""
    measured, profile = measure(spec), forecast(spec, num_inputs=300)

    # One network: for one sample of plain ReLU σ is √(5·6/300) = 32%; the mean over 300 samples scatters less.
    assert measured["signal"] == pytest.approx(np.array(profile.values["signal"]), rel=0.25)
    assert measured["gradient"] == pytest.approx(np.array(profile.values["gradient"]), rel=0.25)
    assert measured["correlation"] == pytest.approx(np.array(profile.values["correlation"]), abs=0.1)


def test_another_network_does_not_do_as_forecast() -> None:
    """A forecast for a tenth more gain is outside those tolerances after six layers."""
    measured = measure(Mlp(**SIZES))
    other = np.array(forecast(Mlp(**SIZES, gain=1.1)).values["signal"])

    assert measured["signal"][-1] != pytest.approx(other[-1], rel=0.25)


def test_theory_and_builder_share_their_constants() -> None:
    """The norms' ε and the highway's first gate are the same numbers on both sides."""
    assert EPSILON == NETWORK_EPSILON
    assert pytest.approx(float(expit(GATE_BIAS))) == HIGHWAY_SHARE
