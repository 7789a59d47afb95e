"""How large each row is on a GPU, and how small where only the code is tried."""

from dataclasses import dataclass

from fathometer.spec import Transformer


@dataclass(frozen=True)
class Sizes:
    """What the rows take: `train` and `watched` are (network, batch); the rest says itself."""

    train: tuple[Transformer, int]
    watched: tuple[Transformer, int]
    widths: tuple[int, ...]  # of the widest network that fits, the widest first
    widest_batch: int
    steps: int  # timed, after as many that warm up
    spans: tuple[tuple[int, int], ...]  # every nth step is watched: (n, steps in a span)
    rounds: int  # spans with and without, in turn
    idle: int  # unmeasured steps in which waits are counted
    preflight: str
    many: tuple[tuple[int, ...], tuple[int, ...], int]  # depths, widths, steps
    unmade: tuple[str, str]
    rehearsal: bool = False


def gpt(depth: int, width: int, *, vocabulary: int = 50304, context: int = 1024) -> Transformer:
    """Return a GPT with heads 64 wide; its vocabulary is GPT-2's, filled up to a multiple of 64."""
    return Transformer(depth=depth, width=width, heads=max(1, width // 64), vocabulary=vocabulary, context=context)


FULL = Sizes(
    train=(gpt(96, 1024), 8),
    watched=(gpt(96, 1024), 4),
    widths=(2560, 2304, 2048, 1792, 1536),
    widest_batch=4,
    steps=12,
    spans=((1, 8), (10, 20), (50, 50)),
    rounds=3,
    idle=8,
    preflight="gpt2-xl",
    many=((1, 2, 4, 8, 16, 32), (16, 32, 64, 128), 40),
    unmade=("gpt3-175b", "gpt3-175b@depth=200,width=64000,heads=500"),
)
_SMALL = gpt(2, 64, vocabulary=128, context=32)
TINY = Sizes(
    train=(_SMALL, 2),
    watched=(_SMALL, 2),
    widths=(128, 64),
    widest_batch=2,
    steps=2,
    spans=((1, 2), (10, 10)),
    rounds=1,
    idle=3,
    preflight="gpt2@width=64,depth=2,vocabulary=128,context=32",
    many=((1, 2), (16,), 3),
    unmade=("gpt3-175b@depth=2,width=256,heads=4,vocabulary=512", "gpt3-175b@depth=3,width=256,heads=4,vocabulary=512"),
    rehearsal=True,
)
