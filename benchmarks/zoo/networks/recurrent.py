"""Networks that run through time: fused, as loops over cells, and diagonal."""

from math import log

import torch
from torch import Tensor, nn


class Fused(nn.Module):
    """An `nn.RNN`, `nn.GRU` or `nn.LSTM`, read out at the last step."""

    def __init__(self, kind: str, inputs: int = 8, hidden: int = 32, *, outputs: int = 8, layers: int = 1) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(inputs, hidden, num_layers=layers, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Loop(nn.Module):
    """The same as a loop over a cell; `cut` detaches the state every so many steps."""

    def __init__(self, kind: str, inputs: int = 8, hidden: int = 32, *, outputs: int = 8, cut: int | None = None) -> None:
        super().__init__()
        self.cell = getattr(nn, f"{kind}Cell")(inputs, hidden)
        self.head = nn.Linear(hidden, outputs)
        self.cut = cut

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
            if self.cut and step % self.cut == self.cut - 1:
                state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        return self.head(state[0] if isinstance(state, tuple) else state)


def recurrent_start(model: nn.Module, gain: float = 1.0, *, forget: float | None = None) -> nn.Module:
    """Draw the state's matrices orthogonal times a gain, each gate's apart; set the forget (or keep) bias."""
    for name, parameter in model.named_parameters():
        if "weight_hh" in name:
            hidden = parameter.shape[1]
            for gate in parameter.data.split(hidden):
                nn.init.orthogonal_(gate, gain=gain)
        elif "bias" in name and forget is not None and parameter.shape[0] in (96, 128):
            nn.init.zeros_(parameter)
            parameter.data[32:64] = forget / 2  # the second gate: LSTM forgets by it, GRU keeps by it; two biases add up
    return model


class Diagonal(nn.Module):
    """x_t = a ⊙ x_{t-1} + B u_t, and an MLP on a residual stream: a state space of real poles.

    `keep` is the largest pole; the smallest keeps over one step in `1 - low`.
    """

    def __init__(self, width: int, keep: float, low: float, *, norm: bool) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(width, width), nn.Linear(width, width)
        share = torch.linspace(0, 1, width)
        time_scales = (1 - low) ** -1 * ((1 - low) / (1 - keep)) ** share
        self.raw = nn.Parameter(torch.log(torch.expm1(1 / time_scales)))
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        pole = torch.exp(-nn.functional.softplus(self.raw))
        driven = self.enter(self.norm(x)) * (1 - pole**2).sqrt()
        time = x.shape[1]
        lags = (torch.arange(time)[:, None] - torch.arange(time)).clamp(min=0)
        kernel = pole ** lags[..., None] * torch.ones(time, time).tril()[..., None]
        state = torch.einsum("tsw,bsw->btw", kernel, driven)
        return x + self.leave(nn.functional.gelu(state))


class StateSpace(nn.Module):
    """An embedding, diagonal layers, a readout: at the last step, or at every one for tokens.

    Tokens are normed before each layer. Numbers are not: a norm at every step would make the noise as loud as the message.
    """

    def __init__(
        self, depth: int, inputs: int | None = None, outputs: int = 8, *, keep: float = 0.999, low: float = 0.5, width: int = 32
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(32, width) if inputs is None else nn.Linear(inputs, width)
        self.layers = nn.ModuleList(Diagonal(width, keep, low, norm=inputs is None) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        tokens = not x.is_floating_point()
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        return self.head(x if tokens else x[:, -1])


CHRONO = log(39)  # a forget gate that keeps for about 40 steps
