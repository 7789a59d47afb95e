"""Clipping: it tames a gradient that explodes, wakes none that fades."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, log
from typing import Any

from fathometer.figures import band_chart
from fathometer.records import Asked
from fathometer.report import Figure
from fathometer.runs import train
from fathometer.spec import Mlp
from fathometer.studies.best import accuracy, data_of, span, told, train_together
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row
from fathometer.studies.recurrent import seeded_reader

CHANCE, BLIND = 0.1, log(10)  # of ten digits: guessing, and the loss of the best constant answer
LOST = 2 * BLIND  # a training loss above this at the end is worse than knowing nothing by far
TRAINS = 0.5 * BLIND  # a training loss below this at the end
NETWORKS = {
    "deep": "a deep stream that doubles in each block",
    "recurrent": "a recurrent network",
    "vanishing": "tanh layers that fade",
}


def cells(options: Options) -> Groups:
    """Return a group for each network: its rates and seeds, clipped and not."""
    groups = []
    for network in options["networks"]:
        fixed = {"network": network, "depth": options["depth"], "steps": options["steps"], "batch_size": options["batch_size"]}
        places = [
            (rate, clip, seed) for rate in options["rates"] for clip in (None, options["clip"]) for seed in options["seeds"]
        ]
        groups.append([{**fixed, "rate": rate, "clip": clip, "seed": seed} for rate, clip, seed in places])
    return groups


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Train the networks of a group with SGD on the handwritten digits."""
    if group[0]["network"] == "recurrent":
        yield from (_train_reader(cell) for cell in group)
    else:
        yield from train_together(group, [(_spec(cell), _asked(cell)) for cell in group], data_of("digits"))


def _spec(cell: Cell) -> Mlp:
    if cell["network"] == "vanishing":
        return Mlp(depth=50, width=64, activation="tanh", init="pytorch")
    return Mlp(depth=cell["depth"], width=64, residual="plain")


def _asked(cell: Cell) -> Asked:
    return Asked(cell["steps"], cell["batch_size"], "sgd", cell["rate"], clip=cell["clip"], seed=cell["seed"])


def _train_reader(cell: Cell) -> Row:
    return told(train(seeded_reader(cell["seed"]), _asked(cell), data=data_of("digits"), progress=lambda *facts: None).record)


def diverged(row: Row) -> bool:
    """Return whether a run stopped at what is not finite, or ended above twice the loss of knowing nothing."""
    return not isfinite(row["train_loss"]) or row["train_loss"] > LOST


def trains(row: Row) -> bool:
    """Return whether the training loss ended at less than half of that of knowing nothing."""
    return row["train_loss"] < TRAINS


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Find, for each network, the rate at which clipping makes most of the difference."""
    told_of = {network: [_at(rows, network, rate) for rate in options["rates"]] for network in options["networks"]}
    chosen = {network: max(own, key=lambda at: (at["diverged"] + at["trained"], -at["rate"])) for network, own in told_of.items()}
    need = len(options["seeds"])
    holds = {
        network: own["diverged"] >= 0.8 * need and own["trained"] == need
        for network, own in chosen.items()
        if network != "vanishing"
    }
    vanishing = told_of.get("vanishing", [])
    is_silent = not any(at["trained"] or at["trained_free"] for at in vanishing)
    parts = [
        f"{network}: at rate {own['rate']:g} {own['diverged']} of {need} unclipped seeds diverge, "
        f"{own['trained']} of {need} clipped ones train"
        for network, own in chosen.items()
        if network != "vanishing"
    ]
    mend = "clipping mends none of those that vanish" if is_silent else "some that vanish train, clipped or not"
    sentence = "; ".join([*parts, *([mend] if vanishing else [])]) + "."
    answer = "shown" if all(holds.values()) and is_silent else "shown in part" if any(holds.values()) else "not shown"
    header = ("network", "rate", "unclipped that diverge", "unclipped that train", "clipped that train", "digits read, clipped")
    table = tuple(
        (
            network,
            f"{at['rate']:g}",
            f"{at['diverged']} of {need}",
            f"{at['trained_free']} of {need}",
            f"{at['trained']} of {need}",
            at["read"],
        )
        for network, own in told_of.items()
        for at in own
    )
    facts = tuple((f"rates at which {network} trains clipped, and free", _counts(own, need)) for network, own in told_of.items())
    return Reading(
        answer, sentence[0].upper() + sentence[1:], facts, header, table, _figures(rows, options), _notes(told_of, need)
    )


def _at(rows: Sequence[Row], network: str, rate: float) -> dict[str, Any]:
    own = [row for row in rows if row["network"] == network and row["rate"] == rate]
    free, clipped = [row for row in own if row["clip"] is None], [row for row in own if row["clip"] is not None]
    counts = {"diverged": sum(map(diverged, free)), "trained_free": sum(map(trains, free)), "trained": sum(map(trains, clipped))}
    return {"rate": rate, **counts, "read": span([accuracy(row, CHANCE) for row in clipped], True)}


def _counts(own: Sequence[Mapping[str, Any]], need: int) -> str:
    clipped, free = (sum(at[name] == need for at in own) for name in ("trained", "trained_free"))
    return f"{clipped} and {free} of {len(own)}"


def _notes(told_of: Mapping[str, Sequence[Mapping[str, Any]]], need: int) -> tuple[str, ...]:
    notes = []
    for network, own in told_of.items():
        free = [f"{at['rate']:g}" for at in own if at["trained_free"] == need]
        clipped = [f"{at['rate']:g}" for at in own if at["trained"] == need]
        notes.append(
            f"{NETWORKS[network].capitalize()}: all seeds train at {_or_none(free)} unclipped, {_or_none(clipped)} clipped."
        )
    return tuple(notes)


def _or_none(rates: Sequence[str]) -> str:
    return f"rate {', '.join(rates)}" if rates else "none of the rates"


def _figures(rows: Sequence[Row], options: Options) -> tuple[Figure, ...]:
    figures = []
    for network in options["networks"]:
        own = [row for row in rows if row["network"] == network]
        lines = [
            (
                name,
                [
                    (rate, [accuracy(row, CHANCE) for row in own if row["rate"] == rate and (row["clip"] is None) is free])
                    for rate in options["rates"]
                ],
            )
            for name, free in (("unclipped", True), (f"clipped at {options['clip']:g}", False))
        ]
        title, subtitle = f"Clipping: {network}", f"{NETWORKS[network]}; test digits read"
        chart = band_chart(
            lines,
            title=title,
            subtitle=subtitle,
            axis="learning rate",
            log=(True, False),
            percent=True,
            reference=(CHANCE, "guessing"),
        )
        figures.append(Figure(chart, "Median and range over seeds; a run that diverged counts as guessing."))
    return tuple(figures)


def cost(cell: Cell) -> float:
    """Return about how long a cell takes."""
    return 8.0 if cell["network"] == "recurrent" else 1.0


CLIPPING = Question(
    title="What clipping mends",
    claim="Clipping lets networks train at rates at which they diverge without it, and mends no gradient that vanishes.",
    options={
        "networks": ("deep", "recurrent", "vanishing"),
        "depth": 20,
        "rates": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
        "clip": 1.0,
        "seeds": (0, 1, 2, 3, 4),
        "steps": 250,
        "batch_size": 64,
    },
    quick={"networks": ("deep", "vanishing"), "rates": (0.001, 0.03), "steps": 150},
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "Clipping widens the range of rates. Where a smaller rate trains without it, it is not what makes training possible.",
        "Diverged means: stopped by a number that is not finite, or ended above twice the loss of knowing nothing.",
        "Plain SGD. Adam divides by the gradient's own size, and clipping matters less there.",
    ),
    citations=("pascanu2013", "bengio1994"),
)
