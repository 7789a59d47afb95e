"""What trains it: chips by name, and how much of them is used."""

from dataclasses import dataclass, replace

from fathometer.errors import SpecError, look_up


@dataclass(frozen=True)
class Chip:
    """One chip: operations a second in bfloat16 without sparsity, bytes of memory, and the share of the operations that is used.

    `utilisation` 0.4 is what a well-made training run reaches; measure yours.
    """

    name: str
    flops_per_second: float
    memory_bytes: float
    utilisation: float = 0.4

    @property
    def useful_flops_per_hour(self) -> float:
        """Return the operations that count, in an hour."""
        return self.flops_per_second * self.utilisation * 3600


# From the makers' data sheets.
CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip("a100", 312e12, 80e9),
        Chip("h100", 989e12, 80e9),
        Chip("h200", 989e12, 141e9),
        Chip("mi300x", 1307e12, 192e9),
        Chip("tpu-v4", 275e12, 32e9),
        Chip("tpu-v5p", 459e12, 95e9),
        Chip("rtx-4090", 165e12, 24e9),
    )
}


def find_chip(name: str, utilisation: float | None = None) -> Chip:
    """Return the chip of that name, used to a share; raise `SpecError` for a name or a share that there is not."""
    chip = look_up("chip", name, CHIPS)
    if utilisation is None:
        return chip
    if not 0 < utilisation <= 1:
        raise SpecError(f"`utilisation` is {utilisation}", "It is a share: above 0 and at most 1", "Try 0.4")
    return replace(chip, utilisation=utilisation)
