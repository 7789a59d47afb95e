"""A transformer as a torch module, with its parts by name."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import BatchError
from fathometer.networks.attention import Attention, softcap
from fathometer.networks.feedforward import FeedForward
from fathometer.networks.layers import make_norm
from fathometer.networks.residual import ResidualBlock
from fathometer.parametrizations.roles import Role
from fathometer.spec import Transformer


class TransformerBlock(nn.Module):
    """The attention branch, then the MLP branch, each added to the stream as the residual kind says."""

    def __init__(self, spec: Transformer, index: int) -> None:
        super().__init__()
        norms = {"norm_bias": spec.bias, "norm_multiplier": spec.norm_multiplier(index)}
        self.attention = ResidualBlock(spec, Attention(spec), **norms)
        self.mlp = ResidualBlock(spec, FeedForward(spec), **norms)

    def forward(self, stream: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        return self.mlp(self.attention(stream))


class TiedReadout(nn.Module):
    """A readout without a matrix of its own: it is handed the embedding's."""

    def forward(
        self, signal: Float[Tensor, "batch time width"], matrix: Float[Tensor, "vocabulary width"]
    ) -> Float[Tensor, "batch time vocabulary"]:
        return F.linear(signal, matrix)


class TransformerNetwork(nn.Module):
    """embedding (+ positions) → blocks → final norm → readout, for any `spec.Transformer`.

    `positions` is None where none are learned; `final_norm` is the identity where the residual kind has none. Its numbers
    are torch's until `initialize` sets them; `build` does both.
    """

    def __init__(self, spec: Transformer) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocabulary, spec.width)
        self.positions = nn.Embedding(spec.context, spec.width) if spec.positions == "learned" else None
        self.dropout = nn.Dropout(spec.dropout)
        self.blocks = nn.ModuleList(TransformerBlock(spec, index) for index in range(spec.depth))
        self.final_norm = make_norm(spec.norm if spec.ends_in_norm else None, spec.width, bias=spec.bias)
        self.readout = TiedReadout() if spec.tied else nn.Linear(spec.width, spec.vocabulary, bias=False)
        self.output_multiplier = spec.output_multiplier

    def forward(self, tokens: Shaped[Tensor, "*shape"]) -> Float[Tensor, "batch time vocabulary"]:
        """Return logits `(batch, time, vocabulary)` for tokens `(batch, time)`, whole numbers below the vocabulary."""
        _check_tokens(tokens, self.spec)
        stream = self.embedding(tokens)
        if self.positions is not None:
            stream = stream + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        stream = self.dropout(stream)
        for block in self.blocks:
            stream = block(stream)
        stream = self.final_norm(stream)
        logits = self.readout(stream, self.embedding.weight) if self.spec.tied else self.readout(stream)
        return softcap(logits if self.output_multiplier == 1 else self.output_multiplier * logits, self.spec.logit_softcap)

    def matrices(self) -> Iterator[tuple[Role, nn.Linear | nn.Embedding]]:
        """Yield every weight matrix that a parametrization scales, with its role, in the order of execution."""
        yield "embedding", self.embedding
        if self.positions is not None:
            yield "embedding", self.positions
        for module in self.blocks.modules():
            if isinstance(module, Attention | FeedForward):
                yield from module.matrices()
        if isinstance(self.readout, nn.Linear):
            yield "output", self.readout


def _check_tokens(tokens: Tensor, spec: Transformer) -> None:
    if tokens.ndim != 2 or tokens.dtype not in (torch.int64, torch.int32):
        mend = "Add a batch dimension: tokens[None]" if tokens.ndim == 1 else "Pass tokens.long() of that shape"
        raise BatchError(
            f"The inputs have shape {tuple(tokens.shape)} and dtype {tokens.dtype}",
            "This network takes tokens (batch, time), whole numbers as torch.int64",
            mend,
        )
    if tokens.shape[1] > spec.context:
        raise BatchError(
            f"The sequences have {tokens.shape[1]} tokens",
            f"This network's context is {spec.context}",
            f"Cut them: tokens[:, -{spec.context}:], or build it with context = {tokens.shape[1]}",
        )
    # On other devices looking would wait for the device, and torch checks by itself.
    if tokens.device.type == "cpu" and tokens.numel() and not torch.compiler.is_compiling():
        lowest, highest = int(tokens.min()), int(tokens.max())
        if lowest < 0 or highest >= spec.vocabulary:
            raise BatchError(
                f"The tokens run from {lowest} to {highest}",
                f"With a vocabulary of {spec.vocabulary} they are 0 to {spec.vocabulary - 1}",
                "Check the tokenizer, mark padding in the targets alone, or build it with a larger vocabulary",
            )
