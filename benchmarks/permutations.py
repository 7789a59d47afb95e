"""Are two samples of many numbers from one distribution? A permutation test."""

import numpy as np

PERMUTATIONS = 2000  # they tell p from 1/2,000 on


def p_value(one: np.ndarray, other: np.ndarray, seed: int = 0) -> float:
    """Return the share of permutations with as large a max-|z| over the columns as the two samples show.

    Rows are runs, as many in both, columns what was measured of each; |z| is Welch's, the difference of two means over its error.
    """
    both, count = np.concatenate([one, other]), len(one)
    both = (both - both.mean(axis=0))[:, both.std(axis=0) > 0]
    rng = np.random.default_rng(seed)
    orders = np.array([np.arange(len(both)), *(rng.permutation(len(both)) for _ in range(PERMUTATIONS))])
    is_first = (orders < count).astype(float)  # (permutation, run): the first row is how it was
    firsts, seconds = (_mean_and_variance(both, weights) for weights in (is_first, 1 - is_first))
    largest = (np.abs(firsts[0] - seconds[0]) / np.sqrt((firsts[1] + seconds[1]) / count)).max(axis=1)
    return float(np.mean(largest[1:] >= largest[0]))


def _mean_and_variance(both: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = weights.sum(axis=1, keepdims=True)
    mean = weights @ both / count
    return mean, (weights @ both**2 / count - mean**2) * count / (count - 1)
