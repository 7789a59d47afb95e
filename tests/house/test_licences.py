"""We may be used, and we may use what we stand on."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What a user installs; the dev extra is ours alone.
REQUIREMENTS = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["frames"]]
NAMES = [re.split(r"[<>=~\[; ]", requirement)[0] for requirement in REQUIREMENTS]
PERMISSIVE = re.compile(r"\b(?:BSD|0BSD|MIT|Apache|Zlib|CC0|BSL|PSF|ISC)\b")
COPYLEFT = re.compile(r"\b[AL]?GPL")


def may_be_used(licence: str) -> bool:
    """Return whether a licence's name is permissive, all of it."""
    return bool(PERMISSIVE.search(licence)) and not COPYLEFT.search(licence)


def licence_of(name: str) -> str:
    """Return what a package says of its licence: the expression, the classifiers, or the first line of the text."""
    facts = metadata(name)
    classifiers = [text for text in facts.get_all("Classifier", []) if text.startswith("License")]
    # `get`: the backport of importlib.metadata, which Dask loads, raises for a key that is not there.
    stated, text = (facts.get(key, "") for key in ("License-Expression", "License"))
    return stated or "; ".join(classifiers) or text.partition("\n")[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_dependency_is_permissive(name: str) -> None:
    """Each package that a user installs with us has a permissive licence."""
    assert may_be_used(licence_of(name)), licence_of(name)


@pytest.mark.parametrize(
    ("licence", "may"), [("MIT", True), ("BSD-3-Clause AND LGPL-2.1-only", False), ("GPLv3", False), ("", False)]
)
def test_a_copyleft_licence_is_seen(licence: str, may: bool) -> None:
    """A copyleft licence, a mixture with one, and silence are refused."""
    assert may_be_used(licence) is may


def test_our_own_licence_is_whole() -> None:
    """The licence is the Apache License 2.0, from its title to its end, with our line of copyright and no other."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert re.findall(r"^ *Copyright .*$", text, re.MULTILINE) == ["   Copyright 2026 The Fathometer authors"]
