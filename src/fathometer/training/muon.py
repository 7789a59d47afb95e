"""Muon for the hidden matrices, and AdamW for all the rest."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from fathometer.errors import ModelError, SpecError
from fathometer.training.blocks import chains
from fathometer.training.stacked_muon import move_matrices

HAS_MUON = hasattr(torch.optim, "Muon")  # since torch 2.9


class MuonWithAdamW(torch.optim.Optimizer):
    """Torch's Muon on groups with `muon` = True, AdamW on the others; state and groups are those of one optimizer.

    Muon's numbers are torch's, and matrices of one shape move together: see `move_matrices`. Its updates are scaled to the
    size of AdamW's (Liu et al. 2025, "Muon is scalable"), so that one rate and one decay serve both.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, fused: bool) -> None:
        super().__init__(groups, {})
        ours = [group for group in self.param_groups if group["muon"]]
        rest = [group for group in self.param_groups if not group["muon"]]
        torch.optim.Muon(ours, adjust_lr_fn="match_rms_adamw")  # which fills its numbers into the groups
        self._adamw = torch.optim.AdamW(rest, fused=fused) if rest else None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyrefly: ignore[bad-override]  (torch overloads it)
        """Move the matrices, then the rest."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["muon"]:
                move_matrices(group, self.state)
        if self._adamw is not None:
            self._adamw.param_groups = [group for group in self.param_groups if not group["muon"]]
            self._adamw.state = self.state
            self._adamw.step()
        return loss


def muon_groups(model: nn.Module, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the matrices of the blocks as one group, and all other parameters that are trained as another.

    Raises `SpecError` where torch has no Muon, `ModelError` where no block has a matrix.
    """
    if not HAS_MUON:
        raise SpecError(f"torch {torch.__version__} has no Muon", "It came with 2.9", 'Say optimizer = "adamw", or update torch')
    inside = {parameter for chain in chains(model) for block in chain for parameter in _matrices(block)}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    hidden = [parameter for parameter in trained if parameter in inside]
    if not hidden:
        raise ModelError(
            "No block of the model has a matrix that is trained",
            "Muon moves the two-dimensional weights of repeated blocks",
            'Say optimizer = "adamw"',
        )
    rest = [parameter for parameter in trained if parameter not in inside]
    return [
        {"params": parameters, "muon": is_muon, **options}
        for parameters, is_muon in ((hidden, True), (rest, False))
        if parameters
    ]


def _matrices(block: nn.Module) -> list[nn.Parameter]:
    homes = [module for module in block.modules() if not isinstance(module, nn.Embedding)]
    return [parameter for home in homes for parameter in home.parameters(recurse=False) if parameter.ndim == 2]
