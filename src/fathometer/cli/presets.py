"""`fathometer presets`: the reference networks."""


def presets(json: bool = False) -> int:
    """List the reference networks, each with the lesson it is here for.

    Args:
        json: Print the list as JSON.
    """
    from fathometer import json_text
    from fathometer.spec import PRESETS, spec_to_dict

    if json:
        rows = {
            name: {"spec": spec_to_dict(one.spec), "summary": one.summary, "source": one.source} for name, one in PRESETS.items()
        }
        print(json_text.dump(rows))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("preset", "depth", "width", "what it shows", "source"):
        table.add_column(name, justify="right" if name in ("depth", "width") else "left")
    for name, one in PRESETS.items():
        table.add_row(f"[bold]{name}[/bold]", str(one.spec.depth), str(one.spec.width), one.summary, f"[dim]{one.source}[/dim]")
    console = Console(highlight=False)
    console.print(table)
    console.print("\nChange a field with @: fathometer preflight tanh-50@depth=20,init=orthogonal", style="dim")
    return 0
