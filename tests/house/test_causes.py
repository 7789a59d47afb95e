"""Every cause has its page, and the network on the page has that fault."""

import re
import runpy
from pathlib import Path

import pytest

from fathometer.finding import CAUSES, CITATIONS

GENERATOR = runpy.run_path(str(Path(__file__).with_name("causes.py")))
PAGES: Path = GENERATOR["PAGES"]
# The deepest take a few seconds each.
SLOW = (
    "exploding_gradient", "correlation_collapse", "rank_collapse", "post_norm_imbalance", "batchnorm_explosion",
    "shattered_gradients", "attention_entropy_collapse", "vanishing_gradient", "token_rank_collapse",
)  # fmt: skip
PAGE_BYTES, PICTURE_BYTES, CODE_LINES = 20_000, 40_000, 22


def text_of(cause: str) -> str:
    """Return the page of a cause."""
    return (PAGES / f"{cause}.md").read_text(encoding="utf-8")


def code_of(text: str) -> str:
    """Return the experiment of a page."""
    found = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{len(found)} experiments"
    return found[0]


def without_numbers(text: str) -> str:
    """Return a text in which every number, and what makes its power of ten, is the same."""
    return re.sub(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]*", "#", text)


def test_there_is_a_page_for_every_cause_and_none_is_left_over() -> None:
    """The folder holds the page, picture and experiment of each cause, and the index; nothing else."""
    expected = {f"{cause}.{suffix}" for cause in CAUSES for suffix in ("md", "svg", "py")} | {"README.md"}

    assert {path.name for path in PAGES.iterdir() if path.is_file()} == expected
    assert set(GENERATOR["LOOKS"]) == set(CAUSES)


def test_the_index_is_up_to_date() -> None:
    """The index is what `make causes` would write, with a link for each cause."""
    assert (PAGES / "README.md").read_text(encoding="utf-8") == GENERATOR["index"]()


@pytest.mark.parametrize("cause", CAUSES)
def test_a_page_says_what_the_cause_says(cause: str) -> None:
    """A page names the title, what follows, the doubt, what is not seen and every paper, and shows its own experiment."""
    text, words = text_of(cause), CAUSES[cause]
    said = (words.title, words.consequence, words.doubt, GENERATOR["LOOKS"][cause].unseen, f"({cause}.svg)")

    assert [part for part in (*said, *(CITATIONS[key] for key in words.citations)) if part not in text] == []
    assert code_of(text) == (PAGES / f"{cause}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("cause", CAUSES)
def test_a_page_is_small(cause: str) -> None:
    """A page, its picture and its code stay small, and the picture holds no font."""
    picture = (PAGES / f"{cause}.svg").read_text(encoding="utf-8")
    lines = [line for line in code_of(text_of(cause)).splitlines()[1:] if line.strip()]

    assert len(text_of(cause).encode()) < PAGE_BYTES
    assert len(picture.encode()) < PICTURE_BYTES
    assert "@font-face" not in picture
    assert len(lines) <= CODE_LINES


@pytest.mark.parametrize("cause", [pytest.param(cause, marks=[pytest.mark.slow] * (cause in SLOW)) for cause in CAUSES])
def test_the_network_on_the_page_has_the_fault_and_its_twin_is_healthy(cause: str) -> None:
    """The code of a page runs; preflight names the cause first for the one network, and nothing for the other."""
    faulty, healthy = GENERATOR["both"](GENERATOR["run"](PAGES / f"{cause}.py"))

    named = [finding.cause for finding in faulty.findings]
    assert cause in named if cause in GENERATOR["BESIDES"] else named[0] == cause
    assert (healthy.verdict, healthy.findings) == ("healthy", ())
    assert without_numbers(GENERATOR["told"](faulty)) in without_numbers(text_of(cause))


def test_a_changed_sentence_is_seen_and_a_changed_digit_is_not() -> None:
    """Comparison without numbers takes 10¹⁴ for 10³ and 0.328 for 0.33, and no word for another."""
    page = "10¹⁴ times smaller (× 0.328 per block), 2.41e+04"

    assert without_numbers(page) == without_numbers("10³ times smaller (× 0.33 per block), 7")
    assert without_numbers(page) != without_numbers(page.replace("smaller", "larger"))


@pytest.mark.slow
@pytest.mark.parametrize("cause", CAUSES)
def test_a_page_is_what_would_be_written_now(cause: str) -> None:
    """Measured anew, a page differs in numbers at most."""
    written = GENERATOR["page"](cause, GENERATOR["gather"](cause))

    assert without_numbers(text_of(cause)) == without_numbers(written)
