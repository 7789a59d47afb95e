"""What a unit likes best: patches of the images, places of the text."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fathometer.contract import call, main_tensor
from fathometer.errors import BatchError, SpecError, unknown_name
from fathometer.instruments import DepthPoint, listen, unchanged
from fathometer.lenses.streaming import in_batches, points_of, stream

BATCH_SIZE = 64
FEW = 8  # images that a patch's size is read from
UNITS, EACH = 6, 8
MASS = 0.9  # of the gradient of a unit at the image lies in its patch
BEFORE, AFTER = 40, 12  # tokens of context


@dataclass(frozen=True, eq=False)
class Liked:
    """One place that a unit likes: sample, place in the input (row by row in an image), and how active the unit is there."""

    sample: int
    place: int
    activation: float


@dataclass(frozen=True, eq=False)
class Features:
    """For some units of one layer the places where each is most active, at most one of each sample, and what is there.

    `pictures` holds for images the patches `(unit, place, channel, side, side)`, from 0 to 1; `texts` for tokens the context, the
    token itself between « and ».
    """

    point: str
    units: tuple[int, ...]
    liked: tuple[tuple[Liked, ...], ...]
    pictures: np.ndarray | None = None
    texts: tuple[tuple[str, ...], ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, without the pictures."""
        liked = [[{"sample": one.sample, "place": one.place, "activation": one.activation} for one in row] for row in self.liked]
        return {
            "point": self.point,
            "units": list(self.units),
            "liked": liked,
            "texts": None if self.texts is None else [*map(list, self.texts)],
        }


def features(
    model: nn.Module,
    inputs: Tensor,
    layer: str | None = None,
    *,
    units: Iterable[int] | None = None,
    each: int = EACH,
    layers: Iterable[str] | None = None,
    decode: Callable[[list[int]], str] | None = None,
) -> Features:
    """Return the places of the data that units of a layer like best; the model is not changed.

    `inputs` are images `(sample, channel, height, width)` or tokens `(sample, time)`. `layer` is a depth point; None takes the
    middle one. `units` None takes the six whose activation varies most. A patch holds 90% of the unit's gradient at the image;
    `decode` makes text of tokens, by default their characters or numbers. Only the best places so far are in memory.

    >>> from fathometer import ConvNet, build
    >>> images = torch.linspace(0, 1, 1728).reshape(9, 3, 8, 8)
    >>> found = features(build(ConvNet(depth=8, width=4, image_size=8)), images, units=[0, 2])
    >>> found.point, found.units, found.pictures.shape
    ('blocks.1', (0, 2), (2, 8, 3, 8, 8))
    """
    is_image = inputs.ndim == 4
    if not is_image and inputs.ndim != 2:
        raise BatchError(f"The inputs have shape {tuple(inputs.shape)}", "Images have four axes, tokens two", "Reshape them")
    batches = in_batches(inputs, BATCH_SIZE)
    layers = None if layers is None else list(layers)
    names = [point.name for point in points_of_unchanged(model, batches[0], layers)]
    name = names[len(names) // 2] if layer is None else layer
    if name not in names:
        raise unknown_name("depth point", name, names, BatchError)
    tensors = (seen.tensors[name] for seen in stream(model, batches, layers=layers))
    chosen = (
        _most_varied(next(iter(list(stream(model, batches[:1], layers=layers)))).tensors[name]) if units is None else tuple(units)
    )
    liked = _liked(tensors, chosen, each, inputs)
    if not is_image:
        texts = tuple(tuple(_context(inputs[one.sample].tolist(), one.place, decode) for one in row) for row in liked)
        return Features(name, chosen, liked, texts=texts)
    side = _patch_side(model, inputs[:FEW], name, layers)
    return Features(name, chosen, liked, pictures=_patches(inputs, liked, side))


def points_of_unchanged(model: nn.Module, inputs: Any, layers: Iterable[str] | None = None) -> tuple[DepthPoint, ...]:
    """Return the depth points of a model that is left as it was."""
    with unchanged(model):
        model.eval()
        return points_of(model, inputs, layers)


def _by_place(tensor: Tensor) -> Tensor:
    """Return what a layer holds as `(sample, place, unit)`."""
    if tensor.ndim == 4:
        return tensor.flatten(2).transpose(1, 2)
    return tensor[:, None] if tensor.ndim == 2 else tensor


def _most_varied(tensor: Tensor) -> tuple[int, ...]:
    spread = _by_place(tensor).flatten(0, 1).var(0)
    return tuple(sorted(spread.argsort(descending=True)[:UNITS].tolist()))


def _liked(tensors: Iterable[Tensor], units: tuple[int, ...], each: int, inputs: Tensor) -> tuple[tuple[Liked, ...], ...]:
    """Return the best places of all batches, of which only the best so far are kept."""
    best, start = [list[Liked]() for _ in units], 0
    for tensor in tensors:
        _check_units(units, _by_place(tensor).shape[2])
        strongest, places = _by_place(tensor)[:, :, list(units)].max(1)
        for number, row in enumerate(best):
            top = strongest[:, number].topk(min(each, len(strongest)))
            found = [
                Liked(start + sample, _input_place(int(places[sample, number]), tensor, inputs), value)
                for value, sample in zip(top.values.tolist(), top.indices.tolist(), strict=True)
            ]
            row[:] = sorted([*row, *found], key=lambda one: -one.activation)[:each]
        start += len(strongest)
    return tuple(tuple(row) for row in best)


def _check_units(units: tuple[int, ...], count: int) -> None:
    if not units or any(unit not in range(count) for unit in units):
        raise SpecError(
            f"`units` is {list(units)}", f"The layer has units 0 to {count - 1}", "Name some of them, or leave `units` out"
        )


def _input_place(place: int, tensor: Tensor, inputs: Tensor) -> int:
    """Return the place of the input, in the middle of the cell, that a place of the layer lies over."""
    if inputs.ndim == 2:
        return place * inputs.shape[1] // _by_place(tensor).shape[1]
    height, width = inputs.shape[-2:]
    if tensor.ndim == 4:
        rows, columns, first = tensor.shape[2], tensor.shape[3], 0
    else:
        count = _by_place(tensor).shape[1]
        rows = columns = isqrt(count)
        first = count - rows * columns
    down, across = divmod(max(place - first, 0), columns)
    return int((down + 0.5) * height / rows) * width + int((across + 0.5) * width / columns)


def _patch_side(model: nn.Module, images: Tensor, name: str, layers: list[str] | None) -> int:
    """Return the side of the square around a unit's place that holds most of its gradient at the image (Luo et al. 2016)."""
    held: list[Tensor] = []
    images = images.clone().requires_grad_(True)
    with unchanged(model), torch.enable_grad():
        model.eval()
        point = next(point for point in points_of(model, images.detach(), layers) if point.name == name)

        def keep(one: Any) -> None:
            tensor = main_tensor(one.output)
            if one.index == point.stop and tensor is not None:
                held.append(tensor)

        with listen(model, [point.leave], on_call=keep):
            call(model, images)
        tensor = held[0]
        middle = tensor[:, :, tensor.shape[2] // 2, tensor.shape[3] // 2] if tensor.ndim == 4 else _by_place(tensor).mean(1)
        (gradient,) = torch.autograd.grad(middle.square().sum(), [images])
    mass = gradient.abs().sum((0, 1))
    row, column = (int(axis.argmax()) for axis in (mass.sum(1), mass.sum(0)))
    for half in range(1, max(mass.shape)):
        square = mass[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1]
        if square.sum() >= MASS * mass.sum():
            return min(2 * half + 1, *mass.shape)
    return min(mass.shape)


def _patches(images: Tensor, liked: tuple[tuple[Liked, ...], ...], side: int) -> np.ndarray:
    """Return the patches around the places, moved inside where they would reach over the edge; colours stretched over all."""
    height, width = images.shape[-2:]
    rows = []
    for row in liked:
        cut = []
        for one in row:
            down, across = divmod(one.place, width)
            top, left = (min(max(at - side // 2, 0), size - side) for at, size in ((down, height), (across, width)))
            cut.append(images[one.sample, :, top : top + side, left : left + side])
        rows.append(torch.stack(cut))
    patches = torch.stack(rows).float()
    low, high = images.float().min(), images.float().max()
    return ((patches - low) / (high - low).clamp(min=1e-9)).cpu().numpy()


def _context(tokens: list[int], place: int, decode: Callable[[list[int]], str] | None) -> str:
    read = decode or _characters
    before, after = tokens[max(place - BEFORE, 0) : place], tokens[place + 1 : place + 1 + AFTER]
    return f"{read(before)}«{read(tokens[place : place + 1])}»{read(after)}"


def _characters(tokens: list[int]) -> str:
    return " ".join(map(str, tokens))
