"""Which remedies fit this model, from least to most invasive."""

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy

from torch import nn

from fathometer.activations import find_activation
from fathometer.contract import call
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.evidence import has_stream
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.remedies import weights, wiring
from fathometer.diagnosis.remedies.candidate import Candidate, call_on_copy, call_words, seed_words, source
from fathometer.finding import Remedy
from fathometer.instruments import DepthPoint
from fathometer.theory import critical_gain, signal_keeping_gain

BESIDE = (nn.Sequential, nn.ModuleList)
# Activations whose answers have a mean: what a branch that ends in one adds is the same for all samples, and adds up.
DRIFTING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.SELU, nn.Sigmoid)
# The activation heard, the module to replace, and what takes its place (its name for theory).
SWAPS: dict[str, tuple[type[nn.Module], type[nn.Module], str]] = {
    "sigmoid": (nn.Sigmoid, nn.Tanh, "tanh"),
    "tanh": (nn.Tanh, nn.ReLU, "relu"),
    "relu": (nn.ReLU, nn.GELU, "gelu"),
}


def propose(case: Case, examination: Examination) -> list[Candidate]:
    """Return the candidates that fit, from least to most invasive, and in the catalogue's order."""
    fitting = [candidate for maker in CATALOGUE.values() if (candidate := maker(case, examination)) is not None]
    return sorted(fitting, key=lambda candidate: candidate.remedy.invasiveness)


def _initialise_textbook(case: Case, examination: Examination) -> Candidate | None:
    """Return the gain of `torch.nn.init.calculate_gain`, where that differs from the critical one."""
    activation = examination.activation
    gain = find_activation(activation).classic_gain
    if gain is None or abs(gain - _starting_gain(activation)) < 0.01:
        return None
    why = f"The textbook's gain for {activation} is {_rounded(gain)}; it was made for a few layers."
    title = f"Textbook initialisation, gain {_rounded(gain)}"
    return call_on_copy(
        case, "initialise_textbook", title, why, 1, (weights.initialise,), {"gain": _rounded(gain)}, ("glorot2010",)
    )


def _initialise(case: Case, examination: Examination) -> Candidate:
    activation = examination.activation
    gain = _starting_gain(activation)
    critical = f"Critical initialisation, gain {gain}"
    title = {"relu": "He initialisation", "leaky_relu": "He initialisation"}.get(activation, critical)
    why = f"With std {gain}/√fan_in and no bias, {activation} layers neither shrink nor grow what passes through."
    return call_on_copy(
        case, "initialise", title, why, 1, (weights.initialise,), {"gain": gain}, ("he2015init", "schoenholz2017")
    )


def _initialise_orthogonal(case: Case, examination: Examination) -> Candidate:
    gain = _starting_gain(examination.activation)
    why = f"Orthogonal matrices times {gain} keep every direction's length, not only the average one."
    arguments = {"gain": gain, "orthogonal": True}
    citations = ("saxe2014", "pennington2017")
    return call_on_copy(
        case,
        "initialise_orthogonal",
        f"Orthogonal initialisation, gain {gain}",
        why,
        1,
        (weights.initialise,),
        arguments,
        citations,
    )


def _initialise_by_measurement(case: Case, examination: Examination) -> Candidate:
    why = "Each layer is scaled until its outputs have variance 1 on a real batch."
    code = source((weights.initialise_by_measurement,))
    run = f"lambda model: model({call_words(case)})"
    code += f"\n# inputs: one batch\nmodel = initialise_by_measurement(model, {run}{seed_words(case)})\n"
    remedy = Remedy("initialise_by_measurement", "Layer-sequential unit variance", why, 1, code, ("mishkin2016",))

    def apply(case: Case, seed: int) -> nn.Module:
        twin = deepcopy(case.model)
        return weights.initialise_by_measurement(twin, lambda model: call(model, case.inputs), seed=seed)

    return Candidate(remedy, apply)


def _swap_activation(case: Case, examination: Examination) -> Candidate | None:
    if examination.activation not in SWAPS:
        return None
    old, new, name = SWAPS[examination.activation]
    if not any(type(module) is old for module in case.model.modules()):
        return None
    gain = _starting_gain(name)
    why = f"{new.__name__} passes more gradient than {old.__name__}; the weights start at its critical gain, {gain}."
    code = source((wiring.swap_activation, weights.initialise))
    swapped = f"swap_activation(model, nn.{old.__name__}, nn.{new.__name__})"
    code += f"\nmodel = initialise({swapped}, gain={gain}{seed_words(case)})\n"

    def apply(case: Case, seed: int) -> nn.Module:
        return weights.initialise(wiring.swap_activation(deepcopy(case.model), old, new), gain=gain, seed=seed)

    title = f"{new.__name__} instead of {old.__name__}"
    return Candidate(Remedy("swap_activation", title, why, 2, code, ("glorot2010", "he2015init")), apply)


def _clip(case: Case, examination: Examination) -> Candidate:
    why = "Clipping bounds each step, and the warm-up keeps the first ones small."
    code = inspect.cleandoc(CLIPPING) + "\nmodel = model  # the network itself stays as it is\n"
    remedy = Remedy("clip", "Clip the gradient and warm up", why, 3, code, ("pascanu2013",))
    return Candidate(
        remedy, lambda case, seed: deepcopy(case.model), {"clip": 1.0, "warmup": 50}, ("exploding_gradient", "update_size")
    )


CLIPPING = """
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def warm_up(optimizer, steps=50):
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))


def clipped_step(model, optimizer, scheduler, limit=1.0):  # call after loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), limit)
    optimizer.step()
    scheduler.step()


"""


def _scale_branches(case: Case, examination: Examination) -> Candidate | None:
    if not has_stream(examination.profile) or any(len(point.members) > 1 for point in examination.points.points):
        return None
    blocks = list(dict.fromkeys(point.enter for point in examination.points.points))
    scale = _rounded(len(examination.points.points) ** -0.5)
    why = f"Each of {len(blocks)} branches adds {scale} = 1/√depth of what it did, so that the stream grows by a constant in all."
    functions = (wiring.ScaledBranch, wiring.scale_branches)
    arguments = {"blocks": blocks, "scale": scale}
    return call_on_copy(
        case, "scale_branches", "Weaker residual branches", why, 4, functions, arguments, ("hayou2021", "zhang2019")
    )


def _add_norm(case: Case, examination: Examination) -> Candidate | None:
    inside = [name for name, module in case.model.named_modules() if type(module) is nn.Linear]
    layers = [name for name in inside if any(point.holds(f"{name}.") for point in examination.points.points)]
    if not layers:
        return None
    why = "A LayerNorm in front of each linear layer sets the size of what enters it."
    arguments = {"layers": layers}
    citations = ("ba2016", "xiong2020")
    return call_on_copy(case, "add_norm", "LayerNorm before each layer", why, 5, (wiring.add_norm,), arguments, citations)


def _add_residual(case: Case, examination: Examination) -> Candidate | None:
    points = examination.points.points
    if has_stream(examination.profile) or len(points) < 2 or any(point.start for point in points):
        return None
    blocks = _separate_blocks(case.model, points)
    drifts = any(type(case.model.get_submodule(names[-1])) in DRIFTING for names in blocks)
    scale = _rounded(len(blocks) ** (-1 if drifts else -0.5))
    gain = _starting_gain(examination.activation)
    why = f"x + {scale}·f(x): the identity is what each block starts near, and the gradient has a straight way back."
    code = source((wiring.Residual, wiring.add_residual, weights.initialise))
    wrapped = f"add_residual(model, blocks={blocks!r}, scale={scale})"
    code += f"\nmodel = initialise({wrapped}, gain={gain}{seed_words(case)})\n"

    def apply(case: Case, seed: int) -> nn.Module:
        return weights.initialise(wiring.add_residual(deepcopy(case.model), blocks, scale), gain=gain, seed=seed)

    remedy = Remedy("add_residual", "Residual connections", why, 6, code, ("he2015residual", "hayou2021"))
    return Candidate(remedy, apply)


def _separate_blocks(model: nn.Module, points: Sequence[DepthPoint]) -> list[list[str]]:
    """Return the modules of each block that one wrapper may hold: all where they stand side by side, else the first."""
    homes = [{name.rpartition(".")[0] for name in point.members} for point in points]
    ids = [id(model.get_submodule(name)) for point in points for name in point.members]
    beside = all(len(home) == 1 and isinstance(model.get_submodule(min(home)), BESIDE) for home in homes)
    return [list(point.members) if beside and len(ids) == len(set(ids)) else [point.enter] for point in points]


def _shrink_readout(case: Case, examination: Examination) -> Candidate | None:
    loss, chance = examination.profile.facts.get("cross_entropy"), examination.profile.facts.get("chance_cross_entropy")
    if not isinstance(loss, float) or not isinstance(chance, float) or loss < chance + 1:
        return None
    factor = _rounded(1 / (loss - chance))
    why = "Smaller outputs start the classifier near a fair guess."
    arguments = {"factor": factor}
    return call_on_copy(
        case, "shrink_readout", "Smaller readout", why, 1, (weights.shrink_readout,), arguments, ("karpathy2019",)
    )


CATALOGUE: dict[str, Callable[[Case, Examination], Candidate | None]] = {
    "shrink_readout": _shrink_readout,
    "initialise_textbook": _initialise_textbook,
    "initialise": _initialise,
    "initialise_orthogonal": _initialise_orthogonal,
    "initialise_by_measurement": _initialise_by_measurement,
    "swap_activation": _swap_activation,
    "clip": _clip,
    "scale_branches": _scale_branches,
    "add_norm": _add_norm,
    "add_residual": _add_residual,
}


def _starting_gain(activation: str) -> float:
    """Return the gain at which gradients neither grow nor fade (saturating ones), or else the one that keeps the signal."""
    critical = critical_gain(activation) if find_activation(activation).saturates else None
    return _rounded(signal_keeping_gain(activation) if critical is None else critical)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
