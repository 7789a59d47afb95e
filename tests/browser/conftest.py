"""Debian's Chromium, started once for the pages of a file."""

import shutil

import pytest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser():
    """Return Debian's Chromium, driven by Playwright; closed at the end, so that nothing is left open."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is missing (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        window = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield window
        window.close()
