"""Scenes show what their labels say, and one level does not give the next away."""

from itertools import combinations

import numpy as np
import pytest
import torch

from fathometer.data import Scenes, draw_scenes, scenes
from fathometer.data.drawing import EDGES, TEXTURES, edges
from fathometer.data.scenes import LEVELS, OBJECTS, PARTS
from fathometer.errors import DataError


@pytest.fixture(scope="module")
def drawn() -> Scenes:
    """Return scenes without noise and clutter, so that the pixels are the drawing."""
    return draw_scenes(400, clutter=0, noise=0.0)


def kinds(drawn: Scenes, level: str, scene: int) -> set[str]:
    """Return the names of what a map holds in one scene."""
    return {LEVELS[level][number] for number in np.unique(drawn.maps[level][scene])} - {"none"}


def test_every_scene_has_its_object_and_the_parts_that_it_is_made_of(drawn: Scenes) -> None:
    """Without clutter the map of objects holds the one of the target, and the map of parts its parts."""
    for scene, number in enumerate(drawn.objects):
        name = list(OBJECTS)[number]
        assert kinds(drawn, "object", scene) == {name}
        assert kinds(drawn, "part", scene) == {part for part, _ in OBJECTS[name]}


def test_parts_lie_where_the_object_has_them(drawn: Scenes) -> None:
    """Eyes over the mouth, wheels under the windows; and what is part is object."""
    for scene in np.flatnonzero(drawn.objects == list(OBJECTS).index("face"))[:20]:
        rows = {
            name: np.argwhere(drawn.maps["part"][scene] == LEVELS["part"].index(name))[:, 0].mean() for name in ("eye", "mouth")
        }
        assert rows["eye"] < rows["mouth"]
    for scene in np.flatnonzero(drawn.objects == list(OBJECTS).index("bus"))[:20]:
        rows = {
            name: np.argwhere(drawn.maps["part"][scene] == LEVELS["part"].index(name))[:, 0].mean()
            for name in ("window", "wheel")
        }
        assert rows["window"] < rows["wheel"]
    assert ((drawn.maps["part"] > 0) == (drawn.maps["object"] > 0)).all()


def test_loose_parts_belong_to_no_object() -> None:
    """Clutter is in the map of parts, and not in that of objects; without clutter there is none."""
    cluttered = draw_scenes(100, clutter=4)

    assert ((cluttered.maps["part"] > 0) & (cluttered.maps["object"] == 0)).any(axis=(1, 2)).mean() > 0.9


def test_the_object_cannot_be_told_from_texture_colour_or_place() -> None:
    """The nuisances are drawn apart from the object; from the parts it can be told."""
    drawn = draw_scenes(3000, clutter=0)
    classes = len(OBJECTS)
    found = np.array([numbers[numbers > 0].max(initial=0) for numbers in drawn.maps["texture"].reshape(3000, -1)])
    table = np.zeros((classes, len(TEXTURES) + 1))
    np.add.at(table, (drawn.objects, found), 1)
    table = table[:, 1:]
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    statistic = ((table - expected) ** 2 / expected).sum()
    # χ² with 30 degrees of freedom is above 60 once in a thousand draws; the seed is fixed.
    assert statistic < 60

    parts = [frozenset(np.unique(numbers)) for numbers in drawn.maps["part"].reshape(3000, -1)]
    by_parts = {(kind, number) for kind, number in zip(parts, drawn.objects.tolist(), strict=True)}
    assert len(by_parts) == classes, "each object has one set of parts"


def test_objects_share_their_parts() -> None:
    """No part but the hull names its object: one part is not enough."""
    of = {name: {part for part, _ in parts} for name, parts in OBJECTS.items()}

    shared = {part for one, other in combinations(of.values(), 2) for part in one & other}
    assert {"wheel", "window", "eye", "mouth", "box", "gable"} <= shared
    assert {part for parts in of.values() for part in parts} == set(PARTS)


@pytest.mark.parametrize(
    ("slope", "direction"), [((0, 1), "across"), ((1, 0), "upright"), ((1, 1), "rising"), ((1, -1), "falling")]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_edge_runs_across_the_change_of_brightness(slope: tuple[int, int], direction: str, sign: int) -> None:
    """A step of brightness in a known direction has one kind of edge, whichever side is the light one."""
    y, x = np.mgrid[:16, :16]
    step = (sign * ((x - 7.5) * slope[0] + (y - 7.5) * slope[1]) > 0).astype(np.float32)
    found = edges(np.broadcast_to(step, (1, 3, 16, 16)).copy())[0]

    inner = found[3:-3, 3:-3]
    assert {EDGES[number] for number in np.unique(inner)} == {"none", direction}
    assert set(np.unique(found[:2, 9:11])) <= {0, EDGES.index(direction)}


def test_no_change_is_no_edge() -> None:
    """An even picture has no edges, and a faint step none either."""
    even = np.full((1, 3, 16, 16), 0.5, dtype=np.float32)
    faint = even.copy()
    faint[..., 8:] += 0.05

    assert not edges(even).any()
    assert not edges(faint).any()


def test_stripes_run_as_their_name_says(drawn: Scenes) -> None:
    """Where a texture of stripes is drawn, most edges inside run in its direction."""
    for name in ("across", "upright", "rising", "falling"):
        here = drawn.maps["texture"] == LEVELS["texture"].index(name)
        counts = np.bincount(drawn.maps["edge"][here], minlength=len(EDGES))[1:]
        assert EDGES[1 + counts.argmax()] == name


def test_noise_changes_the_pixels_and_no_label() -> None:
    """The same seed with and without noise has the same labels, and pixels that differ by the noise at most."""
    clean, noisy = draw_scenes(50, noise=0.0), draw_scenes(50, noise=0.1)

    assert all((clean.maps[level] == noisy.maps[level]).all() for level in LEVELS)
    apart = abs(clean.images.astype(int) - noisy.images.astype(int))
    # A tenth of 255, and a rounding on each side.
    assert 15 < apart.max() <= 27


def test_levels_have_names_for_all_their_numbers(drawn: Scenes) -> None:
    """Each map holds places in its list of names."""
    assert drawn.maps.keys() == LEVELS.keys()
    assert all(drawn.maps[level].max() < len(names) for level, names in LEVELS.items())
    assert all(numbers.shape == (400, 32, 32) for numbers in drawn.maps.values())


def test_the_data_set_is_the_drawing() -> None:
    """The first scenes are trained on, the others held out; targets are their objects."""
    data, drawn = scenes(samples=40, seed=3), draw_scenes(50, seed=3)

    assert data.train_targets[:].tolist() + data.test_targets[:].tolist() == drawn.objects.tolist()
    assert data.train_inputs[:].shape == (40, 3, 32, 32)
    # float32 rounding of 40,960 numbers
    assert data.train_inputs[:].mean().item() == pytest.approx(0, abs=1e-4)
    assert torch.equal(data.train_inputs[5:6], data.train_inputs[torch.tensor([5])])


@pytest.mark.parametrize(("options", "given"), [({"size": 8}, "`size` is 8"), ({"samples": 0}, "`samples` is 0")])
def test_scenes_that_cannot_be_drawn_are_an_error(options: dict[str, int], given: str) -> None:
    """Too small a picture, or none, is named."""
    with pytest.raises(DataError, match=given):
        scenes(**options)


def test_a_larger_picture_shows_the_same_kinds() -> None:
    """The size is a choice: all levels are there at 64 pixels too."""
    large = draw_scenes(60, size=64)

    assert large.images.shape == (60, 3, 64, 64)
    assert all(len(np.unique(numbers)) > len(LEVELS[level]) // 2 for level, numbers in large.maps.items())
