"""What a study is: a claim, its cells, how one is measured and read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fathometer.report import Answer, Figure

Cell = Mapping[str, Any]  # everything that decides one measurement, as JSON can hold it
Row = dict[str, Any]  # a cell, and what was measured
Options = Mapping[str, Any]
Groups = Sequence[Sequence[Cell]]  # cells that are measured together: they train as one stack


@dataclass(frozen=True)
class Reading:
    """What the rows of a study say: the answer, the sentence with the numbers, and the evidence for it.

    `facts` are a few (label, value) pairs, `table` a header and rows of text, `notes` what else there is to say.
    """

    answer: Answer
    sentence: str
    facts: tuple[tuple[str, str], ...]
    header: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """One question about depth. `options` are the defaults; `quick` those of them that a first look takes smaller.

    `cells` makes the groups from the options; `measure` yields what was measured of each cell of a group, in order, in any
    process: so it is a function of a module. `cost` tells about how long a cell takes beside others. `read` is given the
    options and all rows.
    """

    title: str
    claim: str
    options: Options
    quick: Options
    cells: Callable[[Options], Groups]
    measure: Callable[[Sequence[Cell]], Iterator[Row]]
    read: Callable[[Options, Sequence[Row]], Reading]
    caveats: tuple[str, ...]
    citations: tuple[str, ...]
    cost: Callable[[Cell], float] = field(default=lambda cell: 1.0)
