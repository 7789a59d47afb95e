"""A convnet spec: depth makes stages, and stages make depth."""

import pytest
import torch

from fathometer.errors import SpecError
from fathometer.spec import ConvNet


@pytest.mark.parametrize(
    ("depth", "layout", "block", "counts", "widths"),
    [
        (20, "cifar", "basic", (3, 3, 3), (16, 32, 64)),
        (110, "cifar", "basic", (18, 18, 18), (16, 32, 64)),
        (18, "imagenet", "basic", (2, 2, 2, 2), (64, 128, 256, 512)),
        (34, "imagenet", "basic", (3, 4, 6, 3), (64, 128, 256, 512)),
        (50, "imagenet", "bottleneck", (3, 4, 6, 3), (64, 128, 256, 512)),
        (101, "imagenet", "bottleneck", (3, 4, 23, 3), (64, 128, 256, 512)),
        (152, "imagenet", "bottleneck", (3, 8, 36, 3), (64, 128, 256, 512)),
    ],
)
def test_depth_makes_stages(depth: int, layout: str, block: str, counts: tuple[int, ...], widths: tuple[int, ...]) -> None:
    """Each depth of the paper has the paper's blocks, which make that depth again: stem, readout and those of the blocks."""
    spec = ConvNet(depth=depth, layout=layout)

    assert (spec.block_kind, spec.block_counts, spec.stage_widths, spec.num_blocks) == (block, counts, widths, sum(counts))
    assert {"basic": 2, "bottleneck": 3}[block] * spec.num_blocks + 2 == depth
    assert ConvNet(depth=depth, layout=layout, stages=counts).block_counts == counts


def test_any_stages_can_be_asked_for() -> None:
    """A network that is in no table is had by its stages, and its depth must be theirs."""
    assert ConvNet(layout="imagenet", depth=26, stages=(2, 2, 2, 2), block="bottleneck").num_blocks == 8
    with pytest.raises(SpecError, match="Say depth = 26"):
        ConvNet(layout="imagenet", depth=50, stages=(2, 2, 2, 2))


def test_a_plain_twin_differs_in_its_shortcuts_alone() -> None:
    """The twin has the same stages and no shortcut."""
    spec, twin = ConvNet(depth=56), ConvNet(depth=56, residual="none")

    assert (twin.block_counts, twin.stage_widths) == (spec.block_counts, spec.stage_widths)
    assert (spec.shortcut_kind, ConvNet(layout="imagenet", depth=18).shortcut_kind, twin.shortcut_kind) == ("A", "B", None)


def test_he_looks_at_what_goes_out() -> None:
    """A convolution's std is √2/√(channels out · k²), as torch's `kaiming_normal_(mode="fan_out")` draws it."""
    torch.manual_seed(0)
    weight = torch.empty(128, 64, 3, 3)
    torch.nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    scale = ConvNet().scale("hidden", 64 * 9, 128 * 9)

    # 73,728 entries: the std of a std is 1/√147,456 = 0.26%; four of them. The fan-in would be off by √2.
    assert scale.weight_std == pytest.approx(weight.std().item(), rel=0.011)
    assert ConvNet().scale("output", 64, 10).weight_std == 1 / 8


@pytest.mark.parametrize(
    "change", [{"stages": [3, 3, 3]}, {"stages": (3, 3, 0)}, {"stages": 3}, {"stages": (3, 3, True)}, {"base_depth": 2}], ids=str
)
@pytest.mark.usefixtures("as_a_user_has_it")
def test_stages_that_cannot_be_are_a_spec_error(change: dict[str, object]) -> None:
    """Stages are a tuple of as many whole numbers as the layout has stages, and a base has a block."""
    with pytest.raises(SpecError, match=next(iter(change))):
        ConvNet(**change)
