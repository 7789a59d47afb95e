"""Recurrent networks to develop on: tanh cells and LSTMs."""

import torch

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.recurrent import CHRONO, Fused, Loop, recurrent_start
from benchmarks.zoo.plant import loud_readout


@torch.no_grad()
def started(model: torch.nn.Module, gain: float, entering: float = 1.0) -> torch.nn.Module:
    """Return a recurrent network with an orthogonal state times a gain, and inputs times another."""
    recurrent_start(model, gain)
    for name, parameter in model.named_parameters():
        if "weight_ih" in name:
            parameter.mul_(entering)
    return model


def tanh_memories() -> list[Entry]:
    """Return tanh networks that must remember one symbol for 40 steps."""
    family, on = "recurrent tanh network", "recall"
    healthy = {f"orthogonal, {h} wide": (lambda seed, h=h: started(Fused("RNN", hidden=h), 1.0)) for h in (24, 32, 48)}
    healthy |= {f"orthogonal, gain {g}": (lambda seed, g=g: started(Fused("RNN"), g)) for g in (1.03, 1.06)}
    healthy |= {f"a loop over cells, {h} wide": (lambda seed, h=h: started(Loop("RNN", hidden=h), 1.0)) for h in (32, 40)}
    healthy |= {"orthogonal, two layers": lambda seed: started(Fused("RNN", layers=2), 1.0)}
    small = {f"gain {g}": (lambda seed, g=g: started(Fused("RNN"), g)) for g in (0.8, 0.5, 0.1)}
    cells = {f"gain {g}, a loop": (lambda seed, g=g: started(Loop("RNN"), g)) for g in (0.8, 0.5, 0.1)}
    chaos = {f"gain {g}": (lambda seed, g=g: started(Fused("RNN"), g)) for g in (2.0, 4.0, 8.0)}
    flat = {f"inputs times {g:g}, a loop": (lambda seed, g=g: started(Loop("RNN"), 1.0, g)) for g in (30.0, 100.0, 1e3)}
    cut = {f"detached every {c} steps": (lambda seed, c=c: started(Loop("RNN", cut=c), 1.0)) for c in (20, 5)}
    return [
        *well(family, on, healthy),
        *ill(family, on, "vanishing_gradient", small, near=("vanishing_signal",), fix="initialise_orthogonal"),
        *ill(family, on, "vanishing_gradient", cells, near=("vanishing_signal",), fix="initialise_orthogonal"),
        *ill(family, on, "exploding_gradient", chaos, near=("saturation",), fix="initialise_orthogonal"),
        *ill(family, on, "saturation", flat, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, on, "vanishing_gradient", cut, near=("unused_parameters",)),
    ]


def gated_memories() -> list[Entry]:
    """Return LSTMs whose forget gate starts open, and those that forget."""
    family, on = "LSTM", "recall"

    def lstm(cls: type[torch.nn.Module], forget: float | None, hidden: int = 32) -> torch.nn.Module:
        return recurrent_start(cls("LSTM", hidden=hidden), forget=forget)

    healthy = {f"forget bias {b:.1f}": (lambda seed, b=b: lstm(Fused, b)) for b in (3.0, CHRONO, 4.5)}
    healthy |= {f"a loop, forget bias {b:.1f}": (lambda seed, b=b: lstm(Loop, b)) for b in (3.3, 4.0)}
    forgets = {f"forget bias {b:g}": (lambda seed, b=b: lstm(Fused, b)) for b in (0.0, -1.0, -4.0)}
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(lstm(Fused, CHRONO), f)) for f in (300, 1e3, 1e5)}
    return [
        *well(family, on, healthy),
        *ill(family, on, "vanishing_gradient", forgets, near=("vanishing_signal",)),
        *ill(family, on, "initial_loss", loud, fix="shrink_readout"),
    ]
