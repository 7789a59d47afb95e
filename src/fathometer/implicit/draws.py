"""Which numbers are drawn where: seeds by layer, call and side."""

import torch

_ODD, _MASK = 0x9E3779B9, 0xFFFFFFFF
CALLS = 64  # calls of one matrix in one pass that get seeds of their own


def seed_of(seed: int, number: int, call: int, side: int) -> int:
    """Return the seed for one call of one matrix on one side: different ones for all of them, and unlike those of another seed.

    Torch's generator on a CPU reads 32 bits of a seed. A bijection of 32 bits keeps the numbers apart.

    >>> len({seed_of(0, number, call, side) for number in range(999) for call in range(9) for side in (0, 1)})
    17982
    """
    place = (number * CALLS + call % CALLS) * 2 + side
    return _mixed(place ^ _mixed(seed + _ODD))


def generator_for(seed: int, device: torch.device) -> torch.Generator:
    """Return a generator on that device, started from the seed."""
    return torch.Generator(device if device.type == "cuda" else "cpu").manual_seed(seed)


def _mixed(word: int) -> int:
    """Return another word of 32 bits, one for each (the finaliser of MurmurHash3)."""
    word &= _MASK
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        word = ((word ^ (word >> shift)) * factor) & _MASK
    return word ^ (word >> 16)
