"""A network of up to hundreds of billions of parameters, while you wait."""

from dataclasses import replace
from time import monotonic
from typing import Any

from fathometer.lab.orders import Order, Tell
from fathometer.lab.work.judge import TELL_EVERY, check_table
from fathometer.scaling import num_parameters
from fathometer.spec import preset


def work_full_size(order: Order, tell: Tell) -> dict[str, Any]:
    """Preflight a preset at its full width and depth, without making its weights."""
    from fathometer.diagnosis.full_size.answer import preflight_full_size

    spec = replace(preset(order.target), residual=order.residual)
    told, start = [0.0], monotonic()

    def progress(text: str, done: int, total: int) -> None:
        if done and done < total and monotonic() - told[0] < TELL_EVERY:
            return
        told[0] = monotonic()
        tell({"event": "progress", "text": text, "done": done, "total": total})

    check = preflight_full_size(spec, seed=order.setting.seed, progress=progress)
    table = check_table(check)
    table["facts"]["num_parameters"] = num_parameters(spec)
    return {
        "kind": "full-size",
        "check": table,
        "target": order.target,
        "residual": order.residual,
        "seconds": round(monotonic() - start, 1),
    }
