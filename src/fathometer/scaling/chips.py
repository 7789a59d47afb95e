"""What trains it: chips by name, and how much of them is used."""

from dataclasses import dataclass, replace

from fathometer.errors import SpecError, look_up


@dataclass(frozen=True)
class Chip:
    """One chip: dense operations a second in half precision, bytes of memory, and the share of the operations that is used.

    Half precision is bfloat16, or float16 where the chip has no other. `float32_per_second` is without TensorFloat-32 (None:
    not known). `utilisation` 0.4 is what a well-made training run reaches; measure yours.
    """

    name: str
    flops_per_second: float
    memory_bytes: float
    utilisation: float = 0.4
    float32_per_second: float | None = None
    has_bfloat16: bool = True

    @property
    def useful_flops_per_hour(self) -> float:
        """Return the operations that count, in an hour."""
        return self.flops_per_second * self.utilisation * 3600


# From the makers' data sheets, without sparsity.
CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip("a100", 312e12, 80e9, float32_per_second=19.5e12),
        Chip("h100", 989e12, 80e9, float32_per_second=67e12),
        Chip("h100-pcie", 756e12, 80e9, float32_per_second=51e12),
        Chip("h200", 989e12, 141e9, float32_per_second=67e12),
        Chip("l4", 121e12, 24e9, float32_per_second=30.3e12),
        Chip("l40s", 362e12, 48e9, float32_per_second=91.6e12),
        Chip("mi300x", 1307e12, 192e9, float32_per_second=163.4e12),
        Chip("rtx-4090", 165e12, 24e9, float32_per_second=82.6e12),
        Chip("t4", 65e12, 16e9, float32_per_second=8.1e12, has_bfloat16=False),
        Chip("tpu-v4", 275e12, 32e9),
        Chip("tpu-v5p", 459e12, 95e9),
        Chip("v100", 125e12, 32e9, float32_per_second=15.7e12, has_bfloat16=False),
    )
}


def peak_flops(device: str, precision: str) -> float | None:
    """Return the operations a second that a device of that name can do at most in a precision; None where it is not known.

    >>> peak_flops("NVIDIA H100 80GB HBM3", "bfloat16")
    989000000000000.0
    """
    words = device.lower().replace("-", " ").split()
    fitting = [chip for chip in CHIPS.values() if set(chip.name.split("-")) <= set(words)]
    if not fitting:
        return None
    chip = max(fitting, key=lambda chip: len(chip.name))
    half = chip.flops_per_second if chip.has_bfloat16 or precision == "float16" else None
    return {"float32": chip.float32_per_second, "float16": half, "bfloat16": half}.get(precision)


def find_chip(name: str, utilisation: float | None = None) -> Chip:
    """Return the chip of that name, used to a share; raise `SpecError` for a name or a share that there is not."""
    chip = look_up("chip", name, CHIPS)
    if utilisation is None:
        return chip
    if not 0 < utilisation <= 1:
        raise SpecError(f"`utilisation` is {utilisation}", "It is a share: above 0 and at most 1", "Try 0.4")
    return replace(chip, utilisation=utilisation)
