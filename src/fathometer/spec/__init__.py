"""What is asked for? A deep network as a value, before it is built."""

from fathometer.spec.mlp import RESIDUAL_KINDS, Mlp
from fathometer.spec.presets import PRESETS, Preset, preset
from fathometer.spec.toml import load_spec, spec_from_dict, spec_to_dict, spec_to_toml

__all__ = [
    "PRESETS",
    "RESIDUAL_KINDS",
    "Mlp",
    "Preset",
    "load_spec",
    "preset",
    "spec_from_dict",
    "spec_to_dict",
    "spec_to_toml",
]
