"""The catalogue of presets, and `name@field=value` for kin of them."""

from fathometer.errors import look_up
from fathometer.spec.changes import change, parse_changes
from fathometer.spec.families import Spec
from fathometer.spec.presets.convnets import CONVNETS
from fathometer.spec.presets.entry import Preset
from fathometer.spec.presets.mlps import MLPS
from fathometer.spec.presets.transformers import TRANSFORMERS

PRESETS: dict[str, Preset] = {**MLPS, **CONVNETS, **TRANSFORMERS}


def preset(name: str) -> Spec:
    """Return the spec of a preset; `name@field=value,…` changes fields of it ("off" stands for None and for false).

    A transformer of another width becomes a narrow twin of the same depth: see `spec.changes.change`.

    >>> preset("gpt3-175b@width=128").num_heads
    8
    """
    base, at, text = name.partition("@")
    spec = look_up("preset", base, PRESETS).spec
    return change(spec, parse_changes(spec, text)) if at else spec
