"""Runs that are made to fail: each fault, where it is planted, its onset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmarks.watching.networks import TOKENS, Case, Pair, half_stream, post_norm, relu_mlp, residual_mlp, transformer

START = 100  # steps of healthy training before anything is planted
RAMP = 1.05  # by which what grows is multiplied at each step


@dataclass
class Run:
    """A case under way, with what the fault has planted."""

    case: Case
    optimizer: torch.optim.Optimizer
    seed: int
    planted: int | None = None  # the index of the block
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One way to fail: on which networks, what is done before and after each step, and what its onset is.

    `before` may change the batch; `after` is called with the step when the weights have moved. `onset` is "loss": the first
    step at which the mean of the last five losses has lost a quarter of all that it had come down, or a loss is not finite;
    "overflow": the first loss or gradient that is not finite; "dead": the first step at which nine in ten units of the planted
    block are 0 for every sample of a whole batch; "step": the step of the fault itself. `names` are the alerts that name it.
    """

    networks: Sequence[Callable[[int], Case]]
    onset: str
    names: Sequence[str]
    after: Callable[[Run, int], None] | None = None
    before: Callable[[Run, int, Pair], Pair] | None = None
    is_planted: bool = False


def raise_rate(run: Run, step: int) -> None:
    """Raise the learning rate step by step."""
    if step >= START:
        for group in run.optimizer.param_groups:
            group["lr"] *= RAMP


def raise_one_rate(run: Run, step: int) -> None:
    """Raise the learning rate of one block step by step."""
    if step == START:
        block = set(_planted(run).parameters())
        (group,) = run.optimizer.param_groups
        own = [one for one in group["params"] if one in block]
        group["params"] = [one for one in group["params"] if one not in block]
        run.optimizer.add_param_group({**{k: v for k, v in group.items() if k != "params"}, "params": own})
    if step >= START:
        run.optimizer.param_groups[-1]["lr"] *= RAMP


@torch.no_grad()
def grow_queries(run: Run, step: int) -> None:
    """Multiply queries and keys of one block at each step."""
    if step >= START:
        for name, parameter in _planted(run).named_parameters():
            if "attention" in name and ("query" in name or "key" in name):
                parameter.mul_(RAMP)


@torch.no_grad()
def grow_stream(run: Run, step: int) -> None:
    """Multiply what one block adds to the stream at each step."""
    if step >= START:
        for parameter in _planted(run).down.parameters():
            parameter.mul_(RAMP)


@torch.no_grad()
def kill_units(run: Run, step: int) -> None:
    """Shrink the weights of one block and push its biases down at each step, some units faster than others."""
    if step >= START:
        for name, parameter in _planted(run).named_parameters():
            if name.endswith("bias"):
                parameter.sub_(0.05 * (1 + torch.arange(len(parameter)) / len(parameter)))
            elif parameter.ndim > 1:
                parameter.mul_(0.97)


def spoil_inputs(run: Run, step: int, batch: Pair) -> Pair:
    """Give one batch of noise at thirty times the scale, or of one and the same token."""
    if step != _when(run):
        return batch
    inputs, targets = batch
    return (30 * torch.randn_like(inputs) if inputs.is_floating_point() else torch.full_like(inputs, 3)), targets


def spoil_targets(run: Run, step: int, batch: Pair) -> Pair:
    """Give five batches in a row with targets of other samples."""
    if not _when(run) <= step < _when(run) + 5:
        return batch
    inputs, targets = batch
    classes = 10 if targets.ndim == 1 else TOKENS
    return inputs, (targets + 1 + torch.randint(classes - 1, targets.shape)) % classes


def _planted(run: Run) -> nn.Module:
    if run.planted is None:
        run.planted = 1 + (run.seed * 7) % (len(run.case.blocks) - 2)
    return run.case.blocks[run.planted]


def _when(run: Run) -> int:
    """Return the step of a data fault, once the loss has come down."""
    return 180 + (run.seed * 13) % 60


def dead_share(block: nn.Module, model: nn.Module, inputs: Tensor) -> float:
    """Return the share of units of a block that are 0 for every sample of a whole batch: by hand, without a watch."""
    found = list[Tensor]()
    handle = block.register_forward_hook(lambda module, args, output: found.append(output.detach()))
    with torch.no_grad():
        model(inputs)
    handle.remove()
    return float((found[0] == 0).all(dim=0).float().mean())


UPDATES = ("update_size", "exploding_gradient", "exploding_signal", "loss_rising", "loss_spike")
FAULTS: dict[str, Fault] = {
    "rate too high": Fault((relu_mlp, residual_mlp, transformer), "loss", UPDATES, raise_rate),
    "rate of one layer too high": Fault((residual_mlp, transformer), "loss", UPDATES, raise_one_rate, is_planted=True),
    "queries and keys grow": Fault(
        (transformer,), "loss", ("attention_logit_growth", "attention_entropy_collapse"), grow_queries, is_planted=True
    ),
    "post-norm, rate rises": Fault((post_norm,), "loss", (*UPDATES, "correlation_collapse", "vanishing_gradient"), raise_rate),
    "float16 overflows": Fault((half_stream,), "overflow", ("overflow_ahead", "exploding_signal"), grow_stream, is_planted=True),
    "units die": Fault((relu_mlp,), "dead", ("dead_units",), kill_units, is_planted=True),
    "bad batch": Fault((relu_mlp, residual_mlp, transformer), "step", ("bad_batch",), before=spoil_inputs),
    "wrong labels": Fault((relu_mlp, residual_mlp, transformer), "step", ("wrong_labels",), before=spoil_targets),
}
