"""What a user installs: wheel and sdist hold what they should, and the wheel works without the tree."""

import tomllib
from pathlib import Path

import pytest
from benchmarks import packaging as smoke

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return the wheel of the tree, the wheel of the sdist, and the sdist."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    return smoke.build(tmp_path_factory.mktemp("built"))


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Every file of the package is in it, py.typed, pages and lessons too; a file that is lost is seen."""
    smoke.check_wheel(built[0])
    lost = tmp_path / "lost.whl"
    with smoke.ZipFile(built[0]) as whole, smoke.ZipFile(lost, "w") as part:
        for name in whole.namelist():
            if not name.endswith("lab/static/index.html"):
                part.writestr(name, whole.read(name))

    with pytest.raises(AssertionError, match=r"missing \['fathometer/lab/static/index.html'\]"):
        smoke.check_wheel(lost)


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(built: tuple[Path, Path, Path]) -> None:
    """File by file; and it holds the tests with what they read."""
    wheel, again, sdist = built

    assert smoke.contents(wheel) == smoke.contents(again)
    wanted = {
        "pyproject.toml",
        "Makefile",
        "README.md",
        "JOURNAL.md",
        "tests/conftest.py",
        "benchmarks/__main__.py",
        "docs/demo.png",
    }
    assert wanted <= smoke.members(sdist)


@pytest.mark.slow
def test_the_wheel_works_in_an_environment_of_its_own(built: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """The command answers, and the lab serves its page, styles and scripts, where there is no tree."""
    place = smoke.environment(tmp_path / "environment", built[0])

    smoke.tried(place, *smoke.TRIED["fathometer --help"])
    with pytest.raises(AssertionError, match="ended with 2"):
        smoke.tried(place, ("fathometer", "no-such-verb"), 0, "")
    assert smoke.lab_files(place) == len(list((ROOT / "src/fathometer/lab/static").iterdir()))


def test_what_is_packed_is_there() -> None:
    """Each path that the sdist names exists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]

    assert [path for path in named if not list(ROOT.glob(path.lstrip("/")))] == []
