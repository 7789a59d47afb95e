"""How is the whole story told on one page?"""

from fathometer.report.page import Page, framed, render, save
from fathometer.report.sections import (
    Answer,
    Banner,
    Charts,
    Code,
    Figure,
    Findings,
    Picture,
    Pictures,
    Prose,
    Remedies,
    Section,
    Table,
    Tried,
)

__all__ = [
    "Answer",
    "Banner",
    "Charts",
    "Code",
    "Figure",
    "Findings",
    "Page",
    "Picture",
    "Pictures",
    "Prose",
    "Remedies",
    "Section",
    "Table",
    "Tried",
    "framed",
    "render",
    "save",
]
