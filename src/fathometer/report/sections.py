"""What a page may hold, from the verdict to code to copy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt

from fathometer.finding import Finding, Outcome, Remedy, Verdict

Answer = Literal["shown", "shown in part", "not shown", "measured"]  # what is said of a claim, or that none was made


@dataclass(frozen=True)
class Banner:
    """A verdict or an answer in a word, the sentence with the number that decided it, and a few (label, value) facts."""

    verdict: Verdict | Answer
    sentence: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Prose:
    """Paragraphs under a heading; what stands between backticks is set as code."""

    title: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """One chart with its caption and what to see in it; a `wide` one takes the whole width of the page."""

    chart: alt.TopLevelMixin
    caption: str
    see: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Charts:
    """A grid of figures; hovering a depth in one marks it in all figures of the page that have depth as their x axis."""

    title: str
    figures: tuple[Figure, ...]
    introduction: str = ""


@dataclass(frozen=True)
class Picture:
    """One row of small pictures, PNG files, with its label; `tell` says in words what is to be seen."""

    label: str
    images: tuple[bytes, ...]
    tell: str


@dataclass(frozen=True)
class Pictures:
    """Rows of small pictures, as patches that a unit likes best."""

    title: str
    rows: tuple[Picture, ...]
    introduction: str = ""


@dataclass(frozen=True)
class Findings:
    """What is wrong, worst first; an empty one says so in the words of `nothing`."""

    title: str
    findings: tuple[Finding, ...]
    nothing: str = "Nothing was found to be wrong."


@dataclass(frozen=True)
class Tried:
    """A remedy and what came of it; `after` is the verdict once it was applied, `trained` what the short runs showed."""

    remedy: Remedy
    outcome: Outcome
    before: Verdict
    after: Verdict | None = None
    trained: str = ""


@dataclass(frozen=True)
class Remedies:
    """The remedies that were tried, in the order in which they were tried."""

    title: str
    tried: tuple[Tried, ...]
    introduction: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; columns that hold only numbers are set to the right."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Code to copy, with a line of prose above it."""

    title: str
    code: str
    introduction: str = ""


Section = Banner | Prose | Charts | Pictures | Findings | Remedies | Table | Code
