"""`fathometer look`: what did each layer learn, and which could go?"""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from fathometer.lenses import Look


def look(
    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")],
    html: Path | None = None,
    figure: Path | None = None,
    json: bool = False,
    layers: tuple[str, ...] = (),
    probe: Literal["logistic", "ridge"] = "logistic",
    steps: int | None = None,
    folder: Path | None = None,
    seed: int = 0,
) -> int:
    """Show what each layer of a network learned, how the layers relate, and which of them could go.

    Probes of every layer with controls, likeness of layers, what is lost without each block, early answers, how far attention
    looks, and what units like best, on one page. `fathometer look scenes` trains a small ResNet on drawn scenes, whose edges,
    textures, parts and objects are known, and asks whether they are learned in that order; `english` and `code`
    do so with transformers.

    Exit code: 0 done, whatever was seen; 2 error; 130 stopped from outside.

    Args:
        target: scenes, english, code or english-24 (trained here in minutes; goes on after a stop); a preset or spec.toml (as it
            starts); hf:FOLDER (a config.json, its weights and tokenizer.json where there are any); or file.py:function that
            returns (model, batch) or (model, batch, loss_fn). The file is run: name only files that you trust.
        html: Where to write the page; look-TARGET.html if left out (not with --json).
        figure: Draw the main picture to this .png, .svg or .pdf.
        json: Print all numbers as JSON, and nothing else.
        layers: Depth points by name or pattern, like "encoder.*".
        probe: "logistic" is scikit-learn's regression, "ridge" a quick look in closed form.
        steps: How long a reference network trains; as its recipe says if left out.
        folder: Where a reference network is kept while it trains; look-TARGET if left out.
        seed: Decides the start, the order of the data and the batch.
    """
    from fathometer.cli.show import bar, check_outputs
    from fathometer.spec.checks import check_seed

    check_seed(seed)
    html = Path(f"look-{_file_name(target)}.html") if html is None and not json else html
    check_outputs(html, figure)
    with redirect_stdout(sys.stderr), bar(silent=json) as progress:  # what the user's own code prints is no part of the answer
        asked = {"layers": layers or None, "kind": probe, "progress": progress}
        seen = _look_at(target, asked, steps=steps, folder=folder, seed=seed)
    written = [path for path in (html, figure) if path is not None]
    if html is not None:
        seen.save_html(html)
    if figure is not None:
        from fathometer.figures import save

        save(seen.figure(), figure)
    print(seen.to_json() if json else seen)
    if not json:
        print("".join(f"\nWritten: {path}" for path in written))
    return 0


def _look_at(target: str, asked: dict[str, Any], *, steps: int | None, folder: Path | None, seed: int) -> "Look":
    from fathometer.lenses import REFERENCES, load_folder, look_at_reference
    from fathometer.lenses import look as run

    if target in REFERENCES:
        return look_at_reference(target, seed=seed, steps=steps, folder=folder or Path(f"look-{target}"), **asked)
    if target.startswith("hf:"):
        model, batch, words = load_folder(target.removeprefix("hf:"), seed=seed)
        return run(model, [batch], **asked).named(f"{Path(target.removeprefix('hf:')).resolve().name} ({words})")
    from fathometer.diagnosis import load_target
    from fathometer.diagnosis.own_batch import own_batch
    from fathometer.networks import build
    from fathometer.spec import Spec

    found = load_target(target, seed)
    if isinstance(found.model, Spec):
        batch = own_batch(found.model, seed) if found.batch is None else found.batch
        return run(build(found.model, seed=seed), [batch], loss_fn=found.loss_fn, **asked).named(f"{found.name}, as it starts")
    return run(found.model, [found.batch], loss_fn=found.loss_fn, **asked).named(found.name)


def _file_name(target: str) -> str:
    """Return a target as a part of a file's name: its last word."""
    last = target.rstrip("/").replace(":", "/").split("/")[-1]
    return "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in last) or "target"
