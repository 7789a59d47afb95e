"""Will it train? One question to any module, answered before training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack, get_args

import torch
from torch import nn

from fathometer import json_text
from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.case import Case, LossFunction, make_case
from fathometer.diagnosis.closer import look_closer
from fathometer.diagnosis.evidence import Evidence, without_readout
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.forecasting import forecast_for
from fathometer.diagnosis.full_size.asking import FullSize, at_full_size, is_too_large
from fathometer.diagnosis.notes import good_sentence
from fathometer.diagnosis.room import within_memory
from fathometer.diagnosis.rules import judge, verdict_of
from fathometer.errors import ModelError, RecordError, kind_of, unknown_name
from fathometer.finding import CAUSES, Finding, Verdict
from fathometer.instruments.depth_points import Layers
from fathometer.records import check_schema, read_json
from fathometer.spec import Spec, preset
from fathometer.spec.checks import check_seed

SCHEMA = "fathometer.preflight/1"
GARBLED = (KeyError, TypeError, AttributeError, ValueError, AssertionError)  # what reading a broken table may raise


@dataclass(frozen=True, repr=False)
class Preflight:
    """The answer: a verdict, one sentence with a number, the findings (worst first), and the numbers by depth.

    `profile` is measured; `forecast` is what theory expects of the same network, or None where it does not reach.
    `notes` say what a reader should know about how it was measured; `ignored` are causes that were not looked for.
    """

    verdict: Verdict
    sentence: str
    findings: tuple[Finding, ...]
    profile: DepthProfile
    forecast: DepthProfile | None = None
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    network: str = "model"

    def named(self, name: str) -> "Preflight":
        """Return the same answer for a network that is called otherwise."""
        return replace(self, network=name)

    def __repr__(self) -> str:
        causes = ", ".join(finding.cause for finding in self.findings) or "no findings"
        return f"Preflight({self.network}: {self.verdict}; {causes})"

    def __str__(self) -> str:
        from fathometer.diagnosis.words import preflight_text

        return preflight_text(self)

    def _repr_html_(self) -> str:
        from fathometer.diagnosis.pages import preflight_page
        from fathometer.report import framed

        return framed(preflight_page(self))

    def to_json(self) -> str:
        """Return strict JSON with its schema, as `from_json` reads it."""
        return json_text.dump(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, as `from_dict` reads them."""
        return {
            "schema": SCHEMA,
            "network": self.network,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "findings": [finding.to_dict() for finding in self.findings],
            "profile": self.profile.to_dict(),
            "forecast": None if self.forecast is None else self.forecast.to_dict(),
            "notes": list(self.notes),
            "ignored": list(self.ignored),
        }

    @classmethod
    def from_json(cls, text: str) -> "Preflight":
        """Return the preflight that `to_json` wrote; raise `RecordError` for anything else."""
        return cls.from_dict(read_json(text))

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Preflight":
        """Return the preflight that `to_dict` wrote."""
        check_schema(table, SCHEMA)
        try:
            return cls(
                _known_verdict(table["verdict"]),
                table["sentence"],
                tuple(Finding.from_dict(finding) for finding in table["findings"]),
                DepthProfile.from_dict(table["profile"]),
                None if table["forecast"] is None else DepthProfile.from_dict(table["forecast"]),
                tuple(table["notes"]),
                tuple(table["ignored"]),
                table["network"],
            )
        except GARBLED as problem:
            raise RecordError(f"The result lacks or garbles {problem}", "All parts must be there", "Write it anew") from None

    def figure(self, column: str = "gradient") -> Any:
        """Return an Altair chart of one column along depth, the forecast's band behind the measured dots."""
        from fathometer.figures import depth_chart

        return depth_chart(column, [(self.network, self.profile)], self.forecast)

    def save_html(self, path: str | Path) -> Path:
        """Write the report, one file that opens offline, and return its path."""
        from fathometer.diagnosis.pages import preflight_page
        from fathometer.report import save

        return save(preflight_page(self), path)


def preflight(
    model: nn.Module | Spec | str,
    batch: Any = None,
    *,
    loss_fn: LossFunction | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    layers: Layers = None,
    ignore: Iterable[str] | str = (),
    thorough: bool | None = None,
    seed: int = 0,
    **full_size: Unpack[FullSize],
) -> Preflight:
    """Tell, before training, whether a network will train, and if not, why and where.

    `model` is any `nn.Module`, a spec, or a preset's name. `batch` is `(inputs, targets)`, inputs alone, or a dictionary of
    arguments; a spec brings its own (digits where they fit, else noise). Without `loss_fn(output, targets)`, integer
    targets mean cross-entropy and floats mean squared error. With an `optimizer` the size of its first step is judged
    too. `layers` names depth points by pattern; `ignore` silences causes by name. The first look costs about four forward
    and backward passes (of small perceptrons up to 12); where it leaves the verdict open a closer one follows, of about nine
    (up to 48): `thorough=True` always asks for it, `False` never. Nothing is changed by looking.

    A spec or preset whose weights and gradients would take more than half of this machine's memory is examined without making
    them: see `FullSize`.

    Raises `FathometerError` for input that cannot be examined; `OutOfMemoryError` says how many samples would fit.

    >>> preflight("relu-50").verdict
    'will not train'
    """
    if full_size or is_too_large(model):
        return at_full_size(model, batch, layers, ignore, seed, full_size)
    ignored = known_causes(ignore)
    case = case_of(model, batch, loss_fn=loss_fn, seed=seed)
    if optimizer is not None:
        check_optimizer(optimizer, case.model)

    def look(at: Case) -> Preflight:
        return _judged(at, optimizer, layers, thorough, ignored).named(name_of(model))

    with within_memory(case, look):
        return look(case)


def _judged(
    case: Case, optimizer: torch.optim.Optimizer | None, layers: Layers, thorough: bool | None, ignored: tuple[str, ...]
) -> Preflight:
    """Return the answer of a first look, and of a closer one where it is asked for or needed."""
    examination = examine(case, optimizer=optimizer, layers=layers)
    forecast = forecast_for(case, examination)
    evidence = Evidence(without_readout(examination.profile), forecast)
    if examination.broken is not None:
        evidence = replace(evidence, broken_at=examination.broken.module, broken_by=examination.broken.words)
    if thorough is not False:
        evidence = look_closer(case, examination, evidence, optimizer, thorough is True)
    findings = judge(evidence, ignored)
    verdict = verdict_of(findings, evidence)
    sentence = findings[0].sentence if findings and verdict != "healthy" else good_sentence(evidence, verdict)
    return Preflight(
        verdict,
        sentence,
        tuple(findings),
        replace(examination.profile, facts=evidence.profile.facts),
        forecast,
        examination.notes,
        ignored,
    )


def name_of(model: nn.Module | Spec | str) -> str:
    """Return what to call a network: the preset's name, or the class."""
    return model if isinstance(model, str) else type(model).__name__


def spec_of(model: nn.Module | Spec | str) -> Spec | None:
    """Return the spec that a network was, or will be, built from; None for any other module."""
    if isinstance(model, str):
        return preset(model)
    spec = model if isinstance(model, Spec) else getattr(model, "spec", None)
    return spec if isinstance(spec, Spec) else None


def case_of(model: nn.Module | Spec | str, batch: Any, *, loss_fn: LossFunction | None = None, seed: int = 0) -> Case:
    """Return the case of a module, a spec or a preset's name; a spec is built and brings its own batch."""
    check_seed(seed)
    if isinstance(model, str):
        model = preset(model)
    spec = spec_of(model)
    if batch is None and spec is not None:
        from fathometer.diagnosis.own_batch import own_batch

        batch = own_batch(spec, seed)
    if isinstance(model, Spec):
        from fathometer.networks import build

        model = build(model, seed=seed)
    if not isinstance(model, nn.Module):
        raise ModelError(f"The model is {kind_of(model)}", "It must be an nn.Module, a spec or a preset's name", "Pass one")
    return make_case(model, batch, loss_fn, seed)


def _known_verdict(verdict: Verdict) -> Verdict:
    if verdict not in get_args(Verdict):
        raise KeyError(f"verdict {verdict!r}")
    return verdict


def known_causes(ignore: Iterable[str] | str) -> tuple[str, ...]:
    """Return the names of these causes, or raise for one that there is not."""
    names = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    for name in names:
        if name not in CAUSES:
            raise unknown_name("cause", name, CAUSES)
    return names


def check_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    """Raise unless this is an optimizer of the model."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        given = f"`optimizer` is {kind_of(optimizer)}"
        raise ModelError(given, "It must be a torch.optim.Optimizer", "Pass torch.optim.Adam(model.parameters())")
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise ModelError(
            "The optimizer moves no parameter of this model",
            "Its first step on the model is judged",
            "Make it from model.parameters(), after the model is on its device",
        )
