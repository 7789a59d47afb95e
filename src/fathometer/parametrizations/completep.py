"""Depth-μP and CompleteP: rates that stay right while depth grows too."""

from dataclasses import replace

from fathometer.parametrizations.mup import mup
from fathometer.parametrizations.roles import BLOCK_ROLES, Scale, Tensor


def depth_mup(tensor: Tensor) -> Scale:
    """Return μP with branches × m_L^-½ and learning rates × m_L^-½. Yang et al. 2023, "Tensor Programs VI"."""
    return _with_depth(tensor, 0.5)


def completep(tensor: Tensor) -> Scale:
    """Return μP with branches × 1/m_L and learning rates as they were: every layer learns in full at any depth.

    Dey et al. 2025, "Don't be lazy: CompleteP enables compute-efficient deep transformers".
    """
    return _with_depth(tensor, 1.0)


def _with_depth(tensor: Tensor, exponent: float) -> Scale:
    # α = exponent, m_L = depth_ratio: learning rate × m_L^(α-1) and Adam's ε × m_L^-α for all that is inside a block.
    scale = mup(tensor)
    if tensor.role not in (*BLOCK_ROLES, "bias", "norm_gain"):
        return scale
    return replace(
        scale,
        learning_rate_multiplier=scale.learning_rate_multiplier * tensor.depth_ratio ** (exponent - 1),
        epsilon_multiplier=scale.epsilon_multiplier * tensor.depth_ratio**-exponent,
    )
