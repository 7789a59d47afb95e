"""When is a network examined at full size, and how is that asked for?"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from fathometer.errors import ModelError, kind_of
from fathometer.memory import machine_bytes
from fathometer.scaling import num_parameters
from fathometer.spec import PRESETS, Mlp, Spec, Transformer, preset

if TYPE_CHECKING:
    from fathometer.diagnosis.preflight import Preflight

SHARE_OF_MEMORY = 0.5  # beyond this, weights and gradients in float32 are not made


Method = Literal["sampled", "streamed"]


class FullSize(TypedDict, total=False):
    """How to examine a spec at full size, without making its weights.

    `method` is "sampled" (drawn from their exact distribution) or "streamed" (real weights, some rows at a time); `tokens`
    is how many tokens look at it, 16 if nothing is said.
    """

    method: Method
    tokens: int


def is_too_large(model: object) -> bool:
    """Return whether this is a spec, or a preset, whose weights and gradients would take more than half of the memory."""
    if isinstance(model, str):
        if model.partition("@")[0] not in PRESETS:
            return False
        model = preset(model)
    room = machine_bytes()
    return isinstance(model, Mlp | Transformer) and room is not None and 8 * num_parameters(model) > SHARE_OF_MEMORY * room


def at_full_size(
    model: object, batch: Any, layers: Any, ignore: Iterable[str] | str, seed: int, full_size: FullSize
) -> "Preflight":
    """Return the preflight of a spec or preset whose weights are not made."""
    from fathometer.diagnosis.full_size.answer import preflight_full_size

    unknown = [name for name in full_size if name not in FullSize.__annotations__]
    if unknown:  # as Python says it of any function
        raise TypeError(f"preflight() got an unexpected keyword argument {unknown[0]!r}")
    if not isinstance(model, str | Spec):
        raise ModelError(
            f"The model is {kind_of(model)}, and its weights are made",
            "`method` and `tokens` are for a spec or a preset, whose weights need not be",
            "Pass the spec, or leave them out",
        )
    return preflight_full_size(model, batch, layers=layers, ignore=ignore, seed=seed, **full_size)
