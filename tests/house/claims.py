"""The README's claims: what shows each, the number, the peers' number."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.zoo.mended import outcomes

Rows = list[dict[str, Any]]
ROOT = Path(__file__).parents[2]
NOBODY = "none found that does it"


@dataclass(frozen=True)
class Claim:
    """A sentence, the benchmark that shows it, its number, and that of the peers, both read from the rows of results."""

    text: str
    benchmark: str
    number: Callable[[Rows], str]
    peers: Callable[[Rows], str] = lambda _: "–"
    peers_from: str = ""


def _of(rows: Iterable[dict[str, Any]], test: Callable[[dict[str, Any]], bool]) -> str:
    known = [test(row) for row in rows]
    return f"{sum(known)} of {len(known)}"


def _where(rows: Rows, **values: object) -> Rows:
    return [row for row in rows if all(row.get(key) == value for key, value in values.items())]


def _others(rows: Rows, key: str, unit: str = "") -> str:
    found = sorted(row[key] for row in rows if row["peer"] != "fathometer" and not row["problem"])
    return f"{found[0]} to {found[-1]}{unit}"


def _own(rows: Rows, key: str) -> Any:
    return _where(rows, peer="fathometer")[0][key]


def _verdict(rows: Rows) -> str:
    scored = _where(rows, part="scored")
    right = sum(row["verdict"] == row["truth"] for row in scored)
    return f"{right} of {len(scored)} = {right / len(scored):.0%} over three classes (aim: 97%)"


def _mended(rows: Rows) -> dict[str, str]:
    found = outcomes(_where(rows, part="scored"))
    return {way: f"{sum(trained.values())} of {len(trained)}" for way, trained in found.items()}


def _full(rows: Rows, name: str) -> str:
    (row,) = _where(rows, network=name)
    return f"{row['seconds']:.0f} s of one core, {row['megabytes'] / 1000:.1f} GB"


def _ratio(rows: Rows, own: str, loop: str) -> str:
    (row,) = _where(rows, own=own, loop=loop)
    return f"{row['own_over_it']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"


def _warned(rows: Rows) -> str:
    scored = _where(rows, part="scored")
    failed = [row for row in scored if row["fault"] and row["onset"] is not None]
    alarms = _of(_where(scored, fault=None), lambda row: row["false_before"] > 0)
    return f"{_of(failed, lambda row: row['warned'])} that failed; alarms in {alarms} healthy runs"


def _watched(rows: Rows) -> str:
    found = _where(rows, network="gpt 12 x 128", price="standard")[0]
    tenth, most, every = (found[key] for key in ("every_10", "every_10_high", "every_1"))
    return f"{tenth:.2f} times the bare loop (at most {most:.2f}), {every:.2f} at every step, at the default price"


def _factors(rows: Rows) -> str:
    others = [row for row in rows if row["version"] and row["network"] == "gpt 12 x 128"]
    return ", ".join(f"{row['watcher']} {row['factor']:.2g}" for row in others) + " times, every step in full"


def _tried(rows: Rows) -> str:
    failed = sum(row["failures"] for row in rows)
    return f"{sum(row['examples'] for row in rows):,} inputs of {len(rows)} kinds, {failed or 'none'} failed"


CLAIMS = (
    Claim(
        "Tells before training whether it will train, on families that no limit was set on",
        "zoo_score",
        _verdict,
        lambda rows: f"well or sick, on 24: {_others(rows, 'well or sick, right')}; here {_own(rows, 'well or sick, right')}",
        "peers",
    ),
    Claim(
        "Calls almost no healthy network hopeless",
        "zoo_score",
        lambda rows: _of(_where(rows, part="scored", truth="healthy"), lambda row: row["verdict"] == "will not train"),
        lambda rows: f"alarms on 12 healthy ones: {_others(rows, 'false alarms')}; here {_own(rows, 'false alarms')}",
        "peers",
    ),
    Claim(
        "Names the planted cause first, on the 12 sick of 24 networks",
        "peers",
        lambda rows: f"{_own(rows, 'right name first')} of 12",
        lambda rows: _others(rows, "right name first"),
        "peers",
    ),
    Claim(
        "Judges ratios: the loss times 10⁻⁶ or 65,536 changes no verdict",
        "peers",
        lambda rows: f"{_own(rows, 'same at any loss scale')} of 24",
        lambda rows: _others(rows, "same at any loss scale"),
        "peers",
    ),
    Claim(
        "Changes nothing by looking, bit for bit",
        "peers",
        lambda rows: f"{_own(rows, 'state restored')} of 24",
        lambda rows: _others(rows, "state restored"),
        "peers",
    ),
    Claim(
        "Costs a few passes",
        "preflight_cost",
        lambda rows: f"{median(row['quick passes'] for row in rows if row['quick passes']):.1f} passes forward and back (median)",
    ),
    Claim(
        "Mends: trains afterwards",
        "zoo_mend",
        lambda rows: _mended(rows)["mend"],
        lambda rows: ", ".join(f"{way}: {told}" for way, told in list(_mended(rows).items())[1:5]),
        "zoo_mend",
    ),
    Claim("Preflights GPT-3 175B without its weights", "full_size", lambda rows: _full(rows, "gpt3-175b"), lambda _: NOBODY),
    Claim("A trillion parameters", "full_size", lambda rows: _full(rows, "1,000 billion"), lambda _: NOBODY),
    Claim(
        "Trains without weights as with them (p of 40 seeds, SGD and Adam)",
        "full_size_exact",
        lambda rows: ", ".join(f"{row['p, real against never made']:.2f}" for row in rows),
        lambda rows: "at another rate " + ", ".join(f"{row['p, real against never made, another rate']:.3f}" for row in rows),
        "full_size_exact",
    ),
    Claim(
        "Counts operations exactly (GPT-2 at 1,024 tokens, over the closed form)",
        "flops",
        lambda rows: f"{rows[1]['fathometer']:.3f}",
        lambda rows: f"torch's counter on the CPU {rows[1]['torch_cpu']:.2f}, torchinfo {rows[1]['torchinfo']:.2f}",
        "flops",
    ),
    Claim(
        "Trains as fast as a plain loop (tokens a second, over it)",
        "training",
        lambda rows: _ratio(rows, "ours", "plain"),
        lambda rows: f"over Hugging Face's model with the same GELU: {_ratio(rows, 'ours', 'hugging face, exact gelu')}",
        "training",
    ),
    Claim(
        "Trains many networks at once (over a loop by hand)",
        "many",
        lambda rows: f"{median(row['by_hand'] / row['many'] for row in rows):.1f} times (median of {len(rows)} groups)",
    ),
    Claim("Watches every tenth step of a GPT of 12 layers for nearly nothing", "watch", _watched, _factors, "watch_peers"),
    Claim("Warns of a run that goes wrong before it does", "watch_faults", _warned),
    Claim(
        "Survives kills, full disks, damaged files, numbers that are not finite, and memory that runs out",
        "faults",
        lambda rows: f"{_of(_where(rows, control=False), lambda row: row['survived'])} faults",
        lambda rows: f"with the guard off {_of(_where(rows, control=True), lambda row: row['survived'])}",
        "faults",
    ),
    Claim("Refuses bad input in words", "fuzz", _tried),
    Claim(
        "Fits a scaling law of 245 points from 500 starts",
        "law_fit",
        lambda rows: f"{rows[0]['seconds']:.1f} s with {rows[0]['resamples']} resamples",
    ),
)


def claims_table(claims: Iterable[Claim] = CLAIMS, root: Path = ROOT) -> str:
    """Return a row for each claim; the date is that of the measurement."""
    lines = ["| claim | `python -m benchmarks` | here | others, or other ways | measured |", "|---|---|---|---|---|"]
    for claim in claims:
        result = _result(claim.benchmark, root)
        peers = claim.peers(_result(claim.peers_from, root)["rows"] if claim.peers_from else [])
        lines.append(f"| {claim.text} | `{claim.benchmark}` | {claim.number(result['rows'])} | {peers} | {result['date']} |")
    return "\n".join(lines)


def _result(name: str, root: Path) -> dict[str, Any]:
    return json.loads((root / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
