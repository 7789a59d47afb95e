"""The lessons by name, in the order in which they are told."""

from functools import lru_cache
from typing import Any

from fathometer.errors import SpecError, unknown_name
from fathometer.lab.lessons.entry import Lesson
from fathometer.lab.lessons.folklore import FOLKLORE
from fathometer.lab.lessons.four_depths import FOUR_DEPTHS
from fathometer.lab.lessons.hierarchies import HIERARCHIES
from fathometer.lab.lessons.power import POWER
from fathometer.lab.lessons.recipe import RECIPE
from fathometer.lab.lessons.residuals import RESIDUALS
from fathometer.lab.lessons.transformer import TRANSFORMER
from fathometer.lab.lessons.wrong import WRONG

LESSONS: dict[str, Lesson] = {
    "the-power-of-depth": POWER,
    "one-five-fifty-ninety-six": FOUR_DEPTHS,
    "features-in-features": HIERARCHIES,
    "what-goes-wrong": WRONG,
    "residual-connections": RESIDUALS,
    "the-transformer-block": TRANSFORMER,
    "the-whole-recipe": RECIPE,
    "where-the-folklore-is-wrong": FOLKLORE,
}


def lessons_table() -> list[dict[str, Any]]:
    """Return all lessons for the page, with gaps where numbers go."""
    return [_table(name, one) for name, one in LESSONS.items()]


def lesson(name: str, value: object = None) -> dict[str, Any]:
    """Return the numbers and pictures of a lesson for a place of its slider (None: where it begins)."""
    if name not in LESSONS:
        raise unknown_name("lesson", name[:60], LESSONS)
    slider = LESSONS[name].slider
    value = slider.first if value is None else value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not slider.least <= value <= slider.most:  # pyrefly: ignore[unsupported-operation]
        raise SpecError(
            f"`value` is {str(value)[:40]}", f"It is a number from {slider.least:g} to {slider.most:g}", f"Try {slider.first:g}"
        )
    return _shown(name, float(value))  # pyrefly: ignore[bad-argument-type]


@lru_cache(maxsize=256)
def _shown(name: str, value: float) -> dict[str, Any]:
    shown = LESSONS[name].show(value)
    return {"numbers": dict(shown.numbers), "pictures": [picture.to_dict() for picture in shown.pictures], "value": value}


def _table(name: str, one: Lesson) -> dict[str, Any]:
    opens = None if one.opens is None else {"label": one.opens[0], "setting": one.opens[1].to_dict()}
    title = one.title.format(**one.show(float(one.slider.first)).numbers) if "{" in one.title else one.title
    words = {"title": title, "claim": one.claim, "prose": list(one.prose), "task": one.task}
    return {"name": name, **words, "slider": vars(one.slider), "opens": opens, "papers": list(one.papers)}
