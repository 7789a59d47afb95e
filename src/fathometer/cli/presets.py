"""`fathometer presets`: networks that have a name."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fathometer.spec import Preset

TITLES = {"mlp": "Multilayer perceptrons", "convnet": "Convolutional networks", "transformer": "Transformers"}


def presets(json: bool = False) -> int:
    """List the presets, each with the lesson it is here for.

    Args:
        json: Print the list as JSON.
    """
    from fathometer import json_text
    from fathometer.spec import PRESETS, spec_to_dict

    if json:
        rows = {name: _row(one, spec_to_dict(one.spec)) for name, one in PRESETS.items()}
        print(json_text.dump(rows))
        return 0
    from rich.console import Console

    console = Console(highlight=False)
    for family, title in TITLES.items():
        chosen = {name: one for name, one in PRESETS.items() if spec_to_dict(one.spec)["family"] == family}
        console.print(f"\n[bold]{title}[/bold]")
        console.print(_table(chosen))
        for number, flag in enumerate(_flags(chosen), 1):
            console.print(f"[yellow]\\[{number}][/yellow] [dim]{flag}[/dim]")
    console.print("\nChange fields with @: fathometer preflight gpt3-175b@width=128", style="dim")
    return 0


def _row(one: "Preset", spec: dict[str, object]) -> dict[str, object]:
    return {"spec": spec, "summary": one.summary, "source": one.source, "flag": one.flag}


def _table(chosen: "dict[str, Preset]") -> "RenderableType":
    """Return the rows of one family: name, depth, parameters, what it is here for, and below it where it is from."""
    from rich.table import Table

    from fathometer.scaling import num_parameters

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    flags = _flags(chosen)
    for name, one in chosen.items():
        mark = f" [yellow]\\[{flags.index(one.flag) + 1}][/yellow]" if one.flag else ""
        words = f"{one.summary} [dim]{one.source}[/dim]{mark}"
        table.add_row(name, f"{one.spec.depth} deep", _count(num_parameters(one.spec)), words)
    return table


def _flags(chosen: "dict[str, Preset]") -> list[str]:
    """Return what the sources contradict themselves in, each once."""
    return list(dict.fromkeys(one.flag for one in chosen.values() if one.flag))


def _count(number: int) -> str:
    """Return a number of parameters in three digits: 175B, 25.6M, 8.6k."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
