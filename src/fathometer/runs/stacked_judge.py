"""Loss and accuracy of each run of a stack."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from fathometer.contract import IGNORED
from fathometer.runs.stacked_network import StackedNetwork
from fathometer.training import Evaluation, evaluating

Outputs = Float[Tensor, "run batch outputs"]
Targets = Shaped[Tensor, "run batch *values"]


def loss_by_run(outputs: Outputs, targets: Targets) -> Float[Tensor, " run"]:
    """Return the loss of each run: cross-entropy for classes, mean squared error for values."""
    if targets.is_floating_point():
        return (outputs - targets).square().mean((1, 2))
    each = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return each.view(targets.shape).sum(1) / (targets != IGNORED).sum(1)


@torch.no_grad()
def judge_by_run(network: StackedNetwork, batches: Iterable[tuple[Tensor, Tensor]]) -> list[Evaluation]:
    """Return the mean loss of each run over all samples, and the share of right answers, None where targets are no classes."""
    runs, device = len(network.specs), next(network.parameters()).device
    losses, hits = torch.zeros(2, runs, dtype=torch.float64, device=device)
    samples = counted = 0
    with evaluating(network):
        for inputs, targets in batches:
            inputs, targets = inputs.to(device).flatten(1), targets.to(device)
            outputs, here = network(inputs.expand(runs, -1, -1)), targets.expand(runs, *targets.shape)
            losses += len(inputs) * loss_by_run(outputs, here)
            samples += len(inputs)
            if not targets.is_floating_point():
                hits += (outputs.argmax(2) == here).sum(1)
                counted += int((targets != IGNORED).sum())
    accuracies = (hits / counted).tolist() if counted else [None] * runs
    return [Evaluation(loss, accuracy) for loss, accuracy in zip((losses / samples).tolist(), accuracies, strict=True)]
