"""Reference networks by name, each with the lesson it is here for."""

from dataclasses import dataclass, fields, replace
from typing import Any

from fathometer.errors import SpecError, unknown_name
from fathometer.spec.mlp import Mlp


@dataclass(frozen=True)
class Preset:
    """A spec with a sentence about it and where its numbers come from."""

    spec: Mlp
    summary: str
    source: str


PRESETS: dict[str, Preset] = {
    "shallow-1": Preset(Mlp(depth=1, width=256), "One hidden layer: can approximate anything, inefficiently.", "Cybenko 1989"),
    "mlp-5": Preset(Mlp(depth=5, width=128), "Five layers that start at the edge of chaos.", "He et al. 2015"),
    "tanh-50": Preset(
        Mlp(depth=50, activation="tanh", init="pytorch"),
        "Fifty tanh layers as PyTorch starts them: does not learn.",
        "torch.nn.Linear's default",
    ),
    "relu-50": Preset(
        Mlp(depth=50, init="pytorch"),
        "Fifty ReLU layers as PyTorch starts them: does not learn.",
        "torch.nn.Linear's default",
    ),
    "he-50": Preset(Mlp(depth=50), "Fifty plain ReLU layers, He: the signal lives, the samples draw together.", "He et al. 2015"),
    "orthogonal-tanh-50": Preset(
        Mlp(depth=50, activation="tanh", init="orthogonal", gain=0.6),
        "Fifty plain tanh layers with orthogonal weights of gain 1.",
        "Saxe et al. 2014; Pennington et al. 2017",
    ),
    "residual-50": Preset(
        Mlp(depth=50, residual="scaled"), "Fifty residual blocks, each branch divided by √50.", "Hayou et al. 2021"
    ),
    "fixup-50": Preset(
        Mlp(depth=50, residual="plain", branch_layers=2, init="fixup"),
        "Fifty residual blocks that start as the identity.",
        "Zhang et al. 2019",
    ),
    "pre-norm-96": Preset(
        Mlp(depth=96, residual="pre-norm"), "96 pre-norm residual blocks: as deep as GPT-3.", "Xiong et al. 2020"
    ),
    "residual-1000": Preset(Mlp(depth=1000, residual="scaled"), "A thousand residual blocks.", "Hayou et al. 2021"),
}


def preset(name: str) -> Mlp:
    """Return the spec of a preset; `name@field=value,…` changes fields of it.

    >>> preset("pre-norm-96@width=128").width
    128
    """
    base, _, changes = name.partition("@")
    if base not in PRESETS:
        raise unknown_name("preset", base, PRESETS)
    return replace(PRESETS[base].spec, **_parse_changes(changes))


def _parse_changes(changes: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for change in filter(None, changes.split(",")):
        field, equals, value = change.partition("=")
        if not equals:
            raise SpecError(f'"{change}" after @ has no "="', "Changes are written field=value", 'For example "@width=128"')
        if field not in {known.name for known in fields(Mlp)}:
            raise unknown_name("field", field, [known.name for known in fields(Mlp)])
        result[field] = _parse_value(value)
    return result


def _parse_value(text: str) -> object:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return None if text == "none-at-all" else text
