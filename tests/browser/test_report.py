"""The report in Chromium: asks for nothing, draws all, marks one depth in all."""

import math
import random

import pytest

from fathometer.depth_profile import DepthProfile
from fathometer.figures import depth_chart, loss_chart, probe_chart
from fathometer.finding import Finding, Remedy
from fathometer.report import Banner, Charts, Code, Figure, Findings, Page, Prose, Remedies, Table, Tried, save

pytestmark = pytest.mark.browser

DEPTH = 50
CODE = "import torch\n\nfor layer in model.modules():\n    if hasattr(layer, 'weight'):\n        layer.reset_parameters()\n"

# The contrast of WCAG 2 between the ink of each element and the paper that lies under it.
CONTRAST = """selector => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = node => {
    for (let one = node; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(selector)].map(node => {
    const style = getComputedStyle(node);
    const ink = light(parts(node instanceof SVGElement ? style.fill : style.color));
    const ground = light(paper(node));
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  });
}"""


def profile(gain_per_block, seed):
    """Return what a network of 50 blocks would show whose gradient changes by this factor from block to block."""
    noise = random.Random(seed)
    gradient = tuple(gain_per_block ** (DEPTH - 1 - index) * math.exp(noise.gauss(0, 0.2)) for index in range(DEPTH))
    signal = tuple(0.6 * 0.95**index * math.exp(noise.gauss(0, 0.1)) for index in range(DEPTH))
    return DepthProfile("measured", tuple(f"blocks.{index}" for index in range(DEPTH)), {"gradient": gradient, "signal": signal})


def forecast():
    """Return the band in which the sick network's gradient should lie."""
    values = tuple(0.575 ** (DEPTH - 1 - index) for index in range(DEPTH))
    low = {"gradient": tuple(value * 0.2 for value in values)}
    high = {"gradient": tuple(value * 5 for value in values)}
    return DepthProfile("forecast", tuple(map(str, range(DEPTH))), {"gradient": values}, low, high)


def charts():
    """Return three figures by depth, and one by step."""
    networks = [("as PyTorch initialises it", profile(0.575, 0)), ("orthogonal", profile(1.0, 1))]
    losses = [("sick", [[2.31] * 200] * 3), ("mended", [[2.3 * math.exp(-step / 50) for step in range(200)]] * 3)]
    probes = [("sick", [0.9 * 0.9**index for index in range(DEPTH)]), ("mended", [0.95] * DEPTH)]
    return (
        Figure(depth_chart("gradient", networks, forecast()), "Forecast and measurement.", "The dots lie in the band."),
        Figure(depth_chart("signal", networks), "The signal."),
        Figure(loss_chart(losses, reference=math.log(10)), "Training."),
        Figure(probe_chart(probes, 0.1), "Probes.", wide=True),
    )


def page():
    """Return a report with every kind of section."""
    found = Finding(
        "vanishing_gradient", "will not train", "It shrinks by 0.575 a block.", 1e-12, 1e-6, "gradient", ("blocks.0",)
    )
    remedy = Remedy("orthogonal", "Orthogonal matrices", "They keep lengths.", 1, CODE, ("saxe2014",))
    return Page(
        "A 50-layer tanh network on handwritten digits",
        "Will it learn, and if not, what mends it?",
        (
            Banner(
                "will not train",
                "The first block gets `1e-12` of the gradient of the last.",
                (("Blocks", "50"), ("Loss", "2.31")),
            ),
            Charts("Forecast and measurement", charts(), "What theory says, and what is there."),
            Findings("What is wrong", (found,)),
            Remedies("What was tried", (Tried(remedy, "proved", "will not train", "healthy", "accuracy 0.96"),)),
            Table("Runs", ("network", "loss", "accuracy", "a long column of words"), [("tanh", "2.303", "0.10", "word " * 12)]),
            Code("Mend your own", CODE),
            Prose("Caveats", ("The verdict is about the start.",)),
        ),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the report's file."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    save(page(), path)
    return path


@pytest.fixture
def open_report(browser, report):
    """Return a function that opens the report in a window of its own and lists its requests and complaints."""
    contexts = []

    def open_in(width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        requests, complaints = [], []
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(report.as_uri())
        tab.wait_for_selector("html[data-ready]")
        return tab, requests, complaints

    yield open_in
    for context in contexts:
        context.close()


def test_the_file_is_small(report):
    """The whole report, with its charts and what draws them, is under 1.5 MB."""
    assert report.stat().st_size < 1_500_000


def test_it_asks_for_nothing_and_complains_of_nothing(open_report, report):
    """Opening the report requests the file itself and nothing else, and the console stays empty."""
    _, requests, complaints = open_report()

    assert requests == [report.as_uri()]
    assert complaints == []


def test_a_request_would_be_refused_and_seen(open_report):
    """The policy forbids what a page might ask for, and this test's ears hear it."""
    tab, _, complaints = open_report()
    tab.evaluate("() => new Promise(done => { const i = new Image(); i.onerror = done; i.src = 'http://127.0.0.1:9/x.png'; })")
    tab.evaluate("() => fetch('http://127.0.0.1:9/x').catch(() => null)")

    assert len([text for text in complaints if "Content Security Policy" in text]) >= 2


@pytest.mark.parametrize("width", [1280, 400])
def test_every_chart_is_drawn_inside_the_page(open_report, width):
    """Each figure holds a picture with lines and its title in full, and the page does not scroll sideways."""
    tab, _, _ = open_report(width)
    figures = tab.locator("figure.chart")

    assert figures.count() == 4
    for figure in figures.all():
        assert figure.locator("svg path[stroke]").count() > 0
        title, picture = figure.locator(".role-title-text").bounding_box(), figure.locator("svg").bounding_box()
        assert title["y"] >= picture["y"] - 1  # a pixel for rounding
        assert picture["width"] <= width
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def marked_x(figure):
    """Return where a chart's rule stands, as a share of the width between its first and last dot; None without a rule."""
    rules = figure.locator(".mark-rule line:not([opacity='0'])").all()
    vertical = [box for box in (rule.bounding_box() for rule in rules) if box and box["height"] > 100]
    dots = [
        box["x"] + box["width"] / 2 for box in (dot.bounding_box() for dot in figure.locator(".mark-symbol.role-mark path").all())
    ]
    if not vertical:
        return None
    return (vertical[0]["x"] + vertical[0]["width"] / 2 - min(dots)) / (max(dots) - min(dots))


def test_pointing_at_a_depth_marks_it_in_every_chart(open_report):
    """The depth under the pointer in one chart has a rule and its numbers in all charts by depth, until the pointer leaves."""
    tab, _, _ = open_report()
    by_depth = [tab.locator("figure.chart").nth(place) for place in (0, 1, 3)]
    picture = by_depth[0].locator("svg")
    picture.scroll_into_view_if_needed()

    assert [marked_x(figure) for figure in by_depth] == [None, None, None]

    box = picture.bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.6)
    tab.wait_for_selector("figure.chart:nth-of-type(4)[data-hover-depth]")
    depth = int(by_depth[0].get_attribute("data-hover-depth"))

    assert 15 < depth < 35
    assert {figure.get_attribute("data-hover-depth") for figure in by_depth} == {str(depth)}
    for figure in by_depth:
        # Vega draws in its own time after the attribute is set.
        tab.wait_for_function("figure => figure.querySelector('.readout').textContent !== ''", arg=figure.element_handle())
        assert f"block {depth}" in figure.locator(".readout").inner_text()
        assert marked_x(figure) == pytest.approx((depth - 1) / (DEPTH - 1), abs=0.005)  # half a pixel in 440

    tab.mouse.move(2, 2)
    tab.wait_for_function("() => document.querySelector('figure.chart').dataset.hoverDepth === ''")
    tab.wait_for_timeout(200)

    assert [marked_x(figure) for figure in by_depth] == [None, None, None]


def test_the_tooltip_names_the_layer(open_report):
    """Pointing at a depth shows the layer's name and the numbers of all networks."""
    tab, _, _ = open_report()
    picture = tab.locator("figure.chart svg").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.6)
    tab.wait_for_selector("#vg-tooltip-element.visible")
    text = tab.locator("#vg-tooltip-element").inner_text()

    assert "(blocks." in text
    assert "orthogonal" in text
    assert "undefined" not in text


def test_the_keyboard_walks_through_depth(open_report):
    """Arrow keys on a chart move the mark from block to block in all charts, and Escape takes it away."""
    tab, _, _ = open_report()
    first, second = tab.locator("figure.chart").nth(0), tab.locator("figure.chart").nth(1)
    first.focus()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowLeft")

    assert second.get_attribute("data-hover-depth") == "2"

    tab.keyboard.press("Escape")

    assert second.get_attribute("data-hover-depth") == ""


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_readable(open_report, scheme, width):
    """All words, also those in the charts, have the contrast of 4.5:1 that WCAG asks for, in both themes."""
    tab, _, _ = open_report(width, scheme)
    words = tab.evaluate(
        CONTRAST, "h1, h2, h3, p, dt, dd, td, th, li, a, b, code, button, summary, strong, .chip, .plot svg text"
    )

    assert len(words) > 100
    assert min(words) >= 4.5


def test_the_theme_can_be_switched(open_report):
    """The button turns the light page dark, paper and charts, and back."""
    tab, _, _ = open_report()

    def colours():
        paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        return paper, tab.evaluate("getComputedStyle(document.querySelector('.role-title-text text')).fill")

    light = colours()
    tab.locator("#theme").click()
    dark = colours()
    tab.locator("#theme").click()

    assert light[0] != dark[0]
    assert light[1] != dark[1]
    assert colours() == light


def test_code_is_copied(open_report):
    """The button by a piece of code puts it on the clipboard and says so."""
    tab, _, _ = open_report()
    button = tab.locator(".copy").last
    button.click()
    tab.wait_for_function("() => [...document.querySelectorAll('.copy')].pop().textContent === 'Copied'")

    assert tab.evaluate("navigator.clipboard.readText()") == CODE.strip("\n")


def test_a_chart_follows_the_window(open_report):
    """A window made narrow keeps every chart and its title inside."""
    tab, _, _ = open_report()
    tab.set_viewport_size({"width": 400, "height": 900})
    tab.wait_for_function(
        "() => [...document.querySelectorAll('.plot svg')].every(svg => svg.getBoundingClientRect().width < 400)"
    )
    tab.wait_for_timeout(300)  # the legend wraps in a second pass
    for figure in tab.locator("figure.chart").all():
        assert figure.locator(".role-title-text").bounding_box()["y"] >= figure.locator("svg").bounding_box()["y"] - 1
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400


def test_print_shows_all_code_on_white(open_report):
    """In print the paper is white whatever the theme, and collapsed code is open."""
    tab, _, _ = open_report(scheme="dark")
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("[...document.querySelectorAll('details')].every(one => one.open)")
