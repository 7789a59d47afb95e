"""GPT-3's eight networks: shape, batch and rate, and what lies between."""

from collections.abc import Callable
from math import exp, log
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One network of Brown et al. 2020, table 2.1; parameters as in table D.1, which counts more exactly."""

    parameters: float
    depth: int
    width: int
    batch_tokens: float
    learning_rate: float


GPT3 = (
    Row(125e6, 12, 768, 5e5, 6e-4),
    Row(356e6, 24, 1024, 5e5, 3e-4),
    Row(760e6, 24, 1536, 5e5, 2.5e-4),
    Row(1.32e9, 24, 2048, 1e6, 2e-4),
    Row(2.65e9, 32, 2560, 1e6, 1.6e-4),
    Row(6.66e9, 32, 4096, 2e6, 1.2e-4),
    Row(12.85e9, 40, 5140, 2e6, 1e-4),
    Row(174.6e9, 96, 12288, 3.2e6, 6e-5),
)


def between_gpt3(parameters: float, number_of: Callable[[Row], float]) -> float:
    """Return a number of GPT-3's rows at some parameters, by straight lines over logarithms; beyond the ends, that of the end.

    >>> round(between_gpt3(760e6, lambda row: row.width))
    1536
    """
    sizes = [log(row.parameters) for row in GPT3]
    return exp(float(np.interp(log(parameters), sizes, [log(number_of(row)) for row in GPT3])))
