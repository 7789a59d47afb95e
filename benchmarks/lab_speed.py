"""What a user of the lab waits for: the first answered page, and theory redrawn under a moving slider."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

STARTS, TRIES = 5, 5
START_LIMIT, REDRAW_LIMIT = 2000, 60  # milliseconds; above 60 a figure no longer moves with the hand
IDLE_LIMIT, IDLE_SECONDS = 30, 3  # milliseconds of so many seconds: a hundredth of a core
SERVE = [sys.executable, "-m", "fathometer", "lab", "--port", "0"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
WIDTH = """place => {
  const one = document.querySelector('#control-width');
  one.value = place;
  one.dispatchEvent(new Event('input'));
}"""
# About 190 to 230 layers, one turn every 70 ms; each turn's milliseconds until its figure is painted.
TURNS = """async () => {
  const depth = document.querySelector('#depth'), { redraws } = window.fathometer;
  redraws.length = 0;
  for (let place = 765; place < 785; place++) {
    depth.value = place;
    depth.dispatchEvent(new Event('input'));
    await new Promise(done => setTimeout(done, 70));
  }
  return redraws;
}"""


def lab_speed() -> list[dict[str, Any]]:
    """Return one row for each wait in milliseconds: the middle, the best and the worst of some tries, and the limit we set us.

    A start is told in wall and in processor time; a try of the slider is the median of its twenty turns.
    """
    starts = [_start() for _ in range(STARTS)]
    return [
        _row("from the command to the first answered page", [wall for wall, _ in starts], START_LIMIT),
        _row("the same, processor time of the server", [work for _, work in starts], START_LIMIT),
        _row("processor time of the server in three idle seconds", [_idle() for _ in range(STARTS)], IDLE_LIMIT),
        _row("from a turn of the slider to the redrawn figure, 200 layers", _redraws(), REDRAW_LIMIT),
    ]


def _row(name: str, times: list[float], limit: float) -> dict[str, Any]:
    middle = median(times)
    row = {"wait": name, "milliseconds": middle, "best": min(times), "worst": max(times), "limit": limit}
    return {**row, "kept": middle <= limit, "tries": len(times)}


@contextmanager
def _lab() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the real command; give its address and its process, and end it."""
    process = subprocess.Popen(SERVE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2], process
    finally:
        process.kill()
        process.communicate()


def _start() -> tuple[float, float]:
    begin = perf_counter()
    with _lab() as (address, process):
        httpx.get(address, timeout=30).raise_for_status()
        return 1000 * (perf_counter() - begin), _work(process)


def _idle() -> float:
    with _lab() as (address, process):
        httpx.get(address, timeout=30).raise_for_status()
        before = _work(process)
        sleep(IDLE_SECONDS)
        return _work(process) - before


def _work(process: subprocess.Popen[str]) -> float:
    """Return the milliseconds of processor time that a process has taken."""
    ticks = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return 1000 * (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def _redraws() -> list[float]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("The lab is timed in Chromium, which is missing (Debian: apt-get install chromium).")
    with _lab() as (address, _), sync_playwright() as driver:
        window = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        tab = window.new_page()
        tab.goto(address)
        tab.wait_for_selector("html[data-ready=yes]")
        times = [_turned(tab, place) for place in range(TRIES)]
        window.close()
    return times


def _turned(tab: Page, place: int) -> float:
    """Return the median of twenty turns at a width of their own, so that nothing is remembered from the try before."""
    tab.evaluate(WIDTH, place)
    tab.wait_for_timeout(500)
    return median(tab.evaluate(TURNS))
