"""A device is known by the words of its name, in the precision of its products."""

import pytest

from fathometer.scaling import CHIPS, peak_flops


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989e12),
        ("NVIDIA H100 PCIe", "bfloat16", 756e12),
        ("NVIDIA A100-SXM4-80GB", "float16", 312e12),
        ("NVIDIA H200", "float32", 67e12),
        ("Tesla V100-SXM2-32GB", "float32", 15.7e12),
        ("Tesla T4", "float16", 65e12),
        ("Tesla T4", "bfloat16", None),
        ("NVIDIA L40S", "bfloat16", 362e12),
        ("NVIDIA L4", "bfloat16", 121e12),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 165e12),
        ("NVIDIA GeForce RTX 4080", "bfloat16", None),
        ("NVIDIA A100-SXM4-80GB", "int8", None),
        ("", "float32", None),
        ("NVIDIA H1000", "float32", None),
    ],
)
def test_the_peak_of_a_device(device: str, precision: str, expected: float | None) -> None:
    """By all words of a chip's name, the longest that fits; None where the device or the precision is not known."""
    assert peak_flops(device, precision) == expected


@pytest.mark.parametrize("chip", CHIPS.values(), ids=lambda chip: chip.name)
def test_half_precision_is_faster_than_whole(chip) -> None:
    """No row of the table has its columns exchanged: bytes between 16 and 200 GB, and float32 the slower."""
    assert 16e9 <= chip.memory_bytes < 200e9
    assert chip.float32_per_second is None or 1.9 < chip.flops_per_second / chip.float32_per_second < 20
