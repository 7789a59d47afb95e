"""μP: learning rates that stay right while the width grows."""

from fathometer.parametrizations.roles import BLOCK_ROLES, Scale, Tensor


def mup(tensor: Tensor) -> Scale:
    """Return the maximal-update parametrization for Adam, m = `width_ratio`.

    Matrices inside blocks: variance σ²/m, learning rate η/m, weight decay λ·m. The readout keeps σ² and η, and its output
    is divided by m. Embedding, stem and vectors keep all. Inside blocks Adam's ε is divided by m. At m = 1 it is the
    standard parametrization. Yang et al. 2022, "Tensor Programs V"; Dey et al. 2025, table 1.
    """
    ratio, std = tensor.width_ratio, base_std(tensor)
    if tensor.role in BLOCK_ROLES:
        return Scale(
            std * ratio**-0.5,
            learning_rate_multiplier=1 / ratio,
            weight_decay_multiplier=ratio,
            epsilon_multiplier=1 / ratio,
        )
    if tensor.role == "output":
        return Scale(std, multiplier=1 / ratio)
    return Scale(std, epsilon_multiplier=1 / ratio if tensor.role in ("bias", "norm_gain") else 1.0)


def base_std(tensor: Tensor) -> float:
    """Return σ, the std of the standard parametrization at the base width: `base_std`, or He's gain/√fan_in there."""
    if tensor.base_std is not None:
        return tensor.base_std
    grows = tensor.role not in ("input", "embedding")  # their fan_in is the data's, not the network's width
    return tensor.activation_gain * (tensor.fan_in / (tensor.width_ratio if grows else 1.0)) ** -0.5
