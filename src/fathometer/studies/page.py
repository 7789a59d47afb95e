"""A study on one page: claim, figure, evidence, caveats, command."""

from collections.abc import Sequence

from fathometer.report import Banner, Charts, Code, Page, Prose, Section, Table
from fathometer.studies.question import Question, Reading, Row


def study_page(question: Question, reading: Reading, command: str, rows: Sequence[Row]) -> Page:
    """Return the report of a study."""
    seconds = sum(row.get("cpu_seconds", 0.0) for row in rows)
    facts = (*reading.facts, ("cells", f"{len(rows):,}"), ("processor time", _time(seconds)))
    sections: list[Section] = [Banner(reading.answer, reading.sentence, facts)]
    sections.append(Charts("What was measured", reading.figures))
    sections.append(
        Table("The evidence", reading.header, reading.table, "Median over seeds, and their range, where there are seeds.")
    )
    if reading.notes:
        sections.append(Prose("Good to know", reading.notes))
    sections.append(Prose("What this does not say", question.caveats))
    sections.append(Code("The command", command, "It makes this page again; finished cells are not measured twice."))
    return Page(question.title, f"Claim: {question.claim}", tuple(sections), citations=question.citations)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
