"""Products in half precision, and gradients that do not vanish in it."""

from contextlib import AbstractContextManager, nullcontext

import torch

PRECISION_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LEAST_SCALE = 2.0**-14  # below it even a loss of 1 is lost in float16: the gradients are not finite by themselves


def casting(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return torch's autocast for a forward pass; nothing for "float32"."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISION_DTYPES[precision])


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler | None:
    """Return torch's scaler of the loss for "float16", else None: other formats have the range of float32."""
    return torch.amp.GradScaler(device.type) if precision == "float16" else None
