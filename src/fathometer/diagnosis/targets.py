"""A TARGET on the command line: preset, spec file, or file:function."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from fathometer.contract import LossFunction
from fathometer.diagnosis.admission import first_words
from fathometer.errors import FathometerError, TargetError, kind_of, unknown_name
from fathometer.files import is_file
from fathometer.instruments import seeded
from fathometer.spec import PRESETS, Spec, load_spec, preset


@dataclass(frozen=True)
class Target:
    """What a TARGET stands for: a module or a spec, and the batch and the loss that came with it, if any."""

    model: nn.Module | Spec
    batch: Any = None
    loss_fn: LossFunction | None = None
    name: str = "model"


def load_target(text: str, seed: int = 0) -> Target:
    """Return what a TARGET stands for: `preset`, `preset@field=value`, `spec.toml` or `file.py:function`.

    The function takes no arguments and returns a module, `(model, batch)` or `(model, batch, loss_fn)`. Its file is run:
    only name files that you trust. `seed` is what torch's, numpy's and Python's generators start from meanwhile, so that a
    file that draws its weights draws the same ones each time. Raises `TargetError` if there is no such thing.
    """
    path, colon, function = text.rpartition(":")
    if colon and path.endswith(".py"):
        with seeded(seed):
            return _from_function(Path(path), function)
    if text.endswith(".toml"):
        return Target(load_spec(text), name=Path(text).stem)
    if text.endswith(".py"):
        raise TargetError(f'"{text}" names a file without a function', "A Python TARGET is file.py:function", f"Try {text}:model")
    if text.partition("@")[0] not in PRESETS:
        raise unknown_name("preset", text.partition("@")[0], PRESETS, TargetError)
    return Target(preset(text), name=text)


def _from_function(path: Path, name: str) -> Target:
    if not is_file(path):
        raise TargetError(f'There is no file "{path}"', "A Python TARGET is file.py:function", "Check the path")
    with _importable(path.parent):
        function = _find_function(_run_file(path), path, name)
        try:
            result = function()
        except FathometerError:
            raise
        except (Exception, SystemExit) as problem:  # sys.exit here would end the command with a verdict's exit code
            raise TargetError(
                f'"{path.name}:{name}" raised {type(problem).__name__}: {first_words(problem)}',
                "It must run without arguments and return a model, (model, batch) or (model, batch, loss_fn)",
                "Call it by hand and mend what it says",
            ) from problem
    return _unpack(result, f"{path.name}:{name}", name)


def _run_file(path: Path) -> ModuleType:
    found = spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    try:
        sys.modules[path.stem] = module  # dataclasses and pickles of the file look themselves up there
        found.loader.exec_module(module)
    except (Exception, SystemExit) as problem:
        raise TargetError(
            f'"{path.name}" raised {type(problem).__name__} while it was read: {first_words(problem)}',
            "The file must run by itself",
            f"Run: python {path.name}",
        ) from problem
    return module


def _find_function(module: ModuleType, path: Path, name: str) -> Callable[[], Any]:
    found = getattr(module, name, None)
    if callable(found) and not isinstance(found, nn.Module):
        return found
    if found is not None:
        raise TargetError(
            f'"{name}" in "{path.name}" is {kind_of(found)}',
            "A Python TARGET is file.py:function, and the function makes the model anew",
            f"Write a function that returns ({name}, batch)",
        )
    own = [key for key, value in vars(module).items() if isfunction(value) and value.__module__ == module.__name__]
    near = get_close_matches(name, own, n=1, cutoff=0.4)
    raise TargetError(
        f'"{path.name}" has no function "{name}"',
        f"Its functions are: {', '.join(own)}" if own else "A Python TARGET is file.py:function",
        f'Did you mean "{near[0]}"?' if near else "Check the name",
    )


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, as `python file.py` would, and forget them all at the end.

    Forgotten is what lies beside the file; what it imported from elsewhere stays, and what it hid comes back.
    """
    home = str(folder.resolve())
    before = dict(sys.modules)
    sys.path.insert(0, home)
    try:
        yield
    finally:
        with suppress(ValueError):  # the file may have taken it out itself
            sys.path.remove(home)
        for name, module in list(sys.modules.items()):
            if module is not before.get(name) and _lies_in(module, home):
                del sys.modules[name]
                if name in before:
                    sys.modules[name] = before[name]


def _lies_in(module: ModuleType, home: str) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return False
    path = Path(file).resolve()
    return path.is_relative_to(home) and "site-packages" not in path.relative_to(home).parts


def _unpack(result: Any, where: str, name: str) -> Target:
    parts = result if isinstance(result, tuple) else (result,)
    if not 1 <= len(parts) <= 3 or not isinstance(parts[0], nn.Module | Spec):
        given = ", ".join(type(part).__name__ for part in parts)
        raise TargetError(
            f'"{where}" returned {given if len(parts) == 1 else f"({given})"}',
            "It must return a model, (model, batch) or (model, batch, loss_fn)",
            "The model, an nn.Module, comes first; a batch of several tensors is one tuple or dictionary",
        )
    model, batch, loss_fn = (*parts, None, None)[:3]
    if batch is None and isinstance(model, nn.Module) and not isinstance(getattr(model, "spec", None), Spec):
        raise TargetError(f'"{where}" returned a model without a batch', "A module is examined on data", "Return (model, batch)")
    return Target(model, batch, loss_fn, name)
