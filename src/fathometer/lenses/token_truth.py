"""Questions that any text answers: which token is here, or near?"""

import numpy as np
import torch
from torch import Tensor

from fathometer.errors import DataError
from fathometer.lenses.ground_truth import GroundTruth, Level, ask

COMMON = 20  # tokens that are asked for
SHIFTS = {"this token": 0, "the token before": -1, "two tokens before": -2, "the next token": 1}


def token_truth(inputs: Tensor, *, seed: int = 0) -> GroundTruth | None:
    """Return questions about the commonest tokens of `inputs` `(sample, time)` at each place, and at its neighbours.

    None where too few tokens come often enough.
    """
    tokens = inputs.cpu().numpy()
    values, counts = np.unique(tokens, return_counts=True)
    common = values[np.argsort(-counts, kind="stable")[:COMMON]]
    names = ("none", *(str(token) for token in common))
    levels = list[Level]()
    for name, shift in SHIFTS.items():
        moved = np.roll(tokens, -shift, axis=1)
        labels = np.zeros(tokens.shape, dtype=np.int64)
        for number, token in enumerate(common, 1):
            labels[moved == token] = number
        where = np.ones(tokens.shape, dtype=bool)
        where[:, :2] = where[:, -1] = False
        try:
            levels.append(ask(name, labels, names, where=where, seed=seed))
        except DataError:
            return None
    return GroundTruth("tokens", torch.as_tensor(inputs), (tokens.shape[1],), tuple(levels))
