"""Drawn scenes whose edges, textures, parts and objects are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from fathometer.data.dataset import Samples, content_hash, in_two_parts
from fathometer.data.drawing import EDGES, SHAPES, TEXTURES, Field, Inside, Place, edges, texture
from fathometer.data.images import standardize
from fathometer.errors import DataError

Box = tuple[float, float, float, float]  # middle and half sides, in units of half the object
# What a part is drawn with, one over the other: a shape, its size in the part, and a tone (None: the object's texture).
PARTS: Mapping[str, tuple[tuple[str, float, float | None], ...]] = {
    "box": (("box", 1.0, None),),
    "disc": (("disc", 1.0, None),),
    "gable": (("gable", 1.0, None),),
    "hull": (("hull", 1.0, None),),
    "wheel": (("disc", 1.0, 0.1), ("disc", 0.45, 0.75)),
    "window": (("box", 1.0, 0.85), ("cross", 1.0, 0.2)),
    "eye": (("disc", 1.0, 0.95), ("disc", 0.5, 0.05)),
    "mouth": (("disc", 1.0, 0.15),),
    "door": (("box", 1.0, 0.25),),
}
# An object is parts in their places; several share their parts and differ in the arrangement alone.
OBJECTS: Mapping[str, tuple[tuple[str, Box], ...]] = {
    "car": (
        ("box", (0.0, 0.2, 0.95, 0.3)),
        ("box", (-0.1, -0.35, 0.5, 0.3)),
        ("window", (-0.1, -0.35, 0.22, 0.2)),
        ("wheel", (-0.55, 0.55, 0.3, 0.3)),
        ("wheel", (0.55, 0.55, 0.3, 0.3)),
    ),
    "bus": (
        ("box", (0.0, -0.1, 0.95, 0.6)),
        ("window", (-0.55, -0.25, 0.22, 0.2)),
        ("window", (0.0, -0.25, 0.22, 0.2)),
        ("window", (0.55, -0.25, 0.22, 0.2)),
        ("wheel", (-0.5, 0.55, 0.3, 0.3)),
        ("wheel", (0.5, 0.55, 0.3, 0.3)),
    ),
    "face": (
        ("disc", (0.0, 0.0, 0.9, 0.95)),
        ("eye", (-0.35, -0.25, 0.25, 0.25)),
        ("eye", (0.35, -0.25, 0.25, 0.25)),
        ("mouth", (0.0, 0.45, 0.4, 0.18)),
    ),
    "robot": (
        ("box", (0.0, 0.0, 0.85, 0.9)),
        ("eye", (-0.4, -0.35, 0.25, 0.25)),
        ("eye", (0.4, -0.35, 0.25, 0.25)),
        ("mouth", (0.0, 0.45, 0.5, 0.18)),
    ),
    "house": (
        ("box", (0.0, 0.4, 0.75, 0.5)),
        ("gable", (0.0, -0.5, 0.95, 0.42)),
        ("window", (-0.35, 0.3, 0.24, 0.24)),
        ("door", (0.35, 0.55, 0.18, 0.35)),
    ),
    "boat": (
        ("gable", (0.1, -0.3, 0.6, 0.6)),
        ("hull", (0.0, 0.6, 0.95, 0.3)),
        ("window", (-0.3, 0.6, 0.2, 0.18)),
        ("window", (0.3, 0.6, 0.2, 0.18)),
    ),
}
_LOOSE_BOX: Box = (0.0, 0.0, 0.3, 0.3)
_LOOSE = ("wheel", "window", "eye", "mouth", "door")  # what may lie about without an object


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scenes with what is at every pixel: `maps[level]` is 0 for none, else a place in `LEVELS[level]`.

    The levels are "edge", "texture", "part" and "object"; loose parts belong to no object. `objects` has the class of each
    scene, from 0: a place in `OBJECTS`. Images are noisy; the edges are those of the drawing without noise.
    """

    images: UInt8[np.ndarray, "scene 3 height width"]
    maps: Mapping[str, UInt8[np.ndarray, "scene height width"]]
    objects: Int64[np.ndarray, " scene"]


LEVELS: Mapping[str, tuple[str, ...]] = {
    "edge": EDGES,
    "texture": ("none", *TEXTURES),
    "part": ("none", *PARTS),
    "object": ("none", *OBJECTS),
}


def scenes(
    *, samples: int = 4096, size: int = 32, clutter: int = 3, noise: float = 0.1, textured: bool = False, seed: int = 0
) -> Samples:
    """Return drawn scenes and the object in each; a quarter as many more are held out.

    `textured`: a class for each object in each texture, so that there is a reason to tell textures apart.

    Inputs `(batch, 3, size, size)` of mean 0 and std 1. `clutter` loose parts lie about; `noise` is the largest change of a
    pixel, where full contrast is 1.
    """
    if samples < 1:
        raise DataError(f"`samples` is {samples}", "It must be at least 1", "Try 4096")
    drawn = draw_scenes(samples + max(1, samples // 4), size=size, clutter=clutter, noise=noise, seed=seed)
    stored = torch.from_numpy(drawn.images)
    names, classes = list(OBJECTS), drawn.objects
    if textured:
        names = [f"{name}, {look}" for name in OBJECTS for look in TEXTURES]
        classes = drawn.objects * len(TEXTURES) + drawn.maps["texture"].reshape(len(drawn.objects), -1).max(1) - 1
    facts = {
        "classes": len(names),
        "class_names": names,
        "shape": list(stored.shape[1:]),
        "sha256": content_hash([drawn.images, classes]),
    }
    targets = torch.from_numpy(classes)
    return in_two_parts("scenes", facts, stored, targets, train=samples, convert=standardize(stored[:samples]))


def draw_scenes(count: int, *, size: int = 32, clutter: int = 3, noise: float = 0.1, seed: int = 0) -> Scenes:
    """Return `count` scenes with their labels; place, scale, colours and texture do not depend on the object.

    Raises `DataError` for a size at which parts would be smaller than a pixel.
    """
    if size < 16:
        raise DataError(f"`size` is {size}", "A scene has at least 16 pixels a side", "Try 32")
    generator = np.random.default_rng(seed)
    objects = generator.integers(len(OBJECTS), size=count)
    canvas = _Canvas(generator, count, size)
    for _ in range(clutter):
        canvas.draw_loose(generator)
    canvas.draw_objects(generator, objects)
    maps = {"edge": edges(canvas.images), **canvas.maps}
    noisy = canvas.images + generator.uniform(-noise, noise, canvas.images.shape).astype(np.float32)
    return Scenes((noisy.clip(0, 1) * 255).round().astype(np.uint8), maps, objects)


class _Canvas:
    """Scenes while they are drawn: images from 0 to 1, the maps, and the colours of each scene."""

    def __init__(self, generator: np.random.Generator, count: int, size: int) -> None:
        uniform = partial(generator.uniform, size=(count, 3))
        self.size, self.ground = size, uniform(0.15, 0.85).astype(np.float32)
        is_light = self.ground.mean(axis=1, keepdims=True) > 0.5
        self.colour = np.where(is_light, uniform(0.0, 0.35), uniform(0.65, 1.0)).astype(np.float32)
        self.textures = generator.integers(len(TEXTURES), size=count)
        shade = np.linspace(0.85, 1.15, size, dtype=np.float32)
        self.images = np.repeat((self.ground[:, :, None] * shade)[..., None], size, axis=3)
        self.maps = {level: np.zeros((count, size, size), dtype=np.uint8) for level in ("texture", "part", "object")}

    def draw_objects(self, generator: np.random.Generator, objects: Int64[np.ndarray, " scene"]) -> None:
        """Draw one object into each scene, whole and between a half and nine tenths of its side."""
        half = generator.uniform(0.25, 0.45, len(objects)) * self.size
        x, y = (generator.uniform(half, self.size - half) for _ in range(2))
        for number, parts in enumerate(OBJECTS.values()):
            rows = np.flatnonzero(objects == number)
            place = Place(*(values[rows].astype(np.float32) for values in (x, y, half)))
            for part, box in parts:
                self._draw(part, place.part(box, self.size), rows, number + 1)

    def draw_loose(self, generator: np.random.Generator) -> None:
        """Draw one part, of no object, anywhere into each scene."""
        kinds = generator.integers(len(_LOOSE), size=len(self.images))
        half = generator.uniform(0.25, 0.45, len(kinds)) * self.size
        x, y = (generator.uniform(0, self.size, len(kinds)) for _ in range(2))
        for number, part in enumerate(_LOOSE):
            rows = np.flatnonzero(kinds == number)
            place = Place(*(values[rows].astype(np.float32) for values in (x, y, half)))
            self._draw(part, place.part(_LOOSE_BOX, self.size), rows, 0)

    def _draw(self, part: str, frame: tuple[Field, Field], rows: Int64[np.ndarray, " scene"], number: int) -> None:
        """Draw a part into some scenes; `number` is what the map of objects gets."""
        x, y = frame
        for layer, (shape, share, tone) in enumerate(PARTS[part]):
            inside = SHAPES[shape](x / np.float32(share), y / np.float32(share))
            if layer == 0:
                values = {"part": LEVELS["part"].index(part), "object": number, "texture": 0}
                for level, value in values.items():
                    self._mark(level, rows, inside, value)
            if tone is None:
                self._paint_textured(rows, inside)
            else:
                self._paint(rows, inside, np.full((len(rows), 3), tone, dtype=np.float32))

    def _paint_textured(self, rows: Int64[np.ndarray, " scene"], inside: Inside) -> None:
        stripe = np.arange(self.size, dtype=np.float32) / np.float32(max(4, self.size // 8))
        x, y = np.broadcast_arrays(stripe[None, None, :], stripe[None, :, None])
        shape = inside.shape
        dark = texture(self.textures[rows], np.broadcast_to(x, shape), np.broadcast_to(y, shape))
        self._paint(rows, inside, self.colour[rows])
        self._paint(rows, inside & dark, (self.colour[rows] + self.ground[rows]) / 2)
        self._mark("texture", rows, inside, (self.textures[rows] + 1)[:, None, None])

    def _paint(self, rows: Int64[np.ndarray, " scene"], inside: Inside, colour: Float32[np.ndarray, "scene 3"]) -> None:
        self.images[rows] = np.where(inside[:, None], colour[:, :, None, None], self.images[rows])

    def _mark(self, level: str, rows: Int64[np.ndarray, " scene"], inside: Inside, value: Any) -> None:
        self.maps[level][rows] = np.where(inside, np.asarray(value, dtype=np.uint8), self.maps[level][rows])
