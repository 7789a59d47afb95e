"""Which gain a network should start with, for the activation it has."""

from fathometer.activations import find_activation
from fathometer.theory import critical_gain, signal_keeping_gain


def starting_gain(activation: str) -> float:
    """Return the gain at which gradients neither grow nor fade (saturating ones), or else the one that keeps the signal."""
    critical = critical_gain(activation) if find_activation(activation).saturates else None
    return rounded(signal_keeping_gain(activation) if critical is None else critical)


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


READOUT = 0.1  # what a new start leaves of the last layer: large first outputs are unlearnt before anything is learnt
