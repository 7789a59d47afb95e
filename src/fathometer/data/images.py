"""Images from a user's folder: each sub-folder is a class."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from fathometer.data.dataset import Samples, content_hash, in_two_parts
from fathometer.errors import DataError, shown
from fathometer.files import expanded, is_folder

if TYPE_CHECKING:
    from PIL.Image import Image

HELD_OUT_SHARE = 0.2
MOST_PIXELS = 10_000  # of a side
GREY, COLOUR = {"1", "L", "LA"}, {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"}  # 8 bits a channel


def images(path: str | Path, *, size: int | tuple[int, int] | None = None, seed: int = 0) -> Samples:
    """Return the images under `path`, whose sub-folders are the classes in the order of their names.

    `size`, a side or (height, width), cuts each image to that shape around its middle and scales it; None demands that all
    have one size. One channel if all are grey, else three; inputs `(batch, channels, height, width)` of mean 0 and std 1
    over the training images. `seed` decides which fifth of each class is held out. All images are kept in memory, a byte
    a pixel. Raises `DataError`, naming the file, for what cannot be read or does not fit.
    """
    folder, shape = expanded(path), _shape(size)
    files = _files_by_class(folder)
    pixels, targets = _read_all(files, shape)
    train = _chosen(targets, seed)
    order = np.concatenate([np.flatnonzero(train), np.flatnonzero(~train)])
    stored, num_train = torch.from_numpy(pixels[order]), int(train.sum())
    facts = {
        "source": folder.resolve().name,
        "classes": len(files),
        "class_names": list(files),
        "shape": list(pixels.shape[1:]),
        "sha256": content_hash(_parts_of(files, f"{shape} {seed}")),
    }
    labels = torch.from_numpy(targets[order])
    return in_two_parts("images", facts, stored, labels, train=num_train, convert=standardize(stored[:num_train]))


def standardize(
    train: UInt8[Tensor, "train channels height width"],
) -> Callable[[UInt8[Tensor, "batch channels height width"]], Float32[Tensor, "batch channels height width"]]:
    """Return the function that turns bytes into numbers of mean 0 and std 1 over the training images, channel by channel."""
    # From a count of the 256 values: exact, and no copy of the images as floats is made.
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in train.unbind(1)]).double()
    values, shares = torch.arange(256).double(), counts / counts.sum(dim=1, keepdim=True)
    mean = shares @ values
    std = (shares @ values**2 - mean**2).clamp(min=1).sqrt()  # one colour alone has none
    return partial(_scaled, mean=mean.float()[:, None, None], std=std.float()[:, None, None])


def _scaled(
    stored: UInt8[Tensor, "batch channels height width"],
    mean: Float32[Tensor, "channels 1 1"],
    std: Float32[Tensor, "channels 1 1"],
) -> Float32[Tensor, "batch channels height width"]:
    return (stored.float() - mean) / std


def _files_by_class(folder: Path) -> Mapping[str, Sequence[Path]]:
    # Imported here, as everywhere in this file: only a folder of images needs it.
    from PIL import Image

    if not is_folder(folder):
        raise DataError(
            f'There is no folder "{folder}"', "Images come from a folder with one sub-folder per class", "Check path="
        )
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        found = f'one class, "{classes[0].name}"' if classes else "no class"
        raise DataError(f'"{folder}" holds {found}', "At least two are needed, each a sub-folder", "Add a sub-folder of images")
    endings = set(Image.registered_extensions())
    files = {entry.name: sorted(file for file in entry.iterdir() if file.suffix.lower() in endings) for entry in classes}
    for name, found in files.items():
        if len(found) < 2:
            count = f"{len(found)} image{'s' * (not found)}"
            raise DataError(
                f'The class "{name}" has {count} in "{folder / name}"',
                "Each class needs one to train on and one to hold out",
                "Add images, or take the sub-folder away; path= is the folder whose sub-folders are the classes",
            )
    return files


def _read_all(
    files: Mapping[str, Sequence[Path]], shape: tuple[int, int] | None
) -> tuple[UInt8[np.ndarray, "sample channels height width"], Int64[np.ndarray, " sample"]]:
    """Return all images as bytes, and the numbers of their classes."""
    found, first = list[np.ndarray](), None
    for file in (file for of_class in files.values() for file in of_class):
        pixels = _read(file, shape)
        first = first or (file, pixels.shape)
        if pixels.shape[1:] != first[1][1:]:
            raise _sizes_differ(first, (file, pixels.shape))
        found.append(pixels)
    if any(len(pixels) == 3 for pixels in found):
        found = [np.broadcast_to(pixels, (3, *pixels.shape[1:])) for pixels in found]
    targets = np.repeat(np.arange(len(files)), [len(of_class) for of_class in files.values()])
    return np.stack(found), targets.astype(np.int64)


def _read(file: Path, shape: tuple[int, int] | None) -> UInt8[np.ndarray, "channels height width"]:
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            mode, image = opened.mode, ImageOps.exif_transpose(opened)
            image = image.convert("L" if mode in GREY else "RGB") if mode in GREY | COLOUR else image
            image.load()
    except Exception as problem:  # each format raises its own
        why = "it is not an image" if isinstance(problem, Image.UnidentifiedImageError) else str(problem)
        raise DataError(f'"{file}" cannot be read: {why}', "Each image must be whole", "Mend it, or take it away") from None
    if mode not in GREY | COLOUR:
        raise DataError(f'"{file}" has pixels of kind "{mode}"', "Images have 8 bits a channel", "Save it with 8 bits a channel")
    return _as_array(image if shape is None else ImageOps.fit(image, shape[::-1], Image.Resampling.BICUBIC))


def _as_array(image: "Image") -> UInt8[np.ndarray, "channels height width"]:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _chosen(targets: Int64[np.ndarray, " sample"], seed: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which images are trained on: all but a fifth of each class, and at least one is held out."""
    train, generator = np.ones(len(targets), dtype=bool), np.random.default_rng(seed)
    for number in range(targets.max() + 1):
        members = np.flatnonzero(targets == number)
        held = max(1, round(len(members) * HELD_OUT_SHARE))
        train[generator.permutation(members)[:held]] = False
    return train


def _parts_of(files: Mapping[str, Sequence[Path]], asked: str) -> Iterator[bytes | str]:
    """Yield what decides the data: the files themselves, for decoders and scaling differ in the last bit."""
    yield asked
    for name, of_class in files.items():
        yield from (part for file in of_class for part in (name, file.name, file.read_bytes()))


def _shape(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    shape = (size, size) if isinstance(size, int) else size
    if shape is not None and not 1 <= min(shape) <= max(shape) <= MOST_PIXELS:
        raise DataError(
            f"`size` is {shown(size)}", f"It is a side or (height, width) in pixels, from 1 to {MOST_PIXELS:,}", "Try size = 64"
        )
    return shape


def _sizes_differ(first: tuple[Path, tuple[int, ...]], other: tuple[Path, tuple[int, ...]]) -> DataError:
    (file, shape), (other_file, other_shape) = first, other
    return DataError(
        f'"{file}" has {shape[1]}×{shape[2]} pixels (height×width) and "{other_file}" {other_shape[1]}×{other_shape[2]}',
        "Without size= all images must have one size",
        f"Pass size=({min(shape[1], other_shape[1])}, {min(shape[2], other_shape[2])}), or scale them before",
    )
