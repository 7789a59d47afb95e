"""The lab in Chromium: turned, broken, mended, watched; by pointer and by keys."""

import os
import re
import subprocess
import sys
import time

import pytest

from fathometer.lab.claims import CLAIMS

pytestmark = pytest.mark.browser

SERVE = [sys.executable, "-m", "fathometer", "lab", "--port"]
THEORY = """() => ['sizes', 'cosines'].map(one => document.querySelector(`.${one} .marks`).innerHTML
  + document.querySelector(`.${one} .axes`).textContent).join()"""
LINES = "() => [...document.querySelectorAll('.sizes .line, .cosines .line')].map(one => one.getAttribute('d')).join()"
SETTLED = "() => document.documentElement.dataset.ready === 'yes'"
SET = """([id, value]) => {
  const one = document.getElementById(id);
  one.value = value;
  one.dispatchEvent(new Event(one.localName === 'select' ? 'change' : 'input'));
}"""
# A control, where it is turned to, and what must stand before.
CONTROLS = (
    ("family", "convnet", {}),
    ("width", "10", {}),
    ("activation", "gelu", {}),
    ("init", "orthogonal", {}),
    ("gain", "70", {}),
    ("residual", "scaled", {}),
    ("strength", "10", {"residual": "plain"}),
    ("norm", "layer", {"residual": "plain"}),
    ("place", "after", {"residual": "plain", "norm": "layer"}),
    ("task", "sawtooth", {}),
    ("depth", "300", {}),
)
WAITED = """() => new MutationObserver(() => {
  if (document.querySelector('.run .state').textContent.startsWith('in line')) window.waited = true;
}).observe(document.querySelector('#runs'), { subtree: true, childList: true, characterData: true })"""
QUICK = {"activation": "relu", "init": "he"}


class Server:
    """The real command on a port of its own, which can be ended and started again on the same one."""

    def __init__(self):
        self.port = "0"
        self.start()

    def start(self):
        """Start the lab and wait until it says where it is."""
        self.process = subprocess.Popen([*SERVE, self.port], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[2]
        self.port = self.address.rpartition(":")[2]

    def end(self):
        """End it at once."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def server():
    """Return the running lab."""
    running = Server()
    yield running
    running.end()


@pytest.fixture
def open_lab(browser, server):
    """Return a function that opens the lab in a window of its own; what it asked for and complained of is kept."""
    contexts = []

    def open_in(width=1280, height=900, scheme="light", at=""):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(30_000)
        tab.requests, tab.complaints = [], []
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.on("console", lambda message: tab.complaints.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.goto(server.address + at)
        until(tab, SETTLED)
        return tab

    yield open_in
    for context in contexts:
        context.close()


def until(tab, condition, seconds=60):
    """Wait until something is so in the page; the page's policy forbids Playwright's own way, which evaluates text."""
    end = time.monotonic() + seconds
    while not tab.evaluate(condition):
        assert time.monotonic() < end, f"it never came to be: {condition}"
        tab.wait_for_timeout(60)


def turn(tab, **controls):
    """Turn controls, one after another, and wait for theory."""
    for name, value in controls.items():
        tab.evaluate(SET, [name if name == "depth" else f"control-{name}", str(value)])
    tab.wait_for_timeout(250)


def state(tab, place=0):
    """Return a function's text that gives how a run stands."""
    return f"() => document.querySelectorAll('.run')[{place}]?.dataset.state"


def until_state(tab, *states, place=0, seconds=90):
    """Wait until a run stands in one of some states."""
    until(tab, f"() => {list(states)}.includes(({state(tab, place)})())", seconds)


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (400, "dark"), (1280, "dark"), (1920, "light")])
def test_it_fits_asks_nobody_else_and_complains_of_nothing(open_lab, server, width, scheme):
    """At every width, in both themes, nothing scrolls sideways, all requests go to the lab itself, and the console is empty."""
    tab = open_lab(width, scheme=scheme)
    for link in ("#to-lessons", "#to-lab"):
        tab.click(link)
        tab.wait_for_timeout(250)
        assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
    dark = tab.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"

    assert dark is (scheme == "dark")
    assert tab.requests
    assert [url for url in tab.requests if not url.startswith((server.address, "data:"))] == []
    assert tab.complaints == []


def test_a_request_elsewhere_is_forbidden_and_would_be_seen(open_lab):
    """The page's policy forbids what it might ask of others, and this test's ears hear it."""
    tab = open_lab()
    tab.evaluate("() => fetch('http://127.0.0.1:9/x').catch(() => null)")
    tab.evaluate("() => new Promise(done => { const i = new Image(); i.onerror = done; i.src = 'http://127.0.0.1:9/x.png'; })")

    assert len([text for text in tab.complaints if "Content Security Policy" in text]) >= 2


def test_every_control_of_the_network_redraws_theory(open_lab):
    """Each control of the network changes the figure of theory, and leaves a ghost of what stood before."""
    tab = open_lab()
    for control, value, start in CONTROLS:
        tab.click("#beginnings button[data-name='50']")
        turn(tab, **start)
        tab.wait_for_timeout(750)  # a new gesture begins after a rest
        before = tab.evaluate(THEORY)
        turn(tab, **{control: value})
        end = time.monotonic() + 10
        while tab.evaluate(THEORY) == before and time.monotonic() < end:
            tab.wait_for_timeout(60)
        assert tab.evaluate(THEORY) != before, control
        assert tab.evaluate("() => document.querySelectorAll('.sizes .ghost').length") >= 1, control
    assert tab.complaints == []


def test_a_preflight_and_a_look_inside_are_drawn(open_lab):
    """A preflight lays what was measured over theory and gives its verdict; looking inside draws what each layer knows."""
    tab = open_lab()
    turn(tab, **QUICK, depth="160", width="3", steps="2")
    tab.click("#do-preflight")
    until(tab, "() => document.querySelector('[data-kind=preflight]')?.dataset.state === 'done'")
    assert tab.locator("[data-kind=preflight] .verdict strong").inner_text().lower() == "healthy"
    assert tab.locator(".sizes .dots.was").count() == 2
    assert tab.locator(".cosines .dots.was").count() == 1
    tab.click("#do-look")
    until(tab, "() => document.querySelector('[data-kind=look]')?.dataset.state === 'done'", 120)
    assert tab.locator("[data-kind=look] .curve").count() == 2
    assert "class is read best at" in tab.locator("[data-kind=look] .evidence").inner_text()
    turn(tab, depth="250")
    assert tab.locator(".sizes .dots.was").count() == 0  # what was measured was another network
    assert tab.complaints == []


def test_controls_of_training_reach_the_run_and_the_rest_is_rested(open_lab):
    """Optimizer, rate, clipping and steps are in what Train asks for; a control that changes nothing is rested with a reason."""
    tab = open_lab()
    orders = []
    tab.on("request", lambda request: orders.append(request.post_data_json) if request.url.endswith("/api/jobs") else None)
    turn(tab, **QUICK, optimizer="sgd", rate="9", clip="5", steps="0", width="2")
    tab.click("#do-train")
    until_state(tab, "done")

    setting = orders[0]["setting"]
    assert (setting["optimizer"], setting["rate"], setting["clip"], setting["steps"], setting["width"]) == (
        "sgd",
        0.01,
        0.2,
        20,
        16,
    )
    assert tab.locator("#control-strength").is_disabled()
    assert "no branch" in tab.locator("#control-strength-why").inner_text()
    assert tab.locator("#control-width").is_enabled()


def test_theory_is_redrawn_while_the_slider_moves(open_lab):
    """Twenty quick turns are drawn while they come, and end at the figure that one turn to the last place draws."""
    tab, quiet = open_lab(), open_lab()
    before = quiet.evaluate(LINES)
    drawn = tab.evaluate(
        """async () => {
          const depth = document.querySelector('#depth'), { redraws } = window.fathometer;
          redraws.length = 0;
          for (let place = 765; place < 785; place++) {
            depth.value = place;
            depth.dispatchEvent(new Event('input'));
            await new Promise(done => setTimeout(done, 200));
          }
          return redraws.length;
        }"""
    )
    turn(quiet, depth="784")
    end = time.monotonic() + 60
    while (lines := quiet.evaluate(LINES)) == before or tab.evaluate(LINES) != lines:
        assert time.monotonic() < end, "the two pages show other figures"
        tab.wait_for_timeout(100)

    assert drawn >= 2
    assert tab.locator("#depth-number").inner_text() == quiet.locator("#depth-number").inner_text() != "50"


def test_keys_alone_do_everything(open_lab):
    """From the top of the page, with Tab, arrows and Enter: the depth, a control, a layer's numbers, and a run."""
    tab = open_lab()
    press = tab.keyboard.press

    def go_to(name):
        for _ in range(60):
            press("Tab")
            if tab.evaluate("() => document.activeElement.id") == name:
                return
        raise AssertionError(f"Tab does not lead to {name}")

    press("Tab")
    assert tab.evaluate("() => document.activeElement.textContent") == "Skip to the figure"
    go_to("control-activation")
    press("ArrowUp")  # relu
    go_to("control-steps")
    press("Home")
    go_to("depth")
    for _ in range(3):
        press("ArrowLeft")
    tab.wait_for_timeout(200)
    assert tab.locator("#depth-number").inner_text() == "47"
    press("PageDown")
    tab.wait_for_timeout(200)
    assert tab.locator("#depth-number").inner_text() == "24"
    go_to("strips")
    press("Home")
    press("ArrowDown")
    assert "Layer 2 of 24: signal" in tab.locator("#readout").inner_text()
    press("Escape")
    assert tab.locator("#readout").inner_text() == ""
    go_to("do-train")
    press("Enter")
    until_state(tab, "done")
    assert "24 × 64 relu" in tab.locator(".run strong").inner_text()
    outline = tab.evaluate("() => getComputedStyle(document.querySelector('#do-train')).outlineStyle")
    assert outline != "none"  # what has the focus can be seen


def test_two_clicks_show_fifty_layers_fail_and_mended(open_lab):
    """One click: fifty layers are measured, judged and trained in vain. A second one: they are mended, and read most digits."""
    tab = open_lab()
    tab.click("#act")
    until(tab, "() => document.querySelector('#act').dataset.next === 'mend' && !document.querySelector('#act').disabled", 120)
    assert "will not train" in tab.locator("#story-words").inner_text()
    tab.click("#act")
    until(tab, "() => !document.querySelector('#act').disabled", 240)
    words = tab.locator("#story-words").inner_text()
    before, after = (int(share) for share in re.findall(r"(\d+)% right before, (\d+)% after", words)[0])

    assert before < 25
    assert after > 80
    chips = tab.locator(".remedy .chip").all_text_contents()
    assert chips.count("proved") == 1
    assert "helped less" in chips
    assert chips == sorted(chips, key=["proved", "helped less", "did not help", "not tried"].index)
    assert tab.locator(".run").count() == 2
    assert tab.locator(".sizes .dots.mended").count() >= 1
    assert tab.locator("#notes tr").count() == len(CLAIMS) + 1  # the failing one is a claim, the mended one stands below
    assert tab.complaints == []
    assert serious(tab) == []


def test_the_lesson_is_measured_by_ones_own_hands(open_lab):
    """A row of the lesson's table, by keys: its setting is put, preflighted and trained, and what came of it fills the row."""
    tab = open_lab()
    row = tab.locator("#notes tr", has_text="5 layers").first
    assert row.locator("td").first.inner_text() == "–"

    row.get_by_role("button").focus()
    tab.keyboard.press("Enter")
    until(tab, "() => /Again/.test(document.activeElement.textContent)", 120)

    verdict, gradient, right, _ = (cell.inner_text() for cell in row.locator("td").all())
    assert (verdict, tab.locator("#depth-number").inner_text()) == ("healthy", "5")
    assert float(gradient) > 0.1
    assert int(right.removesuffix("%")) > 80
    assert tab.complaints == []
    assert serious(tab) == []


def serious(tab):
    """Return what axe finds serious or critical, by its name and the first element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(tab).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:100]) for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_everybody_can_use_it(open_lab, scheme, width):
    """axe finds nothing serious in the lab and in the lessons, and it would find what is not readable."""
    tab = open_lab(width, scheme=scheme)
    assert serious(tab) == []
    tab.click("#to-lessons")
    tab.wait_for_timeout(700)
    assert serious(tab) == []
    tab.evaluate(
        "() => { const one = document.querySelector('.claim'); one.style.color = '#888'; one.style.background = '#777'; }"
    )
    assert [name for name, _ in serious(tab)] == ["color-contrast"]


def test_diverged_and_stopped_runs_say_so(open_lab):
    """An empty figure says what will be there; a run that diverges and one that is stopped each have their own look and words."""
    tab = open_lab()
    assert "No run yet" in tab.evaluate("() => getComputedStyle(document.querySelector('.curves'), '::after').content")
    turn(tab, **QUICK, optimizer="sgd", rate="15", gain="78")
    tab.click("#do-train")
    until_state(tab, "diverged")
    assert "not finite at step" in tab.locator(".run-words").inner_text()
    assert tab.locator("#loss .cross").count() == 1
    turn(tab, gain="40", rate="6", width="9", steps="11")
    tab.click("#do-train")
    until_state(tab, "running", place=1)
    until(tab, "() => document.querySelectorAll('.run-words')[1].textContent.startsWith('Loss')")
    tab.locator(".run button").nth(1).click()
    until_state(tab, "stopped", place=1)
    assert "Stopped at step" in tab.locator(".run-words").nth(1).inner_text()
    looks = tab.evaluate("() => [...document.querySelectorAll('.run .state')].map(one => getComputedStyle(one).color)")
    assert looks[0] != looks[1]


def test_three_browsers_at_once_are_all_served(open_lab):
    """Three visitors who train at once are told their place and all come to their end."""
    tabs = [open_lab() for _ in range(3)]
    for tab in tabs:
        turn(tab, **QUICK, depth="200", width="2", steps="2")
    for tab in tabs:
        tab.evaluate(WAITED)
        tab.click("#do-train")
    for tab in tabs:
        until_state(tab, "done", seconds=120)

    assert [tab.locator(".run .state").inner_text()[:7] for tab in tabs] == ["learned"] * 3
    at_once = max(1, (os.cpu_count() or 1) // 2)
    assert len([tab for tab in tabs if tab.evaluate("() => Boolean(window.waited)")]) >= min(1, 3 - at_once)
    assert [tab.complaints for tab in tabs] == [[], [], []]


def test_a_lost_lab_is_looked_for_and_found_again(open_lab, server):
    """When the server goes, the page says so and looks for it; when it is back, the page works, and a lost run says so."""
    tab = open_lab()
    turn(tab, **QUICK, width="9", steps="11")
    tab.click("#do-train")
    until_state(tab, "running")
    server.end()
    until(tab, "() => document.querySelector('#connection').dataset.state === 'lost'")
    server.start()
    until(tab, "() => ['back', 'there'].includes(document.querySelector('#connection').dataset.state)")
    until_state(tab, "failed")
    assert "started anew" in tab.locator(".run-words").inner_text()
    before = tab.evaluate(THEORY)
    turn(tab, depth="250")
    assert tab.evaluate(THEORY) != before


def test_lessons_turn(open_lab):
    """A lesson's slider changes its numbers and its figure, and its button opens the lab with its network."""
    tab = open_lab(at="/#lessons/what-goes-wrong")
    article = "#lesson-what-goes-wrong"
    until(tab, f"() => document.querySelectorAll('{article} .curve').length >= 4")
    look = f"() => document.querySelector('{article} .prose').textContent + document.querySelector('{article} .marks').innerHTML"
    before = tab.evaluate(look)
    tab.evaluate(SET, ["turn-what-goes-wrong", "30"])
    tab.wait_for_timeout(400)

    assert tab.evaluate(look) != before
    assert "explodes" in tab.locator(f"{article} .prose").inner_text()
    assert "…" not in tab.locator(f"{article} .prose").inner_text()
    tab.locator(f"{article} .try button").click()
    tab.wait_for_timeout(300)
    assert tab.locator("#lab").is_visible()
    assert tab.locator("#depth-number").inner_text() == "50"
    assert tab.complaints == []


def test_an_idle_page_rests(open_lab):
    """A page that nobody touches asks for nothing, nor draws anything anew for three seconds; one that is touched does."""
    tab = open_lab()
    tab.wait_for_timeout(1500)
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable")

    def done():
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return metrics["LayoutCount"], metrics["RecalcStyleCount"], len(tab.requests)

    for _ in range(5):  # on a busy machine the page may still be at its start
        before = done()
        tab.wait_for_timeout(3000)
        if done() == before:
            break
    assert done() == before
    turn(tab, depth="700")
    until(tab, "() => document.querySelector('#depth-number').textContent !== '50'")
    assert all(after > earlier for after, earlier in zip(done(), before, strict=True))
