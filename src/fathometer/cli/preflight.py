"""`fathometer preflight`: will it train?"""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from fathometer.diagnosis import Preflight

LOOKS = {"auto": None, "quick": False, "thorough": True}
EXIT = {"healthy": 0, "at risk": 0, "will not train": 1, "unknown": 3}


def preflight(
    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")],
    json: bool = False,
    html: Path | None = None,
    figure: Path | None = None,
    layers: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    fail_on: Literal["will-not-train", "at-risk", "never"] = "will-not-train",
    look: Literal["auto", "quick", "thorough"] = "auto",
    full_size: bool = False,
    tokens: int | None = None,
    method: Literal["sampled", "streamed"] | None = None,
    seed: int = 0,
) -> int:
    """Tell before training whether a network will train, and if not, why and where.

    Exit code: 0 healthy or at risk, 1 will not train, 2 error, 3 unknown.

    Args:
        target: A preset (see `fathometer presets`), spec.toml, or file.py:function that returns (model, batch),
            (model, batch, loss_fn) or a spec. The file is run: name only files that you trust.
        json: Print the result as JSON, and nothing else.
        html: Write the report to this file; it opens offline.
        figure: Draw the gradient along depth to this .png, .svg or .pdf.
        layers: Depth points by name or pattern, like "encoder.*".
        ignore: Causes not to look for, like initial_loss.
        fail_on: From which verdict on the exit code is 1.
        look: "quick" costs about four passes, "thorough" about nine (of small perceptrons up to 12 and 48); "auto" is quick,
            and closer where that leaves the verdict open.
        full_size: Examine a spec, a preset, hf:FOLDER (a config.json is enough) or file.py:function without making its large
            weights, so that 175 billion parameters fit into 1 GB. A spec too large for the memory is examined so anyway.
        tokens: How many tokens look at a network at full size: 16 if nothing is said.
        method: At full size: "sampled", or "streamed" for real weights, some rows at a time: slow, and the same in distribution.
        seed: Decides the draws of a spec and of its batch.
    """
    from fathometer.cli.show import check_outputs, show_preflight
    from fathometer.diagnosis import load_target
    from fathometer.diagnosis import preflight as run

    check_outputs(html, figure)
    with redirect_stdout(sys.stderr):  # what the user's own code prints is no part of the answer
        asked = {"layers": layers or None, "ignore": ignore, "seed": seed}
        if full_size or tokens is not None or method or target.startswith("hf:"):
            check = _at_full_size(target, asked, tokens, method, silent=json)
        else:
            found = load_target(target, seed)
            check = run(found.model, found.batch, loss_fn=found.loss_fn, thorough=LOOKS[look], **asked).named(found.name)
    if html is not None:
        check.save_html(html)
    if figure is not None:
        from fathometer.figures import save

        save(check.figure(), figure)
    if json:
        print(check.to_json())
    else:
        show_preflight(check, [path for path in (html, figure) if path is not None])
    return exit_code(check.verdict, fail_on)


def _at_full_size(
    target: str, asked: dict[str, Any], tokens: int | None, method: Literal["sampled", "streamed"] | None, *, silent: bool
) -> "Preflight":
    from fathometer.cli.show import bar
    from fathometer.diagnosis.full_size.answer import TOKENS, preflight_full_size
    from fathometer.diagnosis.full_size.targets import load_unmade

    with bar(silent) as progress:
        found = load_unmade(target, tokens=TOKENS if tokens is None else tokens, seed=asked["seed"])
        return preflight_full_size(found, method=method or "sampled", progress=progress, **asked)


def exit_code(verdict: str, fail_on: str) -> int:
    """Return the exit code of a verdict."""
    if fail_on == "never":
        return 0
    return 1 if verdict == "at risk" and fail_on == "at-risk" else EXIT[verdict]
