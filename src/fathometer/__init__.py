"""Depth, sounded: measure, judge and mend deep PyTorch networks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Each public name and the module that holds it; nothing is imported before it is asked for.
_PUBLIC = {
    "ConvNet": "fathometer.spec",
    "DepthProfile": "fathometer.depth_profile",
    "FathometerError": "fathometer.errors",
    "Finding": "fathometer.finding",
    "Mlp": "fathometer.spec",
    "Remedy": "fathometer.finding",
    "Transformer": "fathometer.spec",
    "assert_trains": "fathometer.diagnosis",
    "build": "fathometer.networks",
    "deepen": "fathometer.networks",
    "fit_law": "fathometer.scaling",
    "forecast": "fathometer.theory",
    "features": "fathometer.lenses",
    "lesion": "fathometer.lenses",
    "look": "fathometer.lenses",
    "many": "fathometer.runs",
    "mend": "fathometer.diagnosis",
    "parametrize": "fathometer.networks",
    "plan": "fathometer.scaling",
    "preflight": "fathometer.diagnosis",
    "preset": "fathometer.spec",
    "probe": "fathometer.lenses",
    "shrink": "fathometer.lenses",
    "similarity": "fathometer.lenses",
    "study": "fathometer.studies",
    "train": "fathometer.runs",
    "transfer": "fathometer.runs",
    "watch": "fathometer.diagnosis",
}
__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from fathometer.depth_profile import DepthProfile as DepthProfile
    from fathometer.diagnosis import assert_trains as assert_trains
    from fathometer.diagnosis import mend as mend
    from fathometer.diagnosis import preflight as preflight
    from fathometer.diagnosis import watch as watch
    from fathometer.errors import FathometerError as FathometerError
    from fathometer.finding import Finding as Finding
    from fathometer.finding import Remedy as Remedy
    from fathometer.lenses import features as features
    from fathometer.lenses import lesion as lesion
    from fathometer.lenses import look as look
    from fathometer.lenses import probe as probe
    from fathometer.lenses import shrink as shrink
    from fathometer.lenses import similarity as similarity
    from fathometer.networks import build as build
    from fathometer.networks import deepen as deepen
    from fathometer.networks import parametrize as parametrize
    from fathometer.runs import many as many
    from fathometer.runs import train as train
    from fathometer.runs import transfer as transfer
    from fathometer.scaling import fit_law as fit_law
    from fathometer.scaling import plan as plan
    from fathometer.spec import ConvNet as ConvNet
    from fathometer.spec import Mlp as Mlp
    from fathometer.spec import Transformer as Transformer
    from fathometer.spec import preset as preset
    from fathometer.studies import study as study
    from fathometer.theory import forecast as forecast


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fathometer' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
