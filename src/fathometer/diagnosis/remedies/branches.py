"""Remedies that change what stands in a block: branch, norm, residual."""

from collections.abc import Sequence
from copy import deepcopy

from torch import nn

from fathometer.diagnosis.case import Case
from fathometer.diagnosis.evidence import has_stream
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.remedies import weights, wiring
from fathometer.diagnosis.remedies.candidate import Candidate, call_on_copy, seed_words, source
from fathometer.diagnosis.remedies.gains import READOUT, rounded, starting_gain
from fathometer.finding import Remedy
from fathometer.instruments import DepthPoint

BESIDE = (nn.Sequential, nn.ModuleList)
OUTRIGHT = nn.TransformerEncoderLayer  # its fast path reads its layers' weights and calls none of them
# Activations whose answers have a mean: what a branch that ends in one adds is the same for all samples, and adds up.
DRIFTING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.SELU, nn.Sigmoid)


def scale_branches(case: Case, examination: Examination) -> Candidate | None:
    if not has_stream(examination.profile) or any(len(point.members) > 1 or point.is_step for point in examination.points.points):
        return None
    blocks = list(dict.fromkeys(point.enter for point in examination.points.points))
    scale = rounded(len(examination.points.points) ** -0.5)
    why = f"Each of {len(blocks)} branches adds {scale} = 1/√depth of what it did, so that the stream grows by a constant in all."
    functions = (wiring.ScaledBranch, wiring.scale_branches)
    if examination.streams_outside:
        return _scale_last_layers(case, examination, scale, why)
    arguments = {"blocks": blocks, "scale": scale}
    return call_on_copy(
        case, "scale_branches", "Weaker residual branches", why, 4, functions, arguments, ("hayou2021", "zhang2019")
    )


def _scale_last_layers(case: Case, examination: Examination, scale: float, why: str) -> Candidate | None:
    """Scale branches that are added to their stream outside of the blocks: by the weights of their last layers."""
    last = [names[-1] for point in examination.points.points if (names := _layers_in(case.model, point))]
    if not last:
        return None
    functions, arguments = (weights.scale_layers,), {"layers": last, "factor": scale}
    return call_on_copy(
        case, "scale_branches", "Weaker residual branches", why, 4, functions, arguments, ("hayou2021", "zhang2019")
    )


def zero_branches(case: Case, examination: Examination) -> Candidate | None:
    """Start every block as the identity, where each has a stream and a last layer of its own."""
    last = _last_layers(case, examination)
    if last is None:
        return None
    why = "A branch whose last layer is 0 adds nothing at first, and grows only as it learns."
    arguments = {"layers": last}
    citations = ("zhang2019", "bachlechner2021")
    return call_on_copy(
        case, "zero_branches", "Branches that start at zero", why, 4, (weights.zero_branches,), arguments, citations
    )


def initialise_stream(case: Case, examination: Examination) -> Candidate | None:
    """Draw all weights anew and start every block as the identity, where each has a stream and a last layer of its own."""
    last = _last_layers(case, examination)
    if last is None:
        return None
    why = "New weights of gain 1, branches that add nothing at first, and a small readout: the stream passes as it is."
    code = source((*weights.INITIALISE, weights.zero_branches))
    drawn = f"initialise(model, gain=1.0, readout={READOUT}{seed_words(case)})"
    code += f"\nmodel = zero_branches({drawn}, layers={last!r})\n"

    def apply(case: Case, seed: int) -> nn.Module:
        anew = weights.initialise(deepcopy(case.model), gain=1.0, readout=READOUT, seed=seed)
        return weights.zero_branches(anew, last)

    remedy = Remedy("initialise_stream", "New weights, branches at zero", why, 1, code, ("zhang2019", "bachlechner2021"))
    return Candidate(remedy, apply)


def _last_layers(case: Case, examination: Examination) -> list[str] | None:
    """Return the names of the blocks' last layers; None where there is no stream, or a block without a layer of its own."""
    points = examination.points.points
    if not has_stream(examination.profile) or any(point.start or point.is_step for point in points):
        return None
    last = [names[-1] for point in points if (names := _layers_in(case.model, point))]
    return last if len(last) == len(points) else None


def _layers_in(model: nn.Module, point: DepthPoint) -> list[str]:
    """Return the names of a block's linear and convolutional layers, in the order in which they are written."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return [name for name, module in model.named_modules() if isinstance(module, kinds) and point.holds(name)]


def add_norm(case: Case, examination: Examination) -> Candidate | None:
    read_by_torch = {id(part) for module in case.model.modules() if isinstance(module, OUTRIGHT) for part in module.children()}
    inside = [name for name, part in case.model.named_modules() if type(part) is nn.Linear and id(part) not in read_by_torch]
    layers = [name for name in inside if any(point.holds(f"{name}.") for point in examination.points.points)]
    if not layers:
        return None
    why = "A LayerNorm in front of each linear layer sets the size of what enters it."
    arguments = {"layers": layers}
    citations = ("ba2016", "xiong2020")
    return call_on_copy(
        case, "add_norm", "LayerNorm before each layer", why, 5, (wiring.Normed, wiring.add_norm), arguments, citations
    )


def add_residual(case: Case, examination: Examination) -> Candidate | None:
    points = examination.points.points
    if has_stream(examination.profile) or len(points) < 2 or any(point.start or point.is_step for point in points):
        return None
    blocks = _separate_blocks(case.model, points)
    drifts = any(_drifts([*map(case.model.get_submodule, names)], examination.activation) for names in blocks)
    scale = rounded(len(blocks) ** (-1 if drifts else -0.5))
    gain = starting_gain(examination.activation)
    strength = "1/depth, for what such a branch adds has a mean" if drifts else "1/√depth"
    why = f"x + {scale}·f(x) ({strength}): each block starts near the identity, and the gradient has a straight way back."
    code = source((wiring.Residual, wiring.add_residual, *weights.INITIALISE))
    wrapped = f"add_residual(model, blocks={blocks!r}, scale={scale})"
    code += f"\nmodel = initialise({wrapped}, gain={gain}, readout={READOUT}{seed_words(case)})\n"

    def apply(case: Case, seed: int) -> nn.Module:
        return weights.initialise(wiring.add_residual(deepcopy(case.model), blocks, scale), gain=gain, readout=READOUT, seed=seed)

    remedy = Remedy("add_residual", "Residual connections", why, 6, code, ("he2015residual", "hayou2021"))
    return Candidate(remedy, apply)


def _drifts(modules: Sequence[nn.Module], activation: str) -> bool:
    """Return whether what a block adds has a mean that grows with the stream, as no norm holds it.

    It does where the block ends in such an activation: as its last module, or called after the one layer that it holds.
    """
    parts = [part for module in modules for part in module.modules() if not list(part.children())]
    parts = [part for part in parts if type(part) is not nn.Identity]
    if any("Norm" in type(part).__name__ for part in parts):
        return False
    drifting = {kind.__name__.lower() for kind in DRIFTING}
    calls = len(parts) == 1 and parts[0] is not modules[0] and activation.replace("_", "") in drifting
    return calls or any(type(part) in DRIFTING for part in parts[-1:])


def _separate_blocks(model: nn.Module, points: Sequence[DepthPoint]) -> list[list[str]]:
    """Return the modules of each block that one wrapper may hold: all where they stand side by side, else the first."""
    homes = [{name.rpartition(".")[0] for name in point.members} for point in points]
    ids = [id(model.get_submodule(name)) for point in points for name in point.members]
    beside = all(len(home) == 1 and isinstance(model.get_submodule(min(home)), BESIDE) for home in homes)
    return [list(point.members) if beside and len(ids) == len(set(ids)) else [point.enter] for point in points]
