"""The papers that a page cites: exactly those, in order of first use."""

from collections.abc import Iterable, Sequence

from fathometer.errors import FathometerError, look_up
from fathometer.finding import CITATIONS
from fathometer.report.markup import Html, element, join
from fathometer.report.sections import Findings, Remedies, Section


def cited(sections: Iterable[Section], extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the keys that the findings and remedies of a page cite, then the extra ones, each once."""
    keys: list[str] = []
    for section in sections:
        if isinstance(section, Findings):
            keys += [key for finding in section.findings for key in finding.citations]
        if isinstance(section, Remedies):
            keys += [key for tried in section.tried for key in tried.remedy.citations]
    return tuple(dict.fromkeys([*keys, *extra]))


def citation_links(keys: Sequence[str]) -> Html:
    """Return the papers by author and year, each a link to its entry in the list of references."""
    links = [element("a", short_citation(key), href=f"#reference-{key}") for key in keys]
    return join(links, ", ")


def reference_list(keys: Sequence[str]) -> Html:
    """Return the section of references, nothing when there are none."""
    if not keys:
        return Html("")
    entries = [element("li", full_citation(key), id=f"reference-{key}") for key in keys]
    return element("section", element("h2", "References"), element("ol", *entries, class_="references"))


def full_citation(key: str) -> str:
    """Return authors, year and title of the paper that has this key."""
    return look_up("citation", key, CITATIONS, FathometerError)


def short_citation(key: str) -> str:
    """Return authors and year, short enough for a sentence.

    >>> [short_citation(key) for key in ("bengio1994", "glorot2010", "karpathy2019")]
    ['Bengio et al. 1994', 'Glorot & Bengio 2010', 'Karpathy 2019']
    """
    year = next(word.rstrip(",") for word in full_citation(key).split() if word.rstrip(",").isdigit())
    names = full_citation(key).split(f" {year}")[0]
    return f"{names.split(',')[0]} et al. {year}" if "," in names else f"{names} {year}"
