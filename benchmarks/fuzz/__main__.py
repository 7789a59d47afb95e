"""Fuzz for some minutes, or replay a seed; ends with 1 if anything was found."""

import argparse
import resource
import sys
import warnings

import torch

from benchmarks.fuzz.catalogue import KINDS
from benchmarks.fuzz.long import MINUTES, found_text, fuzz_for, replay, rows_of, today

MEMORY_BYTES = 6 * 2**30  # an input that asks for more is a finding


def main(arguments: list[str]) -> int:
    """Run the fuzz, print a table, and write `benchmarks/results/fuzz.json` after a run of an hour or as `--write` says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of processor time")
    parser.add_argument("--seed", type=int, default=today(), help="today's date if left out")
    parser.add_argument("--kinds", default="", help=f"one or several, with commas between: {', '.join(KINDS)}")
    parser.add_argument("--replay", type=int, help="draw again what this seed of build/fuzz/seeds.jsonl drew")
    parser.add_argument("--report", action="store_true", help="fuzz nothing: the table of all that was kept")
    parser.add_argument("--write", action="store_true", help="write the results also after a shorter run")
    asked = parser.parse_args(arguments)
    names = [name for name in asked.kinds.split(",") if name]
    if wrong := [name for name in names if name not in KINDS]:
        parser.error(f"there is no kind named {wrong[0]!r}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # what an input is warned of is no error
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    if asked.replay is not None:
        found = [one for name in names or KINDS for one in replay(name, asked.replay).found]
        print("\n".join(map(found_text, found)) or "Nothing was found.")
        return 1 if found else 0
    rows = rows_of() if asked.report else fuzz_for(asked.minutes, asked.seed, names)
    from benchmarks.__main__ import RESULTS, dump, result, table

    print(table(rows))
    if asked.write or (asked.minutes >= MINUTES and not names and not asked.report):
        (RESULTS / "fuzz.json").write_text(dump(result("fuzz", rows)) + "\n", encoding="utf-8")
    return 1 if any(row["failures"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
