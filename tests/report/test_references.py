"""A page lists exactly the papers that it cites."""

import pytest

from fathometer.errors import FathometerError
from fathometer.finding import CITATIONS, Finding, Remedy
from fathometer.report import Findings, Remedies, Tried
from fathometer.report.references import cited, reference_list, short_citation

FINDING = Finding("correlation_collapse", "at risk", "A sentence.", 1.0, 0.9)
TRIED = Tried(Remedy("fixup", "Fixup", "Why.", 3, citations=("zhang2019", "poole2016")), "proved", "at risk", "healthy")


def test_papers_are_listed_once_in_order_of_use():
    """Findings come first, then remedies, then the extra ones; a paper that is cited twice stands once."""
    keys = cited([Findings("", (FINDING,)), Remedies("", (TRIED,))], extra=("poole2016", "ba2016"))

    assert keys == (*FINDING.citations, "zhang2019", "ba2016")


def test_nothing_cited_is_nothing_listed():
    """A page that cites nothing has no section of references."""
    assert reference_list(cited([Findings("", ())])) == ""


def test_an_unknown_paper_is_an_error():
    """A key that is not in the catalogue is named, with the nearest right one."""
    with pytest.raises(FathometerError, match='Did you mean "glorot2010"'):
        reference_list(["glorot2011"])


@pytest.mark.parametrize("key", CITATIONS)
def test_every_paper_has_a_short_name(key):
    """Every citation can be shortened to authors and year, and the year is that of its key."""
    short = short_citation(key)

    assert short.endswith(key.rstrip("abcdefghijklmnopqrstuvwxyz")[-4:])
    assert len(short) < 40
