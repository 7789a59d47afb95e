"""Write the generated tables of the README between their markers."""

import ast
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.zoo import mended
from benchmarks.zoo.score import summary
from tests.house.claims import claims_table

ROOT = Path(__file__).parents[2]
# A floor of the house begins at the row of the import contract that holds this room.
FLOOR_BEGINS = {
    "cli": "7 door",
    "lab": "6 pages",
    "integrations": "5 questions",
    "runs": "4 runs",
    "networks": "3 bench",
    "report": "2 paper",
    "records": "1 words",
}


def caption(path: Path) -> str:
    """Return the first line of a module's docstring, or of a folder's `__init__.py`."""
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def layers(pyproject: str) -> list[list[str]]:
    """Return the rooms of the import contract, row by row from the top floor down."""
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [row.split(" | ") for row in rows]


def rooms_table(root: Path = ROOT) -> str:
    """Return the table of floors, rooms and the question that each answers; a room that is not built yet is left out."""
    source = root / "src" / "fathometer"
    lines, floor = ["| floor | room | what it answers |", "|---|---|---|"], ""
    for row in layers((root / "pyproject.toml").read_text(encoding="utf-8")):
        floor = next((FLOOR_BEGINS[room] for room in row if room in FLOOR_BEGINS), floor)
        for room in row:
            if (source / room / "__init__.py").exists():
                lines.append(f"| {floor} | `{room}/` | {caption(source / room)} |")
            elif (source / f"{room}.py").exists():
                lines.append(f"| {floor} | `{room}` | {caption(source / room)} |")
    return "\n".join(lines)


def lesson_table(root: Path = ROOT) -> str:
    """Return the lesson row by row, from the results of its benchmark."""
    rows = json.loads((root / "benchmarks" / "results" / "lesson.json").read_text(encoding="utf-8"))["rows"]
    lines = ["| the lesson claims | the command that shows it | the number |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row['claim']} | {row['command']} | {row['number']} |" for row in rows)])


def verdicts_table(root: Path = ROOT) -> str:
    """Return how often verdicts and causes were right over the zoo, in both of its parts."""
    rows = json.loads((root / "benchmarks/results/zoo_score.json").read_text(encoding="utf-8"))["rows"]
    told = [summary([row for row in rows if row["part"] == part]).splitlines() for part in ("develop", "scored")]
    lines = [(one.split(": ", 1), other.split(": ", 1)[1]) for one, other in zip(*told, strict=True) if not one.startswith(" ")]
    head = ["| | families that limits were set on | families that were only scored |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {what} | {first} | {second} |" for (what, first), second in lines)])


def trained_table(root: Path = ROOT) -> str:
    """Return what the networks of `examples/runs` reach, and in which time."""
    rows = json.loads((root / "benchmarks/results/trained.json").read_text(encoding="utf-8"))["rows"]
    lines = ["| `fathometer train` | steps | processor time | it reaches, on what it has not seen |", "|---|---|---|---|"]
    for row in rows:
        name = f"`examples/runs/{row['run']}.toml`"
        lines.append(f"| {name} | {row['steps']:,} | {row['cpu_seconds']:.0f} s | {_reached(row)} |")
    return "\n".join(lines)


def _reached(row: dict[str, Any]) -> str:
    if row["bigrams"] is None:
        return f"{row['held_out_accuracy']:.1%} right"
    loss, single, pairs = (f"{row[name]:.2f}" for name in ("held_out_loss", "no_input", "bigrams"))
    return f"{loss} nats a byte; the entropy of single bytes is {single}, of a byte after another {pairs}"


def rows_of(name: str, root: Path = ROOT) -> list[dict[str, Any]]:
    """Return the rows of a result, none where it was not measured."""
    path = root / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def mend_table(root: Path = ROOT) -> str:
    """Return how many sick networks with a known fix train after each way, in both parts of the zoo, and the pairs."""
    rows = rows_of("zoo_mend", root)
    told = {part: mended.table([row for row in rows if row["part"] == part]) for part in ("develop", "scored")}
    developed = {line[0]: line[1] for line in told["develop"]}
    head = [
        "| after | developed on: train | only scored: train | invasive | only `mend` : only this |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(
        [*head, *(f"| {w} | {developed.get(w, '–')} | {rate} | {level} | {p} |" for w, rate, level, p in told["scored"])]
    )


def peers_table(root: Path = ROOT) -> str:
    """Return what each peer says of the same networks."""
    columns = (
        "",
        "well or sick, right",
        "false alarms",
        "right name first (at all)",
        "same at any loss scale",
        "with a batch of 2",
    )
    lines = [f"| {' | '.join((*columns, 'state restored', 'seconds'))} |", "|" + "---|" * 8]
    for row in rows_of("peers", root):
        name = f"{row['peer']} {row['version'] or ''}".strip()
        if row["problem"]:
            lines.append(f"| {name} | does not install: {row['problem']} |" + " |" * 6)
            continue
        number, sick = row["networks"], row["sick"]
        cells = [f"{row['well or sick, right']} of {number}", f"{row['false alarms']} of {row['healthy']}"]
        cells += [
            f"{row['right name first']} ({row['right name at all']}) of {sick}",
            f"{row['same at any loss scale']} of {number}",
        ]
        cells += [f"{row['same with a batch of 2']} of {number}", f"{row['state restored']} of {number}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['seconds (median)']:.2f} |")
    return "\n".join(lines)


def levels_table(root: Path = ROOT) -> str:
    """Return where each level of the ground truth is learned, beside its controls."""
    names = ("", "level", "expected layer", "untrained twin", "best layer reads", "untrained", "shuffled labels", "guessing")
    lines = [f"| {' | '.join((*names, 'before the next'))} |", "|" + "---|" * (len(names) + 1)]
    for row in rows_of("features", root):
        own, twin = (_layer([row[f"{prefix}{key}"] for key in ("layer", "low", "high")]) for prefix in ("", "untrained_"))
        shares = [f"{sum(row[key]) / len(row[key]):.0%}" for key in ("accuracy", "untrained_accuracy")]
        shares += [f"{row[key]:.0%}" for key in ("shuffled", "guessing")]
        following = {None: "–", "before": "yes", "after": "**no**"}.get(row["to_next"], row["to_next"])
        lines.append(f"| {row['network']} | {row['level']} | {own} | {twin} | {' | '.join(shares)} | {following} |")
    return "\n".join(lines)


def _layer(place: list[float | None]) -> str:
    if place[0] is None:
        return "not learned"
    return "{:.1f} ({:.1f} to {:.1f})".format(*place)


def dropped_table(root: Path = ROOT) -> str:
    """Return the loss of the 24-block transformer without some blocks, chosen or at random, before and after healing."""
    names = (
        "blocks dropped",
        "chosen",
        "random",
        "random less chosen (mean)",
        "chosen, healed",
        "random, healed",
        "difference (mean)",
    )
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for row in rows_of("blocks", root):
        random = median(row["random"])
        cells = [f"{row['chosen']:.3f}", f"{random:.3f}", f"{row['low']:.3f} to {row['high']:.3f}" if row["dropped"] else "–"]
        if row["healed"] is None:
            cells += ["–"] * 3
        else:
            healed = median(row["random_healed"])
            cells += [f"{row['healed']:.3f}", f"{healed:.3f}", f"{row['healed_low']:.3f} to {row['healed_high']:.3f}"]
        lines.append(f"| {row['dropped']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def versions_table(root: Path = ROOT) -> str:
    """Return which Pythons and torches the fast tests ran under, and what came of them."""
    lines = ["| Python | torch | passed | failed | skipped | rooms of tests | day |", "|---|---|---|---|---|---|---|"]
    for row in rows_of("versions", root):
        left = row["not_run"].split(", ") if row["not_run"] else []
        rooms = f"{row['rooms']} of {row['rooms'] + len(left)}"
        counts = [f"{row[key]:,}" for key in ("passed", "failed", "skipped")]
        lines.append(f"| {row['python']} | {row['torch']} | {' | '.join(counts)} | {rooms} | {row['date']} |")
    return "\n".join(lines)


def full_size_table(root: Path = ROOT) -> str:
    """Return what some networks take at full size, and what is said of them."""
    named = {
        "gpt3-175b": "GPT-3 175B",
        "gpt3-175b, norm last": "GPT-3 175B, norm last",
        "gpt3-175b@residual=plain": "GPT-3 175B, no norm",
        "1,000 billion": "128 blocks, 25,600 wide: a trillion",
        "HF Llama 3 405B": "Hugging Face's own Llama, 405B",
        "HF Mixtral 8x22B": "Hugging Face's own Mixtral, 8 x 22B",
    }
    lines = ["| network | parameters | seconds of one core | memory at most | verdict |", "|---|---|---|---|---|"]
    rows = {row["network"]: row for row in rows_of("full_size", root)}
    for name, words in named.items():
        row = rows[name]
        verdict = row["verdict"] + (f": {row['causes']}" if row["causes"] else "")
        size = f"{row['parameters'] / 1e9:,.0f} billion"
        lines.append(f"| {words} | {size} | {row['seconds']:.1f} | {row['megabytes']:,} MB | {verdict} |")
    return "\n".join(lines)


def packaging_table(root: Path = ROOT) -> str:
    """Return how large wheel and sdist are, and what an import costs in an environment of its own."""
    lines = ["| | measured | at most |", "|---|---|---|"]
    for row in rows_of("packaging", root):
        number = f"{row['measured']:,.0f}" if float(row["measured"]).is_integer() else f"{row['measured']:.2f}"
        limit = "–" if row["limit"] is None else f"{row['limit']:,}"
        lines.append(f"| {row['what']} | {number} {row['unit']} | {limit} |")
    return "\n".join(lines)


# A new table is one function, one line here, and its two markers in the README.
TABLES: dict[str, Callable[[], str]] = {
    "rooms": rooms_table,
    "lesson": lesson_table,
    "verdicts": verdicts_table,
    "trained": trained_table,
    "mend": mend_table,
    "peers": peers_table,
    "claims": claims_table,
    "levels": levels_table,
    "dropped": dropped_table,
    "full-size": full_size_table,
    "versions": versions_table,
    "packaging": packaging_table,
}


def between(text: str, name: str) -> str:
    """Return what stands between the two markers of a table; fail if there are not exactly two."""
    found = re.findall(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", text, re.DOTALL)
    assert len(found) == 1, f"{len(found)} tables named {name}"
    return found[0]


def renew(text: str) -> str:
    """Return the text with every generated table written anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        text = text.replace(begin + between(text, name) + end, f"{begin}{table()}\n{end}")
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(renew(readme.read_text(encoding="utf-8")), encoding="utf-8")
