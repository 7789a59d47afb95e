"""One line for a test suite: fail when a network will not train."""

from collections.abc import Iterable
from typing import Any, get_args

import torch
from torch import nn

from fathometer.contract import LossFunction
from fathometer.diagnosis.preflight import Preflight, preflight
from fathometer.errors import unknown_name
from fathometer.finding import Verdict
from fathometer.spec import Spec


def assert_trains(
    model: nn.Module | Spec | str,
    batch: Any = None,
    *,
    loss_fn: LossFunction | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    ignore: Iterable[str] | str = (),
    allow: Iterable[str] | str = ("healthy", "at risk"),
    thorough: bool | None = None,
) -> Preflight:
    """Raise `AssertionError`, with the whole preflight as its text, unless the verdict is allowed; return the preflight.

    "Unknown" is not allowed by default: a test that could not see anything has not passed. The arguments are those of
    `preflight`.

    >>> assert_trains("mlp-5").verdict
    'healthy'
    """
    __tracebackhide__ = True
    allowed = [allow] if isinstance(allow, str) else list(allow)
    for verdict in allowed:
        if verdict not in get_args(Verdict):
            raise unknown_name("verdict", str(verdict), get_args(Verdict))
    check = preflight(model, batch, loss_fn=loss_fn, optimizer=optimizer, ignore=ignore, thorough=thorough)
    if check.verdict not in allowed:
        raise AssertionError(f"{check}\n(allowed: {', '.join(allowed)})")
    return check
