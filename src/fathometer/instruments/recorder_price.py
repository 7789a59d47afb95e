"""What a measured step looks at, by price."""

from dataclasses import dataclass

from fathometer.errors import look_up


@dataclass(frozen=True)
class Price:
    """How much is looked at in a measured step.

    Of each activation `rows` samples and about `numbers` numbers, of each weight matrix `numbers`. `hears` says whether
    activations and attention are listened to, inside the blocks: dead and flat units, entropy and logits. `score_rows` are
    the rows of attention that are looked at in one call, over all heads. `rank` asks how samples lie among each other.
    """

    name: str
    rows: int
    numbers: int
    hears: bool
    rank: bool
    score_rows: int = 64


PRICES: dict[str, Price] = {
    "economy": Price("economy", rows=16, numbers=256, hears=False, rank=False),
    "standard": Price("standard", rows=32, numbers=512, hears=True, rank=True),
    "full": Price("full", rows=64, numbers=16_384, hears=True, rank=True, score_rows=256),
}


def price_of(name: str) -> Price:
    """Return the preset of this name; raise `SpecError` for another."""
    return look_up("price", name, PRICES)
