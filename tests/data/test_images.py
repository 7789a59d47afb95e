"""A user's images become classes, and what cannot be read is named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fathometer.data import images
from fathometer.errors import DataError


def draw(folder: Path, *, count: int = 10, shape: tuple[int, ...] = (8, 6, 3), classes: str = "ab", seed: int = 0) -> Path:
    """Write noise of one colour range per class, and return the folder."""
    generator = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = generator.integers(100 * number, 100 * number + 50, size=shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def test_sub_folders_are_classes_and_a_fifth_of_each_is_held_out(tmp_path: Path) -> None:
    """Ten images of each class: eight to train on, two held out, in the shape of the network's input."""
    data = images(draw(tmp_path, classes="ba"))

    assert data.facts["class_names"] == ["a", "b"]
    assert data.facts["shape"] == [3, 8, 6]
    assert torch.bincount(data.train_targets[:]).tolist() == [8, 8]
    assert torch.bincount(data.test_targets[:]).tolist() == [2, 2]


def test_targets_stay_with_their_images(tmp_path: Path) -> None:
    """The dark class is dark, in both parts and in a shuffled batch."""
    data = images(draw(tmp_path))

    for inputs, targets in [next(data.batches(16)), *data.held_out(3)]:
        assert torch.equal(inputs.mean(dim=(1, 2, 3)) > 0, targets == 1)


def test_the_training_images_have_mean_0_and_std_1(tmp_path: Path) -> None:
    """Each channel is scaled by the training images, as a slow computation from the floats says."""
    data = images(draw(tmp_path))
    train = data.train_inputs[:]

    # float32 rounding
    assert train.mean(dim=(0, 2, 3)).numpy() == pytest.approx([0, 0, 0], abs=1e-5)
    assert train.std(dim=(0, 2, 3), unbiased=False).numpy() == pytest.approx([1, 1, 1], abs=1e-5)


def test_grey_images_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    """One channel where no image has colours; a grey one among coloured ones is grey in three."""
    folder = draw(tmp_path / "grey", shape=(8, 8))
    assert images(folder).facts["shape"] == [1, 8, 8]

    Image.fromarray(np.full((8, 8, 3), (255, 0, 0), dtype=np.uint8)).save(folder / "a" / "red.png")
    assert images(folder).facts["shape"] == [3, 8, 8]


def test_images_of_one_colour_are_finite(tmp_path: Path) -> None:
    """All pixels alike have no std to divide by."""
    for name in "ab":
        (tmp_path / name).mkdir()
        for index in range(2):
            Image.new("L", (4, 4), 7).save(tmp_path / name / f"{index}.png")

    assert torch.equal(images(tmp_path).train_inputs[:], torch.zeros(2, 1, 4, 4))


def test_the_seed_decides_what_is_held_out(tmp_path: Path) -> None:
    """One seed holds out one fifth, another seed another, and the hash tells them apart."""
    folder = draw(tmp_path)
    one, again, other = (images(folder, seed=seed) for seed in (1, 1, 2))

    assert torch.equal(one.test_inputs[:], again.test_inputs[:])
    assert not torch.equal(one.test_inputs[:], other.test_inputs[:])
    assert one.facts["sha256"] == again.facts["sha256"] != other.facts["sha256"]


def test_images_are_cut_around_the_middle_and_scaled(tmp_path: Path) -> None:
    """With `size` images of any size become one size; what is cut away lies at the far sides."""
    folder = draw(tmp_path, shape=(8, 8))
    wide = np.zeros((10, 30), dtype=np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(folder / "a" / "wide.png")

    assert images(folder, size=4).facts["shape"] == [1, 4, 4]
    assert images(folder, size=(4, 6)).facts["shape"] == [1, 4, 6]
    whites = [(image > 2).all().item() for image in images(folder, size=4).train_inputs[:]]
    whites += [(image > 2).all().item() for image in images(folder, size=4).test_inputs[:]]
    assert whites.count(True) == 1


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    """The orientation that a camera writes beside the pixels is obeyed."""
    folder = draw(tmp_path, shape=(6, 8, 3))
    turned = Image.new("RGB", (6, 8), "white")
    exif = turned.getexif()
    exif[0x0112] = 6  # turned by a quarter
    turned.save(folder / "a" / "turned.jpg", exif=exif)

    assert images(folder).facts["shape"] == [3, 6, 8]


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    """A note beside the images is no image, and a hidden folder no class."""
    folder = draw(tmp_path)
    (folder / "a" / "note.txt").write_text("not an image")
    (folder / ".cache").mkdir()

    assert images(folder).facts["samples"] == 16


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The folder is named."""
    with pytest.raises(DataError, match="There is no folder"):
        images(tmp_path / "nothing")


@pytest.mark.parametrize(("classes", "given"), [("", "holds no class"), ("a", 'one class, "a"')])
def test_fewer_than_two_classes_are_an_error(tmp_path: Path, classes: str, given: str) -> None:
    """With one class there is nothing to learn."""
    with pytest.raises(DataError, match=given):
        images(draw(tmp_path, classes=classes))


@pytest.mark.parametrize(("count", "given"), [(0, "has 0 images"), (1, "has 1 image in")])
def test_a_class_with_no_image_or_one_is_an_error(tmp_path: Path, count: int, given: str) -> None:
    """Each class needs an image to train on and one to hold out."""
    folder = draw(tmp_path)
    draw(tmp_path, classes="c", count=count)

    with pytest.raises(DataError, match=f'The class "c" {given}'):
        images(folder)


def test_images_of_different_sizes_are_an_error_with_the_mend_in_it(tmp_path: Path) -> None:
    """Both files and sizes are named, and the size that the message proposes works."""
    folder = draw(tmp_path)
    Image.new("RGB", (9, 5)).save(folder / "b" / "other.png")

    with pytest.raises(DataError, match=r"0.png\" has 8×6 pixels.*other.png\" 5×9.*size=\(5, 6\)"):
        images(folder)
    assert images(folder, size=(5, 6)).facts["shape"] == [3, 5, 6]


@pytest.mark.parametrize(
    ("content", "given"), [("cut", "truncated"), (b"hello", "it is not an image"), (b"", "it is not an image")]
)
def test_a_corrupt_image_is_named(tmp_path: Path, content: str | bytes, given: str) -> None:
    """A file that ends early, holds something else, or nothing, is named with the reason."""
    folder = draw(tmp_path, shape=(40, 40, 3))
    whole = (folder / "b" / "3.png").read_bytes()
    (folder / "b" / "3.png").write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)

    with pytest.raises(DataError, match=rf"3.png\" cannot be read: .*{given}"):
        images(folder)


def test_pixels_of_more_than_8_bits_are_refused(tmp_path: Path) -> None:
    """Sixteen bits would be clipped silently, so they are an error."""
    folder = draw(tmp_path, shape=(8, 8))
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(folder / "a" / "deep.png")

    with pytest.raises(DataError, match=r'deep.png" has pixels of kind "I;16"'):
        images(folder)


def test_a_size_below_one_is_an_error(tmp_path: Path) -> None:
    """An image has at least one pixel."""
    with pytest.raises(DataError, match="`size` is 0"):
        images(draw(tmp_path), size=0)
