"""Every run over the zoo with its date: a scored part is seen once."""

import json
from datetime import UTC, datetime
from pathlib import Path

DIARY = Path(__file__).parents[1] / "results" / "zoo_runs.jsonl"


def note(benchmark: str, part: str, text: str, path: Path = DIARY) -> None:
    """Add one run to the diary: when, which benchmark, which part, and the rates that came out, line by line."""
    now = datetime.now(UTC).isoformat(timespec="minutes")
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"date": now, "benchmark": benchmark, "part": part, "rates": text.splitlines()}) + "\n")
