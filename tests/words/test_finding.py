"""Findings, causes and remedies: complete, citable, and the same after saving."""

import re
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer import json_text
from fathometer.finding import CAUSES, CITATIONS, Finding, Remedy, decide
from fathometer.finding.finding import SEVERITIES

names = st.lists(st.text(min_size=1), max_size=3).map(tuple)
findings = st.builds(
    Finding,
    cause=st.sampled_from(list(CAUSES)),
    severity=st.sampled_from(SEVERITIES),
    sentence=st.text(),
    number=st.floats(),
    limit=st.floats(),
    column=st.none() | st.just("signal"),
    points=names,
    remedies=names,
).filter(lambda finding: not {"NaN", "Infinity", "-Infinity"} & {finding.sentence, *finding.points, *finding.remedies})
remedies = st.builds(
    Remedy,
    name=st.just("he"),
    title=st.just("He initialisation"),
    why=st.just("It keeps the signal."),
    invasiveness=st.integers(1, 6),
    code=st.sampled_from(["", "model = model\n"]),
    citations=st.sampled_from([(), ("he2015init",)]),
)


def finding(severity: str) -> Finding:
    """Return a finding of this severity."""
    return Finding("vanishing_gradient", severity, "It vanishes.", 0.5, 0.9)


@pytest.mark.usefixtures("as_a_user_has_it")  # the checks draw random numbers, which a strategy may not
@settings(deadline=None)
@given(original=findings)
def test_a_finding_survives_saving(original: Finding) -> None:
    """A finding is the same after it went through a dictionary and through JSON."""
    # repr, because a nan is not equal to itself.
    assert repr(Finding.from_dict(json_text.load(json_text.dump(original.to_dict())))) == repr(original)


@pytest.mark.usefixtures("as_a_user_has_it")  # the checks draw random numbers, which a strategy may not
@settings(deadline=None)
@given(original=remedies)
def test_a_remedy_survives_saving(original: Remedy) -> None:
    """A remedy is the same after it went through a dictionary and through JSON."""
    assert Remedy.from_dict(json_text.load(json_text.dump(original.to_dict()))) == original


def test_a_remedy_without_code_is_advice() -> None:
    """Words without code are called advice; code is not."""
    shared = {"name": "x", "title": "X", "why": "Because.", "invasiveness": 1}

    assert (Remedy(**shared).is_advice, Remedy(**shared, code="model = model").is_advice) == (True, False)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_complete(cause: str) -> None:
    """Every cause has a stable identifier, a title, a consequence that is a sentence, and papers that exist."""
    words = CAUSES[cause]

    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cause)
    assert words.title
    assert words.title[-1] not in ".?!"
    assert words.consequence.endswith(".")
    assert [key for key in words.citations if key not in CITATIONS] == []


def test_a_finding_speaks_the_words_of_its_cause() -> None:
    """Title, consequence and papers of a finding are those of its cause."""
    cause = CAUSES["vanishing_gradient"]
    found = finding("note")

    assert (found.title, found.consequence, found.citations) == (cause.title, cause.consequence, cause.citations)


@pytest.mark.parametrize("key", CITATIONS)
def test_a_citation_is_filed_under_its_year(key: str) -> None:
    """The year in a citation's key is the year of the paper, which names its author and ends as a sentence does."""
    author, year = re.fullmatch(r"([a-z]+)(\d{4})[a-z]*", key).groups()

    assert year in CITATIONS[key]
    assert author in normalize("NFKD", CITATIONS[key].lower()).encode("ascii", "ignore").decode()  # Montúfar is montufar
    assert CITATIONS[key].endswith((".", "?"))


@pytest.mark.parametrize(
    ("severities", "known", "verdict"),
    [
        ([], True, "healthy"),
        ([], False, "unknown"),
        (["note"], True, "healthy"),
        (["note"], False, "unknown"),
        (["at risk", "note"], True, "at risk"),
        (["at risk"], False, "at risk"),
        (["note", "at risk", "will not train"], True, "will not train"),
        (["will not train"], False, "will not train"),
    ],
)
def test_the_verdict_is_the_worst_severity(severities: list[str], known: bool, verdict: str) -> None:
    """The worst finding decides; without one, what is not known does."""
    assert decide([finding(severity) for severity in severities], known) == verdict


@given(order=st.permutations(SEVERITIES))
def test_the_verdict_does_not_depend_on_the_order(order: list[str]) -> None:
    """The same findings in another order give the same verdict."""
    assert decide([finding(severity) for severity in order]) == "will not train"
