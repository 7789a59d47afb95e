"""The channels of a stream that is never mixed: a large sample.

In a post-activation residual network the stream is x ← φ(x + f): φ bends it again and again, so its entries are not Gaussian,
and what φ lets through today it tends to let through tomorrow. Of many channels each is an independent draw from the same
distribution, so a sample stands for them all: it is drawn with a fixed seed, and the same for every forecast.
"""

from dataclasses import dataclass, field

import numpy as np

from fathometer.theory.gaussian import Array
from fathometer.theory.steps import Signal

NUM_CHANNELS = 4096  # of the first stage; its moments are right to about 1%


@dataclass
class Draws:
    """Gaussian draws with a fixed seed."""

    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def pair(self, signal: Signal, beside: Array) -> Array:
        """Return draws (2, channel) of one unit in two samples, uncorrelated with `beside` (2, channel) to the last digit."""
        drawn = self.generator.standard_normal(beside.shape)
        known = np.vstack([np.ones(beside.shape[1]), beside])
        drawn -= np.linalg.lstsq(known.T, drawn.T, rcond=None)[0].T @ known
        drawn[1] -= drawn[0] * (drawn[0] @ drawn[1]) / (drawn[0] @ drawn[0])
        return _correlated(drawn / np.sqrt((drawn**2).mean(axis=1, keepdims=True)), signal)

    def start(self, signal: Signal) -> Array:
        """Return draws (2, channel) of one unit in two samples."""
        return self.pair(signal, np.zeros((2, NUM_CHANNELS)))

    def pooled(self, signal: Signal) -> Array:
        """Return the largest of 3×3 places that have nothing in common, (2, channel)."""
        return _correlated(self.generator.standard_normal((2, NUM_CHANNELS, 9)), signal).max(axis=-1)


def _correlated(drawn: Array, signal: Signal) -> Array:
    c = min(max(signal.correlation, -1.0), 1.0)
    return np.stack([drawn[0], c * drawn[0] + (1 - c * c) ** 0.5 * drawn[1]]) * signal.moment**0.5


def widened(stream: Array, factor: int) -> Array:
    """Return the channels followed by `factor - 1` times as many zeros."""
    return np.hstack([stream, np.zeros((2, (factor - 1) * stream.shape[1]))])


def signal_of(stream: Array) -> Signal:
    """Return the second moment of the stream and the cosine of the two samples."""
    moment = float((stream**2).mean())
    return Signal(moment, float((stream[0] * stream[1]).mean()) / moment if moment > 0 else 1.0)
