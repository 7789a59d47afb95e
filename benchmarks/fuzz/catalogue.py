"""The kinds of input by name; a new one is one file and one line here."""

from benchmarks.fuzz import checkpoints, commands, files, records, requests, run_files, specs, targets
from benchmarks.fuzz.kind import Kind

ROOMS = (specs, run_files, records, checkpoints, files, targets, requests, commands)
KINDS: dict[str, Kind] = {kind.name: kind for room in ROOMS for kind in room.KINDS}
