"""The known-good network of each task."""

from benchmarks.zoo.entry import Maker
from benchmarks.zoo.networks.gpt import Gpt, RowReader
from benchmarks.zoo.networks.pairs import Pair
from benchmarks.zoo.networks.pictures import UNet, plain
from benchmarks.zoo.networks.plain import Autoencoder, drawn, stack
from benchmarks.zoo.networks.recurrent import Fused, recurrent_start
from benchmarks.zoo.networks.words import Worded

TWINS: dict[str, Maker] = {
    "digits": lambda seed: drawn(stack(5)),
    "digit images": lambda seed: drawn(plain(4)),
    "digit tokens": lambda seed: RowReader(2),
    "autoencoding": lambda seed: drawn(Autoencoder(1)),
    "picture autoencoding": lambda seed: drawn(UNet(2, bridge=False)),
    "next token": lambda seed: Gpt(2),
    "next token, dictionary": lambda seed: Worded(Gpt(2)),
    "recall": lambda seed: recurrent_start(Fused("RNN")),
    "marked": lambda seed: RowReader(2, inputs=9, length=32, outputs=8),
    "reversal": lambda seed: Pair(1),
}
