"""The HTML of each kind of section, by its kind."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, get_args

from fathometer.figures import spec
from fathometer.figures.hover import HOVER
from fathometer.finding import Finding, Verdict
from fathometer.report.markup import Html, element, inline
from fathometer.report.references import citation_links
from fathometer.report.sections import (
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

Numbers = Iterator[int]  # hands out the numbers of the figures, through the whole page

_SIGNS = {"healthy": "✓", "at risk": "!", "will not train": "✕", "unknown": "?", "note": "i"}
_SIGNS |= {"proved": "✓", "helped less": "≈", "did not help": "✕", "not tried": "–"}
_SIGNS |= {"shown": "✓", "shown in part": "!", "not shown": "✕", "measured": "i"}
_FEW = 4  # names of blocks that fit into one line


def banner(section: Banner, numbers: Numbers) -> Html:
    sign = element("span", _SIGNS[section.verdict], class_="sign", aria_hidden="true")
    word = element("p", sign, element("strong", section.verdict), class_="verdict")
    facts = [element("div", element("dt", label), element("dd", value)) for label, value in section.facts]
    rest = element("dl", *facts, class_="facts") if facts else ""
    sentence = element("p", inline(section.sentence), class_="sentence")
    return element(
        "section",
        word,
        sentence,
        rest,
        class_=f"banner {_class(section.verdict)}",
        aria_label="Verdict" if section.verdict in get_args(Verdict) else "Answer",
    )


def prose(section: Prose, numbers: Numbers) -> Html:
    return _section(section.title, *_paragraphs(*section.paragraphs))


def charts(section: Charts, numbers: Numbers) -> Html:
    figures = [(figure, next(numbers)) for figure in section.figures]
    first = any(number == 1 for _, number in figures) and any(_marks_depth(figure) for figure in section.figures)
    hint = "Point at a block, or press ← and → on a chart: every chart marks it."
    grid = element("div", *(_figure(figure, number) for figure, number in figures), class_="grid")
    return _section(section.title, *_paragraphs(section.introduction), element("p", hint, class_="hint") if first else "", grid)


def _marks_depth(figure: Figure) -> bool:
    return any(param.get("name") == HOVER for param in spec(figure.chart, "page", "container").get("params", ()))


def _figure(figure: Figure, number: int) -> Html:
    table = spec(figure.chart, "page", "container")
    caption = [element("b", f"Fig. {number} "), inline(figure.caption)]
    see = element("p", element("b", "What to see. "), inline(figure.see), class_="see") if figure.see else ""
    # "<" is escaped so that no text in a chart can end the element.
    data = Html(json.dumps(table, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))
    return element(
        "figure",
        element("div", class_="plot"),
        element("p", class_="readout", aria_hidden="true"),
        element("figcaption", element("p", *caption), see),
        element("script", data, type="application/json"),
        class_="chart wide" if figure.wide else "chart",
        tabindex="0",
        aria_label=str(table.get("description", figure.caption)),
    )


def pictures(section: Pictures, numbers: Numbers) -> Html:
    rows = [_picture(row) for row in section.rows]
    return _section(section.title, *_paragraphs(section.introduction), element("div", *rows, class_="pictures"))


def _picture(row: Picture) -> Html:
    addresses = [f"data:image/png;base64,{b64encode(image).decode()}" for image in row.images]
    shown = [element("img", src=address, alt="" if place else row.tell) for place, address in enumerate(addresses)]
    return element("div", element("span", row.label, class_="quiet"), element("div", *shown, class_="strip"), class_="row")


def findings(section: Findings, numbers: Numbers) -> Html:
    if not section.findings:
        return _section(section.title, element("p", inline(section.nothing)))
    return _section(section.title, element("ul", *map(_finding, section.findings), class_="cards"))


def _finding(finding: Finding) -> Html:
    papers = citation_links(finding.citations)
    rows = {
        "Where": _where(finding.points),
        "What mends it": ", ".join(name.replace("_", " ") for name in finding.remedies),
        "Known from": papers,
    }
    facts = [element("div", element("dt", label), element("dd", value)) for label, value in rows.items() if value]
    title = element("h3", finding.title, _chip(finding.severity))
    sentence = element("p", inline(finding.sentence)), element("p", inline(finding.consequence), class_="quiet")
    return element("li", title, *sentence, element("dl", *facts) if facts else "", class_=f"card {_class(finding.severity)}")


def _where(points: tuple[str, ...]) -> str:
    return ", ".join(points) if len(points) <= _FEW else f"{len(points)} blocks, {points[0]} to {points[-1]}"


def remedies(section: Remedies, numbers: Numbers) -> Html:
    return _section(section.title, *_paragraphs(section.introduction), element("ol", *map(_tried, section.tried), class_="cards"))


def _tried(tried: Tried) -> Html:
    remedy = tried.remedy
    after = [Html(" → "), element("b", tried.after)] if tried.after else []
    facts = [element("div", element("dt", "Verdict"), element("dd", tried.before, *after))] if tried.after else []
    facts += [element("div", element("dt", "Trained"), element("dd", inline(tried.trained)))] if tried.trained else []
    code = (
        element("details", element("summary", "The code"), _code(remedy.code), open=tried.outcome == "proved")
        if remedy.code
        else ""
    )
    why = element("p", inline(remedy.why), Html(" "), _papers(remedy.citations), class_="quiet")
    title = element("h3", remedy.title, _chip(tried.outcome))
    return element("li", title, why, element("dl", *facts) if facts else "", code, class_=f"card {_class(tried.outcome)}")


def _papers(keys: tuple[str, ...]) -> Html:
    return element("span", "(", citation_links(keys), ")") if keys else Html("")


def table(section: Table, numbers: Numbers) -> Html:
    right = [all(_is_number(row[place]) for row in section.rows) for place in range(len(section.header))]
    kinds = ["number" if numeric and section.rows else None for numeric in right]
    head = element(
        "tr", *(element("th", text, scope="col", class_=kind) for text, kind in zip(section.header, kinds, strict=True))
    )
    rows = [
        element("tr", *(element("td", inline(text), class_=kind) for text, kind in zip(row, kinds, strict=True)))
        for row in section.rows
    ]
    caption = element("caption", inline(section.caption)) if section.caption else ""
    body = element("table", caption, element("thead", head), element("tbody", *rows))
    return _section(section.title, element("div", body, class_="scroll", tabindex="0", role="region", aria_label=section.title))


def code(section: Code, numbers: Numbers) -> Html:
    return _section(section.title, *_paragraphs(section.introduction), _code(section.code))


def _code(text: str) -> Html:
    button = element("button", "Copy", type="button", class_="copy")
    return element("div", button, element("pre", element("code", text.strip("\n")), tabindex="0"), class_="code")


def _section(title: str, *children: str) -> Html:
    return element("section", element("h2", title), *children)


def _paragraphs(*texts: str) -> list[Html]:
    return [element("p", inline(text)) for text in texts if text]


def _chip(word: str) -> Html:
    return element("span", element("span", _SIGNS[word], aria_hidden="true"), Html(" "), word, class_=f"chip {_class(word)}")


def _class(word: str) -> str:
    return word.replace(" ", "-")


def _is_number(text: str) -> bool:
    return text.strip() in ("", "–") or text.strip().lstrip("+-−<>~≈").replace(",", "")[:1].isdigit()


BLOCKS: dict[type[Section], Callable[[Any, Numbers], Html]] = {
    Banner: banner,
    Prose: prose,
    Charts: charts,
    Pictures: pictures,
    Findings: findings,
    Remedies: remedies,
    Table: table,
    Code: code,
}
