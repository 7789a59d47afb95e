"""What a user reads when something cannot be: every word is pinned."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fathometer.activations import find_activation
from fathometer.data import find_dataset
from fathometer.depth_profile import DepthProfile
from fathometer.errors import FathometerError
from fathometer.parametrizations import find_parametrization
from fathometer.records import Asked, Record, read_json
from fathometer.scaling import forward_flops
from fathometer.spec import ConvNet, Mlp, Transformer, load_spec, preset, spec_from_dict

Case = Callable[[Path], object]


def from_file(text: str) -> Case:
    """Return the case of a spec file with this text."""

    def load(folder: Path) -> object:
        (folder / "net.toml").write_text(text, encoding="utf-8")
        return load_spec(folder / "net.toml")

    return load


SPEC_ERRORS: dict[str, Case] = {
    "an unknown activation": lambda _: find_activation("rleu"),
    "an unknown activation, nothing near": lambda _: find_activation("quokka"),
    "an unknown initialisation": lambda _: find_parametrization("orthognal"),
    "an unknown preset": lambda _: preset("tanh50"),
    "a preset's unknown field": lambda _: preset("he-50@widht=3"),
    "a preset's change without =": lambda _: preset("he-50@width"),
    "a preset's change that cannot be": lambda _: preset("he-50@width=wide"),
    "a width of 0": lambda _: Mlp(width=0),
    "a width with a fraction": lambda _: Mlp(width=99.6),
    "a width that is a word": lambda _: Mlp(width="wide"),
    "an activation that is a number": lambda _: Mlp(activation=3),
    "a depth that is True": lambda _: Mlp(depth=True),
    "a gain that is not finite": lambda _: Mlp(gain=float("nan")),
    "a negative branch scale": lambda _: Mlp(branch_scale=-0.5),
    "an unknown residual kind": lambda _: Mlp(residual="prenorm"),
    "an unknown initialisation of a network": lambda _: Mlp(init="hee"),
    "an unknown norm": lambda _: Mlp(norm="layernorm"),
    "a norm without a place": lambda _: Mlp(norm="layer", residual="rezero"),
    "a branch without a stream": lambda _: Mlp(depth=4, branch_layers=2),
    "a spec without a family": lambda _: spec_from_dict({"width": 64}),
    "a spec with a family and a preset": lambda _: spec_from_dict({"family": "mlp", "preset": "he-50"}),
    "an unknown family": lambda _: spec_from_dict({"family": "mpl"}),
    "an unknown field": lambda _: spec_from_dict({"family": "mlp", "heads": 8}),
    "a field of the wrong type": from_file('family = "mlp"\ndepth = "fifty"\n'),
    "a file that is not TOML": from_file("family = mlp\n"),
    "a width that heads do not divide": lambda _: Transformer(width=100, heads=8),
    "a width below the heads": lambda _: Transformer(width=4, heads=8),
    "heads of odd width under RoPE": lambda _: Transformer(width=100, heads=4, positions="rope"),
    "key-value heads that do not divide": lambda _: Transformer(kv_heads=5),
    "more key-value heads than heads": lambda _: Transformer(kv_heads=24),
    "a residual kind that no transformer has": lambda _: Transformer(residual="highway"),
    "a norm that no transformer has": lambda _: Transformer(norm="rmsnorm"),
    "unknown positions": lambda _: Transformer(positions="rotary"),
    "norm scaling without pre-norm": lambda _: Transformer(norm_scaling=True, residual="post-norm"),
    "a flag that is a word": lambda _: preset("gpt2@tied=maybe"),
    "a dropout of 1": lambda _: Transformer(dropout=1.0),
    "a soft-cap of 0": lambda _: Transformer(logit_softcap=0.0),
    "a transformer's unknown field": lambda _: preset("gpt2@head=8"),
    "a CIFAR depth that cannot be": lambda _: preset("resnet-20@depth=51"),
    "an ImageNet depth that cannot be": lambda _: ConvNet(layout="imagenet", depth=49),
    "a depth that its block cannot have": lambda _: ConvNet(layout="imagenet", block="basic", depth=50),
    "stages of the wrong number": lambda _: ConvNet(layout="imagenet", depth=18, stages=(2, 2, 2)),
    "stages that make another depth": lambda _: ConvNet(depth=20, stages=(3, 3, 4)),
    "zero where there is no shortcut": lambda _: ConvNet(residual="none", zero_init_last=True),
    "a convnet's unknown norm": lambda _: ConvNet(norm="rms"),
    "more tokens than positions": lambda _: forward_flops(preset("gpt2"), tokens=2048),
    "a width that no machine has": lambda _: Mlp(width=10**400),
    "a depth that no machine has": lambda _: Mlp(depth=10**7),
    "a gain too large for a float": lambda _: Mlp(gain=10**400),
    "a number in digits of another script": lambda _: preset("mlp-5@depth=٣"),
    "a field that is changed twice": lambda _: preset("mlp-5@depth=3,depth=4"),
    "a preset that is a number": lambda _: spec_from_dict({"preset": 3}),
    "a file that is nested too deep": from_file(f"width = {'[' * 9000}"),
    "a seed that no generator takes": lambda _: Asked(seed=2**64),
    "no steps": lambda _: Asked(steps=0),
    "a learning rate of 0": lambda _: Asked(learning_rate=0.0),
    "a clip of -1": lambda _: Asked(clip=-1.0),
}
RECORD = Record(Asked(), "finished", (1.0,)).to_dict()
TARGET_ERRORS: dict[str, Case] = {
    "a spec file that is not there": lambda folder: load_spec(folder / "net.toml"),
    "a spec file that is a folder": lambda folder: load_spec(folder),
}
RECORD_ERRORS: dict[str, Case] = {
    "a record of another schema": lambda _: Record.from_dict({"schema": "fathometer.record/99"}),
    "a record without a schema": lambda _: Record.from_dict({}),
    "a text that is not JSON": lambda _: read_json(""),
    "a text that is nested too deep": lambda _: read_json("[" * 100_000),
    "a record without its losses": lambda _: Record.from_dict({**RECORD, "losses": None}),
    "a record with an unknown status": lambda _: Record.from_dict({**RECORD, "status": "done"}),
    "a record with a time that is none": lambda _: Record.from_dict({**RECORD, "seconds": -1.0}),
    "a record with an unknown part": lambda _: Record.from_dict({**RECORD, "loss": 1.0}),
    "an unknown column": lambda _: DepthProfile("measured", ("1",), {"signals": (1.0,)}),
}
DATA_ERRORS: dict[str, Case] = {
    "an unknown data set": lambda _: find_dataset("digit"),
    "an unknown option": lambda _: find_dataset("digits", sede=1),
    "an option of another kind": lambda _: find_dataset("parity", bits="4"),
    "an option that must be given": lambda _: find_dataset("images"),
    "a seed below 0": lambda _: find_dataset("digits", seed=-1),
    "a number that is not finite": lambda _: find_dataset("scenes", noise=float("nan")),
    "more samples than there could be": lambda _: find_dataset("scenes", samples=10**12),
    "a text that is not there": lambda folder: find_dataset("text", path=str(folder / "none.txt")),
    "a text of nobody's": lambda _: find_dataset("text", path="~nobody-here/x.txt"),
    "a folder without a text": lambda folder: find_dataset("text", path=str(folder)),
    "a folder without classes": lambda folder: find_dataset("images", path=str(folder)),
    "images of no pixels": lambda folder: find_dataset("images", path=str(folder), size=0),
}
FAMILIES = {
    "spec_errors": SPEC_ERRORS,
    "target_errors": TARGET_ERRORS,
    "record_errors": RECORD_ERRORS,
    "data_errors": DATA_ERRORS,
}


def error_text(case: Case, folder: Path) -> str:
    """Return the error's family and text, with the folder of the test left out."""
    with pytest.raises(FathometerError) as caught:
        case(folder)
    return f"{type(caught.value).__name__}: {caught.value}".replace(str(folder), "FOLDER")


@pytest.mark.parametrize("family", FAMILIES)
def test_error_texts(family: str, golden: Callable[[str, str], None], tmp_path: Path) -> None:
    """Every error of a family reads exactly as its golden file says."""
    texts = [f"{name}\n    {error_text(case, tmp_path / str(number))}\n" for number, (name, case) in listed(family, tmp_path)]

    golden(family, "\n".join(texts))


def listed(family: str, folder: Path) -> list[tuple[int, tuple[str, Case]]]:
    """Return the numbered cases of a family, each with an empty folder of its own."""
    cases = list(enumerate(FAMILIES[family].items()))
    for number, _ in cases:
        (folder / str(number)).mkdir()
    return cases


@pytest.mark.parametrize("family", FAMILIES)
def test_an_error_is_one_paragraph_of_sentences(family: str, tmp_path: Path) -> None:
    """Every error is one paragraph of at least three sentences with balanced quotation marks and backticks."""
    for number, (name, case) in listed(family, tmp_path):
        text = error_text(case, tmp_path / str(number))
        assert "\n" not in text, name
        assert sum(text.count(mark) for mark in ".?!") >= 3, name
        assert (text.count('"') % 2, text.count("`") % 2) == (0, 0), name
