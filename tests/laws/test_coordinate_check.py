"""Under CompleteP the stream of a transformer neither grows nor fades with depth or width, once it learns."""

import argparse
import inspect
from functools import cache

import numpy as np
import pytest
import torch

from fathometer.errors import SpecError
from fathometer.runs import CoordinateCheck, coordinate_check
from fathometer.spec import Mlp, Transformer

TIME, BATCH = 32, 4
QUICK, WHOLE = (2, 4, 8, 16, 32), (2, 4, 8, 16, 32, 64)
WIDTHS = (64, 128, 256)
SPEC = Transformer(depth=2, width=128, heads=8, vocabulary=256, context=TIME, tied=False, base_width=128, base_depth=2)
# The standard parametrization: μP of a network that is its own base, at every depth and width.
STANDARD = {"init": "mup", "base_width": None, "base_depth": None}


def text(steps: int = 11, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return batches of bytes from the source of a module of Python's own, each byte with the next one as its target."""
    source = np.frombuffer(inspect.getsource(argparse).encode(), dtype=np.uint8).astype(np.int64)
    starts = np.random.default_rng(seed).integers(0, len(source) - TIME - 1, (steps, BATCH))
    rows = torch.from_numpy(np.stack([[source[start : start + TIME + 1] for start in line] for line in starts]))
    return [(batch[:, :-1], batch[:, 1:]) for batch in rows]


@cache
def along_depth(init: str, depths: tuple[int, ...] = QUICK, width: int = 128, seeds: int = 1) -> CoordinateCheck:
    """Return the check over depth; "standard" is the standard parametrization."""
    from dataclasses import replace

    changes = STANDARD if init == "standard" else {"init": init}
    spec = replace(SPEC, **changes, width=width, heads=width // 16)
    return coordinate_check(spec, text(), depths=depths, seeds=range(seeds))
