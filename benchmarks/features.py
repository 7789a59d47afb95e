"""Are features hierarchical? Scenes, English and code, trained and untrained; drawn into docs/features.png."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fathometer.figures import LevelRow, beside, level_chart, save
from fathometer.lenses import REFERENCES, Expected, LevelProbes, probe_levels, train_reference, untrained_reference
from fathometer.lenses.expected_layer import pooled, relation
from fathometer.lenses.look_words import order_answer
from fathometer.runs.lines import append_line

RESULTS = Path(__file__).parent / "results"
MEASURED = RESULTS / "features.jsonl"  # one line for each network and seed, written as soon as it is measured
RUNS = Path(__file__).parents[1] / "runs" / "look"
PICTURE = Path(__file__).parents[1] / "docs" / "features.png"
NETWORKS = ("scenes", "english", "code")
SEEDS = (0, 1)
KEPT_DRAWS = 200
TITLES = {"scenes": "Vision: drawn scenes", "english": "Language: generated English", "code": "Language: Python's sources"}
Row = dict[str, Any]


def features() -> list[Row]:
    """Return one row for each level of each network: where it is learned, beside the untrained twin and shuffled labels.

    A network that is measured is not measured again; its training goes on after a stop.
    """
    for seed in SEEDS:
        for name in NETWORKS:
            if (name, seed) not in {(row["network"], row["seed"]) for row in measured()}:
                append_line(MEASURED, measure(name, seed))
    rows = [row for name in NETWORKS for row in summary(name)]
    draw(rows)
    return rows


def measured() -> list[Row]:
    """Return the lines measured so far."""
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()] if MEASURED.exists() else []


def measure(name: str, seed: int) -> Row:
    """Train one network and probe all its levels, and those of its untrained twin."""
    truth = REFERENCES[name].truth()
    model = train_reference(name, seed=seed, folder=RUNS / f"{name}-{seed}", progress=_say(f"{name} {seed}"))
    both = {"trained": model, "untrained": untrained_reference(name, seed=seed)}
    probes = {key: probe_levels(one, truth, seed=seed) for key, one in both.items()}
    return {"network": name, "seed": seed, **{key: _plain(found) for key, found in probes.items()}}


def _plain(found: LevelProbes) -> Row:
    levels = {}
    for name, probes in found.probes.items():
        expected = probes.expected
        table = {key: [round(value, 4) for value in getattr(probes, key)] for key in ("accuracy", "control")}
        draws = [round(float(value), 3) for value in expected.draws[:KEPT_DRAWS]]
        levels[name] = {**table, "chance": round(probes.chance, 4), **expected.to_dict(), "draws": draws}
    return levels


def summary(name: str) -> list[Row]:
    """Return the rows of one network: expected layers pooled over seeds, and how each stands to the next level."""
    lines = [row for row in measured() if row["network"] == name]
    found = {
        key: {level: pooled([_expected(line[key][level]) for line in lines]) for level in lines[0][key]}
        for key in ("trained", "untrained")
    }
    names, rows = list(found["trained"]), list[Row]()
    for place, level in enumerate(names):
        own, other = found["trained"][level], found["untrained"][level]
        following = names[place + 1] if place + 1 < len(names) else None
        best = {key: [max(line[key][level]["accuracy"]) for line in lines] for key in ("trained", "untrained")}
        rows.append(
            {
                "network": name,
                "level": level,
                "seeds": len(lines),
                "depth": len(lines[0]["trained"][level]["accuracy"]) - 1,
                **{f"{key}": value for key, value in own.to_dict().items()},
                **{f"untrained_{key}": value for key, value in other.to_dict().items()},
                "accuracy": best["trained"],
                "untrained_accuracy": best["untrained"],
                "shuffled": float(np.mean([max(line["trained"][level]["control"]) for line in lines])),
                "guessing": float(np.mean([line["trained"][level]["chance"] for line in lines])),
                "to_next": None if following is None else relation(own, found["trained"][following]),
                "untrained_to_next": None if following is None else relation(other, found["untrained"][following]),
            }
        )
    return rows


def _expected(table: Row) -> Expected:
    place = [
        None if table[key] is None else min(max(table[key], 0.0), len(table["accuracy"]) - 1.0)
        for key in ("layer", "low", "high")
    ]
    draws = np.clip(np.array(table["draws"]), 0, len(table["accuracy"]) - 1)
    return Expected(*place, table["gain"], table["given"], draws)


def sentence(name: str, rows: list[Row]) -> str:
    """Return what the rows of one network say of the lesson's order, and of the untrained twin's."""
    own = [row for row in rows if row["network"] == name]
    places = ", ".join(f"{row['level']} {_layer(row)}" for row in own)
    order = [(row["level"], after["level"], row["to_next"]) for row, after in pairwise(own)]
    kept = [sum(row[key] == "before" for row in own[:-1]) for key in ("to_next", "untrained_to_next")]
    words = {"shown": "in that order", "shown in part": "none out of order", "not shown": "not in that order"}
    wrong = [f"{one} comes after {other}" for one, other, told in order if told == "after"]
    gains = [100 * (np.mean(row["accuracy"]) - np.mean(row["untrained_accuracy"])) for row in own]
    aside = f" ({'; '.join(wrong)})" if wrong else ""
    told = f"{kept[0]} of {len(order)} neighbours told apart and in order, {kept[1]} in the untrained twin"
    more = f"the best layer reads {min(gains):.0f} to {max(gains):.0f} points more than the twin's"
    return f"{places}: {words[order_answer(order)]}{aside}, {told}; {more}"


def _layer(row: Row) -> str:
    return "not learned" if row["layer"] is None else f"{row['layer']:.1f} ({row['low']:.1f} to {row['high']:.1f})"


def draw(rows: list[Row]) -> None:
    """Draw the expected layers of all networks into one picture."""
    charts = []
    for name in NETWORKS:
        own = [row for row in rows if row["network"] == name]
        shown = [
            LevelRow(
                row["level"],
                {
                    "trained": (row["layer"], row["low"], row["high"]),
                    "untrained": tuple(row[f"untrained_{key}"] for key in ("layer", "low", "high")),
                },
                {"trained": float(np.mean(row["accuracy"])), "untrained": float(np.mean(row["untrained_accuracy"]))},
                row["shuffled"],
                row["guessing"],
            )
            for row in own
        ]
        seeds = "one seed" if own[0]["seeds"] == 1 else f"{own[0]['seeds']} seeds"
        subtitle = f"{seeds}; at the right: best layer trained · untrained · shuffled labels"
        charts.append(level_chart(shown, own[0]["depth"], title=TITLES[name], subtitle=subtitle))
    save(beside(*charts), PICTURE)


def _say(label: str) -> Any:
    def say(step: int, total: int, loss: float) -> None:
        if step % 50 == 0:
            print(f"{label}: step {step}/{total}, loss {loss:.3f}", flush=True)

    return say
