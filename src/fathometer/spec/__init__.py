"""What is asked for? A deep network as a value, before it is built."""

from fathometer.spec.convnet import ConvNet
from fathometer.spec.families import FAMILIES, Spec
from fathometer.spec.mlp import Mlp
from fathometer.spec.presets import PRESETS, Preset, preset
from fathometer.spec.residual import RESIDUAL_KINDS, deepnorm_constants
from fathometer.spec.toml import load_spec, spec_from_dict, spec_to_dict, spec_to_toml
from fathometer.spec.transformer import Transformer

__all__ = [
    "FAMILIES",
    "PRESETS",
    "RESIDUAL_KINDS",
    "ConvNet",
    "Mlp",
    "Preset",
    "Spec",
    "Transformer",
    "deepnorm_constants",
    "load_spec",
    "preset",
    "spec_from_dict",
    "spec_to_dict",
    "spec_to_toml",
]
