"""How each peer is asked and read: imported in the peers' environment."""

import contextlib
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Loss = Callable[[Any, Any], torch.Tensor]
WRONG, DOUBTFUL = "wrong", "doubtful"
STEPS = 30  # of Adam at 1e-3, for the peers that watch training


@dataclass(frozen=True)
class Question:
    """What every peer is given: a network, a batch with its loss, and more batches for those that watch training.

    `is_own` says that the optimizer is the network's own; else it is Adam at 1e-3, and no part of what is judged.
    """

    model: nn.Module
    inputs: torch.Tensor
    targets: torch.Tensor
    loss_fn: Loss
    optimizer: torch.optim.Optimizer
    batches: list[tuple[torch.Tensor, torch.Tensor]]
    is_own: bool = False


@dataclass(frozen=True)
class Said:
    """One thing that a peer said: how bad, its own word for it, and which of our causes may be meant by it."""

    severity: str
    word: str
    causes: tuple[str, ...] = ()


# Each word of a peer with every cause of ours that it may mean: it is right if the planted one is among them.
SIGNAL = ("vanishing_signal", "correlation_collapse", "rank_collapse", "token_rank_collapse")
FADING = ("vanishing_gradient", "vanishing_signal", "saturation")
GROWING = ("exploding_gradient", "exploding_signal", "batchnorm_explosion", "residual_branch_imbalance", "post_norm_imbalance")
CUT_OFF = ("unused_parameters", "frozen_parameters")
TORCHLENS = {
    "find_nan": ("non_finite",), "bisect_nan": ("non_finite",), "bisect_nan_backward": ("non_finite",),
    "dtype_nonfinite": ("non_finite",), "dtype_near_max": ("exploding_signal", "non_finite"),
    "dtype_subnormal": FADING, "dtype_downcast": (),
    "vanishing": FADING, "exploding": GROWING, "dead": ("dead_units", *CUT_OFF, "vanishing_gradient"),
    "nonfinite": ("non_finite",),
}  # fmt: skip
TORCHMORTEM = {
    "Vanishing gradients": FADING, "Exploding gradients": GROWING, "Gradient stalling": (*FADING, *CUT_OFF, "dead_units"),
    "Dead units": ("dead_units",), "Activation saturation": ("saturation",), "Update ratio": ("update_size",),
    "Rank collapse": SIGNAL, "Training divergence": ("update_size", *GROWING), "Loss plateau": FADING,
    "Weight norm explosion": ("update_size", "exploding_signal"), "Stagnant weight norms": ("update_size", *CUT_OFF),
    "Inter-layer weight norm": ("initial_loss", "residual_branch_imbalance"), "High gradient noise": ("shattered_gradients",),
}  # fmt: skip
TORCHTEST2 = {
    "forward": ("non_finite",), "output_finite": ("non_finite",), "loss": ("non_finite",), "output_varies": SIGNAL,
    "initial_loss": ("initial_loss", "softmax_before_loss", "exploding_signal"),
    "gradient_flow": (*CUT_OFF, *FADING, "dead_units"), "gradient_magnitude": (*GROWING, "non_finite"),
    "params_change": (*CUT_OFF, "update_size", "vanishing_gradient"), "frozen_params": ("frozen_parameters",),
    "input_dependency": SIGNAL, "overfit_batch": ("softmax_before_loss", "update_size"),
}  # fmt: skip
TORCHDIAG = {
    "vanishing": FADING, "exploding": GROWING, "disconnected": CUT_OFF, "neurons dead": ("dead_units",),
    "not finite": ("non_finite",), "None gradients": CUT_OFF, "No parameters changed": (*CUT_OFF, "update_size"),
}  # fmt: skip
TORCH_AUDIT = {
    "TA100": ("non_finite",), "TA102": GROWING, "TA103": ("dead_units", "vanishing_gradient", *CUT_OFF), "TA104": CUT_OFF,
    "TA105": ("dead_units", "vanishing_signal"), "TA405": ("dead_units",), "TA500": ("unused_parameters",),
}  # fmt: skip


def torchlens(asked: Question) -> list[Said]:
    """Trace with the gradients of one backward pass, and read its `audit_trace`, each kind of trouble once.

    Of the gradient's audit it gives one finding for each operation; the flags of its table say which kind. The commonest kind
    comes first. On networks with loops the audit as a whole raises (2.36.1); then its table of gradients is read alone.
    """
    import torchlens as lens
    from torchlens.errors import InvalidArgumentError

    options = lens.options.CaptureOptions(save_grads=True)
    trace = lens.trace(asked.model, asked.inputs, capture=options)
    trace.log_backward(asked.loss_fn(trace[trace.output_layers[0]].out, asked.targets))
    said = dict[str, Said]()
    try:
        findings = lens.debug.audit_trace(trace).findings
    except InvalidArgumentError:
        findings = ()
    for finding in findings:
        if finding.severity in ("critical", "warning") and finding.check != "gradient_flow_audit":
            severity = WRONG if finding.severity == "critical" else DOUBTFUL
            said.setdefault(finding.check, Said(severity, finding.check, TORCHLENS.get(finding.check, ())))
    rows = [row for row in lens.debug.gradient_flow_audit_rows(trace)[0] if row["severity"] > 0]
    counts = {kind: sum(bool(row.get(kind)) for row in rows) for kind in ("exploding", "vanishing", "dead", "nonfinite")}
    for kind in sorted(counts, key=lambda kind: -counts[kind]):
        if counts[kind]:
            said[kind] = Said(WRONG if kind in ("exploding", "nonfinite") else DOUBTFUL, kind, TORCHLENS[kind])
    return list(said.values())


def torchmortem(asked: Question) -> list[Said]:
    """Watch training, every step, and read the findings in the order of its report."""
    from torchmortem import Autopsy

    with Autopsy(asked.model, optimizer=asked.optimizer, sampling="thorough") as autopsy:
        for inputs, targets in asked.batches[:STEPS]:
            asked.optimizer.zero_grad()
            loss = asked.loss_fn(asked.model(inputs), targets)
            loss.backward()
            asked.optimizer.step()
            autopsy.step(loss=loss.item())
    report = autopsy.get_report()
    found = sorted(report.findings, key=lambda finding: -int(finding.severity)) if report is not None else []
    severities = {2: WRONG, 1: DOUBTFUL}
    return [
        Said(severities[int(f.severity)], f.title, _meant(TORCHMORTEM, f.title)) for f in found if int(f.severity) in severities
    ]


def torchtest2(asked: Question) -> list[Said]:
    """Ask every check about one batch, and read failures before warnings."""
    import torchtest2 as tester

    report = tester.check_model(
        asked.model, asked.inputs, asked.targets, loss_fn=asked.loss_fn, optimizer=asked.optimizer, overfit_steps=100
    )
    words = [(WRONG, each) for each in report.failures] + [(DOUBTFUL, each) for each in report.warnings]
    return [Said(severity, each.name, TORCHTEST2.get(each.name, ())) for severity, each in words]


def torchdiag(asked: Question) -> list[Said]:
    """Ask for dead neurons, gradients after one backward pass, and one step; read the issues that are printed.

    Few layers of many are no issue of the network: what is said of under a tenth of its lines is read as doubtful.
    """
    import torchdiag as diag

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        diag.check_dead_neurons(asked.model, asked.inputs)
        asked.optimizer.zero_grad()
        asked.loss_fn(asked.model(asked.inputs), asked.targets).backward()
        states = diag.check_gradients(asked.model)
        diag.verify_step(asked.model, asked.optimizer, asked.loss_fn, asked.inputs, asked.targets)
    issues = [line.strip(" •") for line in printed.getvalue().splitlines() if line.strip().startswith("•")]
    kinds = dict[str, int]()
    for issue in issues:
        kind = next((word for word in TORCHDIAG if word in issue), issue)
        kinds[kind] = kinds.get(kind, 0) + 1
    most_first = sorted(kinds, key=lambda kind: -kinds[kind])
    few = max(len(states), 1) / 10
    once = ("not finite", "None gradients", "No parameters changed")
    return [Said(WRONG if kinds[k] >= few or k in once else DOUBTFUL, k, TORCHDIAG.get(k, ())) for k in most_first]


def torch_audit(asked: Question) -> list[Said]:
    """Audit every step of training in all phases; hints on hardware, style and weight decay are left out."""
    from torch_audit import audit_dynamic

    with audit_dynamic(asked.model, optimizer=asked.optimizer, every_n_steps=1, reporters=[], fail_level="FATAL") as auditor:
        for inputs, targets in asked.batches[:STEPS]:
            asked.optimizer.zero_grad()
            loss = asked.loss_fn(auditor.forward(inputs), targets)
            auditor.backward(loss)
            auditor.optimizer_step()
    ranks, said = {"FATAL": WRONG, "ERROR": WRONG, "WARN": DOUBTFUL}, dict[str, Said]()
    result = auditor.finish(report=False)
    for finding in result.findings:
        rule, severity = finding.rule_id, ranks.get(finding.severity.value)
        if severity is not None and rule in TORCH_AUDIT:
            said.setdefault(rule, Said(severity, rule, TORCH_AUDIT[rule]))
    return sorted(said.values(), key=lambda each: each.severity != WRONG)


def fathometer(asked: Question) -> list[Said]:
    """Ask for a preflight, for the same table; a verdict of "unknown" is said as doubtful."""
    from fathometer.diagnosis import preflight

    optimizer = asked.optimizer if asked.is_own else None
    check = preflight(asked.model, (asked.inputs, asked.targets), loss_fn=asked.loss_fn, optimizer=optimizer)
    if check.verdict == "healthy":
        return []
    severity = WRONG if check.verdict == "will not train" else DOUBTFUL
    found = [finding.cause for finding in check.findings if finding.severity != "note"]
    return [Said(severity, cause, (cause,)) for cause in found] or [Said(severity, check.verdict)]


READERS: dict[str, Callable[[Question], list[Said]]] = {
    "fathometer": fathometer,
    "torchlens": torchlens,
    "torchmortem": torchmortem,
    "torchtest2": torchtest2,
    "torchdiag": torchdiag,
    "torch-audit": torch_audit,
}


def _meant(table: dict[str, tuple[str, ...]], title: str) -> tuple[str, ...]:
    return next((causes for word, causes in table.items() if title.startswith(word)), ())


logging.disable(logging.WARNING)
