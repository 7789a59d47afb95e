"""Drop-in layers of any width, whose weights are never made."""

from torch import nn

from fathometer.implicit.matrix import Session
from fathometer.implicit.unmade import Unmade
from fathometer.implicit.weight import implicit_parameter


class ImplicitLinear(nn.Linear):
    """A linear layer whose weight has independent entries N(0, std²) and no memory; its bias is 0, and real.

    Layers of one network share a `session`; alone, a layer has one of its own. None: std = 1/√(3 · in_features), torch's own.

    >>> ImplicitLinear(1_000_000, 1_000_000, std=1e-3).weight.numel()
    1000000000000
    """

    def __init__(
        self, in_features: int, out_features: int, *, std: float | None = None, bias: bool = True, session: Session | None = None
    ) -> None:
        with Unmade(smallest=1):
            super().__init__(in_features, out_features, bias)
        std = (3 * in_features) ** -0.5 if std is None else std
        self.weight = implicit_parameter("weight", (out_features, in_features), std, session or Session())
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ImplicitEmbedding(nn.Embedding):
    """An embedding whose rows are drawn when they are looked up, each from a seed of its own; N(0, std²) and no memory."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, std: float = 1.0, session: Session | None = None, seed: int = 0
    ) -> None:
        with Unmade(smallest=1):
            super().__init__(num_embeddings, embedding_dim)
        self.weight = implicit_parameter("weight", (num_embeddings, embedding_dim), std, session or Session(seed))
