"""Shapes, textures and edges, drawn for many scenes at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

Field = Float32[np.ndarray, "scene height width"]
Inside = Bool[np.ndarray, "scene height width"]

# Where a shape is, in its own frame: x to the right, y downwards, each from -1 to 1.
SHAPES: Mapping[str, Callable[[Field, Field], Inside]] = {
    "box": lambda x, y: (abs(x) < 1) & (abs(y) < 1),
    "disc": lambda x, y: x * x + y * y < 1,
    "gable": lambda x, y: (y < 1) & (2 * abs(x) < y + 1),
    "hull": lambda x, y: (abs(y) < 1) & (abs(x) + 0.2 * y < 0.8),
    "cross": lambda x, y: (abs(x) < 1) & (abs(y) < 1) & ((abs(x) < 0.2) | (abs(y) < 0.2)),
}
# Where a texture is dark; x and y count its stripes.
TEXTURES: Mapping[str, Callable[[Field, Field], Inside]] = {
    "plain": lambda x, y: np.zeros_like(x, dtype=bool),
    "across": lambda x, y: y % 1 < 0.5,
    "upright": lambda x, y: x % 1 < 0.5,
    "rising": lambda x, y: (x + y) % 1 < 0.5,
    "falling": lambda x, y: (x - y) % 1 < 0.5,
    "checks": lambda x, y: (x % 1 < 0.5) ^ (y % 1 < 0.5),
    "dots": lambda x, y: (x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < 0.1,
}
# The direction in which an edge runs.
EDGES = ("none", "across", "rising", "upright", "falling")
EDGE_CONTRAST = 0.12  # the least step of brightness between neighbours that counts as an edge; full contrast is 1
_TAN_OF_A_SIXTEENTH = 0.41421356  # tan 22.5°: half-way between two of the four directions


@dataclass(frozen=True, eq=False)
class Place:
    """Where things lie in each scene: the middle and half the side, in pixels."""

    x: Float32[np.ndarray, " scene"]
    y: Float32[np.ndarray, " scene"]
    scale: Float32[np.ndarray, " scene"]

    def part(self, box: tuple[float, float, float, float], pixels: int) -> tuple[Field, Field]:
        """Return the frame of a part at (x, y) with half sides (width, height), all in units of the whole."""
        x, y, width, height = box
        across, down = self.frame(pixels)
        return (across - np.float32(x)) / np.float32(width), (down - np.float32(y)) / np.float32(height)

    def frame(self, pixels: int) -> tuple[Field, Field]:
        """Return how far right and down of the middle each pixel lies, in half sides."""
        grid = np.arange(pixels, dtype=np.float32) + np.float32(0.5)
        across = (grid[None, None, :] - self.x[:, None, None]) / self.scale[:, None, None]
        down = (grid[None, :, None] - self.y[:, None, None]) / self.scale[:, None, None]
        shape = len(self.x), pixels, pixels
        return np.broadcast_to(across, shape), np.broadcast_to(down, shape)


def texture(chosen: Int64[np.ndarray, " scene"], x: Field, y: Field) -> Inside:
    """Return where the texture that each scene has chosen is dark."""
    dark = np.zeros(x.shape, dtype=bool)
    for number, draw in enumerate(TEXTURES.values()):
        here = chosen == number
        dark[here] = draw(x[here], y[here])
    return dark


def edges(images: Float32[np.ndarray, "scene 3 height width"]) -> UInt8[np.ndarray, "scene height width"]:
    """Return for each pixel the direction of the edge that runs through it, as a place in `EDGES`.

    Brightness is compared with its neighbours (Sobel's weights), the border with itself.
    """
    grey = np.pad(images.mean(axis=1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    smooth_down = grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]
    smooth_across = grey[:, :, :-2] + 2 * grey[:, :, 1:-1] + grey[:, :, 2:]
    right = (smooth_down[:, :, 2:] - smooth_down[:, :, :-2]) / 4
    down = (smooth_across[:, 2:] - smooth_across[:, :-2]) / 4
    flat, steep = abs(right) < _TAN_OF_A_SIXTEENTH * abs(down), abs(down) < _TAN_OF_A_SIXTEENTH * abs(right)
    # Brightness that grows to the right and downwards has its edge rising to the right: y points down.
    slanted = np.where(right * down > 0, EDGES.index("rising"), EDGES.index("falling"))
    found = np.select([flat, steep], [EDGES.index("across"), EDGES.index("upright")], slanted)
    return np.where(right**2 + down**2 < EDGE_CONTRAST**2, 0, found).astype(np.uint8)
