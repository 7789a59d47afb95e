"""A page is one file, complete, escaped, and allowed to ask for nothing."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from fathometer.depth_profile import DepthProfile
from fathometer.figures import depth_chart, probe_chart
from fathometer.finding import Finding, Remedy
from fathometer.report import (
    Banner,
    Charts,
    Code,
    Figure,
    Findings,
    Page,
    Prose,
    Remedies,
    Table,
    Tried,
    render,
    save,
)

ATTACK = "</script><script>alert('1')</script><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """Collects the elements of a page, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.scripts, self.left_open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag != "path":
            self.left_open.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.found[-1][1], data))

    def of(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def chart(label="network"):
    """Return a small chart whose names are the label."""
    points = (label, "blocks.1")
    return depth_chart("gradient", [(label, DepthProfile("measured", points, {"gradient": (0.1, 1.0)}))])


def hostile_page():
    """Return a page with every kind of section, and an attack in every text that a user may give."""
    finding = Finding("vanishing_gradient", "will not train", ATTACK, 0.1, 0.2, "gradient", (ATTACK,), (ATTACK,))
    tried = Tried(Remedy("he", ATTACK, ATTACK, 1, ATTACK, ("he2015init",)), "proved", "at risk", "healthy", ATTACK)
    return Page(
        ATTACK,
        ATTACK,
        (
            Banner("will not train", ATTACK, ((ATTACK, ATTACK),)),
            Prose(ATTACK, (ATTACK, f"`{ATTACK}`")),
            Charts(ATTACK, (Figure(chart(ATTACK), ATTACK, ATTACK),), ATTACK),
            Findings(ATTACK, (finding,)),
            Remedies(ATTACK, (tried,), ATTACK),
            Table(ATTACK, (ATTACK,), [(ATTACK,)], ATTACK),
            Code(ATTACK, ATTACK, ATTACK),
        ),
        ATTACK,
    )


def test_nothing_that_a_user_wrote_becomes_an_element():
    """An attack in every text leaves the page with its own elements only, all closed."""
    elements = Elements(render(hostile_page()))

    assert elements.of("img") == []
    assert len(elements.of("script")) == 3  # the chart's data, Vega, and the page's own
    assert elements.left_open == []


def test_the_attack_is_still_readable():
    """What was written is shown and not dropped."""
    assert render(hostile_page()).count("&lt;img src=x onerror=alert(1)&gt;") > 15


def test_a_long_title_breaks_behind_its_commas() -> None:
    """A network's name is no one word; a short title is as it was."""
    name = "Preflight of gpt3-175b@depth=24,width=64,vocabulary=16,context=8"
    page = replace(hostile_page(), title=name)
    assert '<h1 class="long">Preflight of gpt3-175b@<wbr>depth=24,<wbr>width=64,<wbr>vocabulary=16,' in render(page)
    assert "<h1>Short</h1>" in render(replace(page, title="Short"))


def test_every_script_that_runs_is_allowed_by_its_hash():
    """The policy forbids everything by default and names the hash of each script that runs, and no other."""
    elements = Elements(render(Page("", "", (Charts("", (Figure(chart(), ""),)),))))
    policy = next(attrs["content"] for attrs in elements.of("meta") if "http-equiv" in attrs)
    running = [text for attrs, text in elements.scripts if "type" not in attrs]

    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    expected = {b64encode(sha256(text.encode()).digest()).decode() for text in running}
    assert expected == set(re.findall(r"'sha256-([^']+)'", policy))
    assert len(expected) == 2


def test_nothing_is_asked_of_anyone():
    """No element has an address of its own except links inside the page and the icon, which is data."""
    addresses = [attrs.get("src") or attrs.get("href") for _, attrs in Elements(render(hostile_page())).found]

    assert all(address.startswith(("#", "data:")) for address in addresses if address)


def test_a_page_without_charts_carries_no_charting_code():
    """A page of prose is small."""
    assert len(render(Page("Title", "", (Prose("", ("Text.",)),)))) < 30_000


def test_the_chart_in_the_page_is_the_chart():
    """The data in the page is the chart's own, as wide as the page allows."""
    scripts = Elements(render(Page("", "", (Charts("", (Figure(chart(), ""),)),)))).scripts
    table = json.loads(next(text for attrs, text in scripts if attrs.get("type") == "application/json"))

    assert table["width"] == "container"
    assert any(row.get("block") == "1 (network)" for row in table["datasets"]["readout"])


def test_figures_are_numbered_through_the_page():
    """Figures count on from one section to the next, and the hint how to point stands once."""
    figures = Charts("", (Figure(chart(), "One."), Figure(probe_chart([("a", [0.5])], 0.1), "Two.")))
    page = render(Page("", "", (figures, figures)))

    assert re.findall(r"Fig\. (\d)", page) == ["1", "2", "3", "4"]
    assert page.count('class="hint"') == 1


@pytest.mark.parametrize("verdict", ["healthy", "at risk", "will not train", "unknown"])
def test_the_verdict_is_a_word(verdict):
    """The verdict is said in its word, beside the colour and the sign."""
    assert f"<strong>{verdict}</strong>" in render(Page("", "", (Banner(verdict, "Why."),)))


def test_no_findings_are_good_news_in_words():
    """An empty list of findings says so."""
    assert "Nothing was found to be wrong." in render(Page("", "", (Findings("What is wrong", ()),)))


def test_only_the_proved_remedy_shows_its_code_at_once():
    """The code of what worked is open; that of the others is one click away; advice has none."""
    tried = [Tried(Remedy(name, name, "", 1, f"{name}()"), name, "at risk") for name in ("did not help", "proved", "not tried")]
    advice = Tried(Remedy("advice", "advice", "", 1), "not tried", "at risk")
    elements = Elements(render(Page("", "", (Remedies("", (*tried, advice)),))))

    assert [("open" in attrs) for attrs in elements.of("details")] == [False, True, False]


def test_many_blocks_are_named_by_their_ends():
    """A finding in many blocks names the first and the last; one in few names each."""
    points = tuple(f"b{index}" for index in range(38))
    many, few = (Finding("dead_units", "note", "", 1.0, 0.5, "dead", some) for some in (points, points[:2]))
    page = render(Page("", "", (Findings("", (many, few)),)))

    assert "38 blocks, b0 to b37" in page
    assert "b0, b1" in page


def test_columns_of_numbers_are_set_to_the_right():
    """A column is set to the right when all its cells are numbers, and not when one is a word."""
    table = Table("", ("name", "loss"), [("a", "2.303"), ("1", "−0.1")])
    cells = Elements(render(Page("", "", (table,)))).of("th")

    assert [cell.get("class") for cell in cells] == [None, "number"]


def test_a_page_is_saved_as_it_is_rendered(tmp_path):
    """The file holds the rendered page in UTF-8, with bare newlines, so that the hashes of its scripts hold."""
    page = Page("Größe → 10⁻¹²", "", ())
    save(page, tmp_path / "page.html")

    assert (tmp_path / "page.html").read_bytes() == render(page).encode()
