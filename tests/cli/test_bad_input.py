"""Bad input, from Python and from the terminal: one paragraph, no traceback."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fathometer.diagnosis import load_target, mend, preflight
from fathometer.errors import BatchError, FathometerError, ModelError, TargetError

# What the function returns, the family of the error, and words that must be in it.
REFUSED: dict[str, tuple[str, type[FathometerError], tuple[str, ...]]] = {
    "forward raises": ("Wrapped(lambda n, x: n(x.reshape(3, 7))), (x, y)", ModelError, ("raised RuntimeError", "(32, 16)")),
    "forward raises in many lines": ("Wrapped(lambda n, x: int('a\\nb')), (x, y)", ModelError, ("raised ValueError",)),
    "forward calls sys.exit": ("Wrapped(lambda n, x: sys.exit(0)), (x, y)", ModelError, ("raised SystemExit: 0",)),
    "forward returns None": ("Wrapped(lambda n, x: None), (x, y)", ModelError, ("no tensor", "NoneType")),
    "forward returns a word": ("Wrapped(lambda n, x: 'yes'), (x, y)", ModelError, ("no tensor", "str")),
    "forward returns a number": ("Wrapped(lambda n, x: 3), (x, y)", ModelError, ("no tensor", "int")),
    "integer outputs": ("Wrapped(lambda n, x: n(x).argmax(1)), (x, y)", ModelError, ("torch.int64", "floating-point")),
    "no parameters": ("nn.Sequential(nn.ReLU()), (x, y)", ModelError, ("no parameters",)),
    "all frozen": ("net().requires_grad_(False), (x, y)", ModelError, ("frozen", "requires_grad_(True)")),
    "NaN weights": ("nan(net()), (x, y)", ModelError, ("`0.weight` holds 1 of 256",)),
    "NaN inputs": ("net(), (x * float('nan'), y)", BatchError, ("inputs", "512 of 512")),
    "an empty batch": ("net(), (x[:0], y[:0])", BatchError, ("no samples",)),
    "a batch without tensors": ("net(), ([1, 2], [3, 4])", BatchError, ("no tensor",)),
    "boolean targets": ("net(), (x, y > 1)", BatchError, ("booleans",)),
    "float targets of another shape": ("net(), (x, y.float())", BatchError, ("Float targets of shape (32,)", "(32, 4)")),
    "integer targets of another shape": ("net(), (x, y[:7])", BatchError, ("shape (7,)", "(32, 4)")),
    "a class too many": ("net(), (x, y + 1)", BatchError, ("1 to 4", "0 to 3")),
    "a negative class": ("net(), (x, y - 1)", BatchError, ("-1 to 2", "0 to 3")),
    "targets that are a list": ("net(), (x, y.tolist())", BatchError, ("list",)),
    "loss_fn with inputs alone": ("net(), x, F.cross_entropy", BatchError, ("inputs alone", "(inputs, targets)")),
    "loss_fn that is a word": ("net(), (x, y), 'mse'", BatchError, ("`loss_fn` is 'mse'",)),
    "loss_fn raises": ("net(), (x, y), lambda o, t: 1 / 0", BatchError, ("ZeroDivisionError",)),
    "loss_fn calls sys.exit": ("net(), (x, y), lambda o, t: sys.exit(0)", BatchError, ("sys.exit",)),
    "loss_fn returns many numbers": ("net(), (x, y), lambda o, t: o", BatchError, ("shape (32, 4)", "one number")),
    "loss_fn returns a plain number": ("net(), (x, y), lambda o, t: 1.0", BatchError, ("float", "one number")),
    "a loss without a graph": ("net(), (x, y), lambda o, t: F.cross_entropy(o.detach(), t)", BatchError, ("does not depend",)),
    "a loss that counts": ("net(), (x, y), lambda o, t: (o.argmax(1) == t).sum()", BatchError, ("torch.int64",)),
    "a complex loss": ("net(), (x, y), lambda o, t: torch.complex(o.sum(), o.sum())", BatchError, ("torch.complex64",)),
    "an in-place operation on the inputs": ("Wrapped(lambda n, x: n(x.add_(1))), (x, y)", ModelError, ("in place",)),
    "a backward pass that fails": ("Wrapped(overwrite), (x, y)", ModelError, ("backward pass raised RuntimeError",)),
    "a batch on another device": ("net(), (x.to('meta'), y.to('meta'))", BatchError, ("cpu", "meta")),
    "a model on meta": ("net().to('meta'), (x, y)", ModelError, ("meta device",)),
    "a lazy module": ("nn.Sequential(nn.LazyLinear(4)), (x, y)", ModelError, ("`0.weight` has no shape",)),
}
HELPERS = """
def nan(model):
    model[0].weight.data[0, 0] = float("nan")
    return model


def overwrite(net, x):
    hidden = net[0](x).exp()
    result = net[-1](hidden)
    hidden.mul_(2)
    return result


def target():
    return """


def is_one_paragraph(text: str) -> bool:
    """Return whether an error is one line of at least three sentences without a traceback."""
    return "\n" not in text and "Traceback" not in text and sum(text.count(mark) for mark in ".?!") >= 3


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_python(name: str, user_file: Callable[..., Path]) -> None:
    """`fm.preflight` raises one paragraph of the right family, that names what was given."""
    text, family, words = REFUSED[name]
    target = load_target(f"{user_file(HELPERS + text)}:target")

    with pytest.raises(FathometerError) as caught:
        preflight(target.model, target.batch, loss_fn=target.loss_fn)

    assert type(caught.value) is family
    assert is_one_paragraph(str(caught.value)), str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_on_the_command_line(name: str, user_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    """The command says the same on stderr, prints nothing else, and ends with 2."""
    text, _, words = REFUSED[name]

    result = run("preflight", f"{user_file(HELPERS + text)}:target")

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert is_one_paragraph(result.err.rstrip("\n")), result.err
    assert [word for word in words if word not in result.err] == []


@pytest.mark.parametrize("name", ["forward calls sys.exit", "NaN weights", "loss_fn with inputs alone", "a model on meta"])
def test_mend_refuses_it_too(name: str, user_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    """`mend` says what `preflight` says, before anything is trained."""
    text, family, words = REFUSED[name]
    path = user_file(HELPERS + text)
    target = load_target(f"{path}:target")

    with pytest.raises(family, match=words[0].replace("(", r"\(").replace("[", r"\[")):
        mend(target.model, target.batch, loss_fn=target.loss_fn)
    result = run("mend", f"{path}:target")
    assert (result.code, result.out) == (2, "")
    assert words[0] in result.err


def test_mend_needs_targets(user_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    """Inputs alone can be examined, and not trained on."""
    result = run("mend", f"{user_file('def target(): return net(), x')}:target")

    assert result.code == 2
    assert "inputs alone" in result.err


# A whole file, and words of the error; TARGET is FILE:target.
BAD_FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "raises when read": ("def target(): ...\nraise RuntimeError('at the top')\n", ("raised RuntimeError", "at the top")),
    "exits when read": ("def target(): ...\nimport sys\nsys.exit(0)\n", ("raised SystemExit while it was read",)),
    "is no Python": ("def target(:\n", ("raised SyntaxError",)),
    "has no such function": ("def targets(): ...\n", ('no function "target"', 'Did you mean "targets"?')),
    "names a number": ("target = 3\n", ("is an int",)),
    "names a module": ("from torch import nn\ntarget = nn.Linear(2, 2)\n", ("is a Linear", "Write a function")),
    "wants arguments": ("def target(depth): ...\n", ("raised TypeError", "without arguments")),
    "raises": ("def target(): raise KeyError('weights')\n", ("raised KeyError: 'weights'",)),
    "exits": ("def target():\n    import sys\n    sys.exit(0)\n", ("raised SystemExit: 0",)),
    "returns nothing": ("def target(): ...\n", ("returned NoneType", "nn.Module")),
    "returns words": ("def target(): return 'model', 'batch'\n", ("returned (str, str)",)),
    "returns too much": ("def target(): return 1, 2, 3, 4\n", ("(int, int, int, int)",)),
    "returns a module without a batch": ("from torch import nn\ndef target(): return nn.Linear(2, 2)\n", ("without a batch",)),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_target(name: str, user_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    """A file that cannot be read, or a function that gives nothing to examine, is said in one paragraph."""
    text, words = BAD_FILES[name]
    path = user_file(text, opening="")
    modules = set(sys.modules)

    with pytest.raises(TargetError) as caught:
        load_target(f"{path}:target")
    result = run("preflight", f"{path}:target")

    assert (result.code, result.out, result.err) == (2, "", f"error: {caught.value}\n")
    assert is_one_paragraph(str(caught.value)), str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "net" not in set(sys.modules) - modules


# A spec file, and words of the error.
BAD_SPECS: dict[str, tuple[str, tuple[str, ...]]] = {
    "no TOML": ("family = mlp", ("not TOML",)),
    "an unknown field": ('family = "mlp"\nheads = 8', ('no field named "heads"',)),
    "a field of another type": ('family = "mlp"\nwidth = "wide"', ("`width` is 'wide'",)),
    "a value that cannot be": ('family = "mlp"\ndepth = 0', ("`depth` is 0",)),
    "an unknown family": ('family = "mlpp"', ('Did you mean "mlp"?',)),
    "neither family nor preset": ("depth = 4", ("Neither `family` nor `preset`",)),
    "an unknown preset": ('preset = "tanh50"', ('Did you mean "tanh-50"?',)),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_a_spec_file_that_cannot_be(name: str, user_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    """A spec with wrong keys, types or values is said in one paragraph."""
    text, words = BAD_SPECS[name]

    result = run("preflight", user_file(text, "net.toml", opening=""))

    assert (result.code, result.out) == (2, "")
    assert is_one_paragraph(result.err.rstrip("\n")), result.err
    assert [word for word in words if word not in result.err] == []


# Arguments after `preflight`, and words of the error; FOLDER is an empty folder.
BAD_ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "an unknown preset": (("tanh50",), ('Did you mean "tanh-50"?',)),
    "an unknown field of a preset": (("mlp-5@widht=3",), ('Did you mean "width"?',)),
    "a file that is not there": (("FOLDER/net.py:model",), ("no file", "FOLDER/net.py")),
    "a spec file that is not there": (("FOLDER/net.toml",), ("no file",)),
    "a file without a function": (("FOLDER/net.py",), ("net.py:model",)),
    "an unknown cause": (("mlp-5", "--ignore", "initial_los"), ('Did you mean "initial_loss"?',)),
    "layers that match nothing": (("mlp-5", "--layers", "encoder.*"), ("encoder.*", "blocks.0")),
    "a negative seed": (("mlp-5", "--seed", "-1"), ("`seed` is -1",)),
    "a report in a missing folder": (("mlp-5", "--html", "FOLDER/no/a.html"), ("a.html", "no folder")),
    "a report that is a folder": (("mlp-5", "--html", "FOLDER"), ("it is a folder",)),
    "a figure in a missing folder": (("mlp-5", "--figure", "FOLDER/no/a.png"), ("a.png", "no folder")),
    "a figure of an unknown kind": (("mlp-5", "--figure", "FOLDER/a.bmp"), ("a.bmp", ".png")),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_arguments_that_cannot_be(name: str, tmp_path: Path, run: Callable[..., Any]) -> None:
    """What the command is given and cannot use is said in one paragraph, and nothing is written."""
    arguments, words = BAD_ARGUMENTS[name]

    result = run("preflight", *(argument.replace("FOLDER", str(tmp_path)) for argument in arguments))

    assert (result.code, result.out) == (2, "")
    assert is_one_paragraph(result.err.rstrip("\n").replace("…", ".")), result.err
    assert [word for word in words if word not in result.err.replace(str(tmp_path), "FOLDER")] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--html", "--code"])
def test_mend_knows_before_it_trains_that_it_cannot_write(option: str, tmp_path: Path, run: Callable[..., Any]) -> None:
    """A file that cannot be written is refused at once, not after minutes of training."""
    result = run("mend", "tanh-50", option, tmp_path / "no" / "file")

    assert result.code == 2
    assert "no folder" in result.err
    assert "as it is" not in result.err  # the first thing that a run would say


def test_a_network_that_is_fine_is_not_refused(user_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    """The control: the same file with nothing wrong is examined."""
    result = run("preflight", f"{user_file(HELPERS + 'net(), (x, y)')}:target")

    assert result.code == 0
    assert result.err == ""
