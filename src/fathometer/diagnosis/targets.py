"""A TARGET on the command line: a preset, a spec file, or a function in a Python file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from torch import nn

from fathometer.contract import LossFunction
from fathometer.errors import FathometerError, TargetError, unknown_name
from fathometer.spec import PRESETS, Mlp, load_spec, preset


@dataclass(frozen=True)
class Target:
    """What a TARGET stands for: a module or a spec, and the batch and the loss that came with it, if any."""

    model: nn.Module | Mlp
    batch: Any = None
    loss_fn: LossFunction | None = None
    name: str = "model"


def load_target(text: str) -> Target:
    """Return what a TARGET stands for: `preset`, `preset@field=value`, `spec.toml` or `file.py:function`.

    The function takes no arguments and returns a module, `(model, batch)` or `(model, batch, loss_fn)`. Its file is run:
    only name files that you trust. Raises `TargetError` if there is no such thing.
    """
    path, colon, function = text.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_function(Path(path), function)
    if text.endswith(".toml"):
        return Target(load_spec(text), name=Path(text).stem)
    if text.endswith(".py"):
        raise TargetError(f'"{text}" names a file without a function', "A Python TARGET is file.py:function", f"Try {text}:model")
    if text.partition("@")[0] not in PRESETS:
        raise unknown_name("preset", text.partition("@")[0], PRESETS, TargetError)
    return Target(preset(text), name=text)


def _from_function(path: Path, name: str) -> Target:
    if not path.is_file():
        raise TargetError(f'There is no file "{path}"', "A Python TARGET is file.py:function", "Check the path")
    with _importable(path.parent):
        function = getattr(_run_file(path), name, None)
        if not callable(function):
            raise TargetError(f'"{path.name}" has no function "{name}"', "A Python TARGET is file.py:function", "Check the name")
        try:
            result = function()
        except FathometerError:
            raise
        except Exception as problem:
            raise TargetError(
                f'"{path.name}:{name}" raised {type(problem).__name__}: {problem}',
                "It must run without arguments and return a model, (model, batch) or (model, batch, loss_fn)",
                "Call it by hand and mend what it says",
            ) from problem
    return _unpack(result, f"{path.name}:{name}", name)


def _run_file(path: Path) -> Any:
    found = spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    try:
        sys.modules[path.stem] = module  # dataclasses and pickles of the file look themselves up there
        found.loader.exec_module(module)
    except Exception as problem:
        raise TargetError(
            f'"{path.name}" raised {type(problem).__name__} while it was read: {problem}',
            "The file must run by itself",
            f"Run: python {path.name}",
        ) from problem
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, as `python file.py` would."""
    sys.path.insert(0, str(folder.resolve()))
    modules = dict(sys.modules)
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
        for name in set(sys.modules) - set(modules):
            if str(folder.resolve()) in str(getattr(sys.modules[name], "__file__", "") or ""):
                del sys.modules[name]


def _unpack(result: Any, where: str, name: str) -> Target:
    parts = result if isinstance(result, tuple) else (result,)
    if not 1 <= len(parts) <= 3 or not isinstance(parts[0], nn.Module | Mlp):
        given = ", ".join(type(part).__name__ for part in parts)
        raise TargetError(
            f'"{where}" returned ({given})', "It must return a model, (model, batch) or (model, batch, loss_fn)", "Do so"
        )
    model, batch, loss_fn = (*parts, None, None)[:3]
    if batch is None and isinstance(model, nn.Module) and not isinstance(getattr(model, "spec", None), Mlp):
        raise TargetError(f'"{where}" returned a model without a batch', "A module is examined on data", "Return (model, batch)")
    return Target(model, batch, loss_fn, name)
