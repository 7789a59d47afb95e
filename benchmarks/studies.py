"""The studies at full size: what each says of its claim, and its evidence."""

from pathlib import Path
from typing import Any

Row = dict[str, Any]


def studies() -> list[Row]:
    """Return one row for each study: answer, sentence, facts, table, notes, cells and processor time.

    Cells are kept in `study-NAME`, as the command keeps them: those that are finished there are not measured again.
    """
    from fathometer.studies import STUDIES

    return [told(name) for name in STUDIES]


def told(name: str) -> Row:
    """Return what one study says."""
    import fathometer as fm

    done = fm.study(name, folder=Path(f"study-{name}"))
    reading = done.reading
    return {
        "study": name,
        "answer": reading.answer,
        "sentence": reading.sentence,
        "claim": done.question.claim,
        "facts": [list(fact) for fact in reading.facts],
        "header": list(reading.header),
        "table": [list(line) for line in reading.table],
        "notes": list(reading.notes),
        "command": done.command,
        "cells": len(done.rows),
        "cpu_seconds": round(done.cpu_seconds, 1),
    }
