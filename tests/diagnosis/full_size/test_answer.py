"""Preflight at full size: the same verdict, notes that say what 16 tokens do not show, refusals with numbers."""

import json
from pathlib import Path

import pytest
import torch

import fathometer as fm
from fathometer.cli import main
from fathometer.diagnosis.full_size import answer, asking, estimate
from fathometer.diagnosis.full_size.answer import preflight_full_size, shape_of
from fathometer.diagnosis.full_size.targets import load_unmade
from fathometer.errors import FathometerError, ModelError, SpecError, TargetError
from fathometer.implicit import implicit_weights

NARROW = fm.Transformer(depth=3, width=256, vocabulary=300, context=64)
ASKED = {"depth": 3, "width": 256, "vocabulary": 300, "context": 64}


def test_a_spec_is_examined_without_its_weights() -> None:
    """A spec with `tokens=` goes through taps and rules as ever, with a forecast, and next to nothing of it was made."""
    check = fm.preflight(NARROW, tokens=16)

    assert check.verdict == "healthy"
    assert len(check.profile) == 3
    assert check.forecast is not None
    assert check.profile.facts["num_parameters"] == sum(p.numel() for p in fm.build(NARROW).parameters())
    assert check.profile.facts["weights_made"] < 0.02 * check.profile.facts["num_parameters"]
    assert any("do not carry over to a context of 64" in note for note in check.notes)


def test_streamed_weights_are_a_twin() -> None:
    """With real weights, some rows at a time, the gradient along depth is the same to a quarter of a decade."""
    sampled, streamed = (fm.preflight(NARROW, tokens=64, method=method) for method in ("sampled", "streamed"))
    first, second = (check.profile.values["gradient"][0] for check in (sampled, streamed))

    assert first is not None
    assert second is not None
    assert 0.56 < first / second < 1.8  # 64 tokens and width 256 differ by chance by about a fifth


def test_a_sick_network_is_sick_at_full_size() -> None:
    """Without a norm, its branches 30 times too strong, the network is named as one that will not train."""
    check = preflight_full_size(fm.Transformer(**{**ASKED, "depth": 12}, residual="plain", branch_scale=30.0, init="lecun"))

    assert check.verdict == "will not train"


def test_a_spec_too_large_for_the_memory_needs_no_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where weights and gradients would not fit into half of the memory, they are not made."""
    monkeypatch.setattr(asking, "machine_bytes", lambda: 1_000_000)

    assert "weights_made" in fm.preflight(NARROW).profile.facts


def test_what_cannot_fit_is_refused_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how much is needed, and how much there is."""
    monkeypatch.setattr(estimate, "_available_bytes", lambda: 1_000_000)

    with pytest.raises(ModelError, match=r"need about [\d.]+ GB even without weights. This machine has 0.0 GB"):
        preflight_full_size(NARROW)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (fm.ConvNet(), "Convolutions are not sampled"),
        (fm.Transformer(**ASKED, init="orthogonal"), "starts as orthogonal"),
    ],
    ids=["convnet", "orthogonal"],
)
def test_what_cannot_be_sampled_is_refused(target: fm.Transformer, words: str) -> None:
    """Convolutions and orthogonal matrices are refused with the reason."""
    with pytest.raises(FathometerError, match=words):
        preflight_full_size(target)


def test_a_module_with_weights_has_no_method() -> None:
    """`method` on a built module is an error that says whom it is for."""
    with pytest.raises(ModelError, match="for a spec or a preset"):
        fm.preflight(fm.build("shallow-1"), method="sampled")


@pytest.mark.parametrize("tokens", [0, 1, True])
def test_too_few_tokens_are_refused(tokens: int) -> None:
    """One token cannot show what attention and norms do."""
    with pytest.raises(SpecError, match="from 2 on"):
        preflight_full_size(NARROW, tokens=tokens)


@pytest.mark.parametrize("tokens", [-5, 0])
def test_too_few_tokens_are_refused_of_a_folder_too(tokens: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any TARGET with fewer than two tokens is an error in words, also where 0 could be taken for "not said"."""
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_embd": 256, "n_layer": 2, "n_head": 4}')

    with pytest.raises(SystemExit, match="2"):
        main(["preflight", f"hf:{tmp_path}", "--tokens", str(tokens)])
    assert f"`tokens` is {tokens}" in capsys.readouterr().err


def test_a_misspelt_name_is_told_as_python_tells_it() -> None:
    """An argument that no preflight has is named, for a module and for a spec; so is a method that is none."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'optimiser'"):
        fm.preflight(fm.build("shallow-1"), optimiser=None)  # pyrefly: ignore[unexpected-keyword]
    with pytest.raises(TypeError, match="unexpected keyword argument 'token'"):
        fm.preflight(NARROW, token=16)  # pyrefly: ignore[unexpected-keyword]
    with pytest.raises(SpecError, match='no method named "streamd"'):
        fm.preflight(NARROW, method="streamd")  # pyrefly: ignore[bad-argument-type]


def test_tokens_are_sequences() -> None:
    """So many tokens are about as many sequences as they are long."""
    assert [shape_of(tokens) for tokens in (2, 16, 64, 4096)] == [(1, 2), (4, 4), (8, 8), (16, 256)]


def folder(home: Path, **config: object) -> str:
    """Write a config.json and nothing else, and return the TARGET."""
    (home / "config.json").write_text(json.dumps(config))
    return f"hf:{home}"


LLAMA = {
    "model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 300, "initializer_range": 0.03,
}  # fmt: skip


@pytest.fixture
def transformers() -> None:
    """Skip without the `hf` extra."""
    pytest.importorskip("transformers")


@pytest.mark.usefixtures("transformers")
def test_a_config_alone_is_enough(tmp_path: Path) -> None:
    """Hugging Face's own code runs from a config.json, its weights with the spread that its own initialisation gives them."""
    found = load_unmade(folder(tmp_path, **LLAMA), tokens=16, seed=0)
    stds = {round(weight.matrix.std, 6) for weight in implicit_weights(found.model).values()}
    check = preflight_full_size(found)

    assert stds == {0.03}
    assert (len(check.profile), check.verdict) == (3, "healthy")


@pytest.mark.usefixtures("transformers")
def test_experts_in_one_tensor_are_matrices(tmp_path: Path) -> None:
    """A mixture of experts, whose weights are stacks, is examined too."""
    config = {**LLAMA, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
    check = preflight_full_size(load_unmade(folder(tmp_path, **config), tokens=16, seed=0))

    assert len(check.profile) == 3
    assert all(value is not None for value in check.profile.values["weight_gradient"])


@pytest.mark.usefixtures("transformers")
def test_our_spec_and_their_code_agree(tmp_path: Path) -> None:
    """GPT-2's shape gives the same profile from a spec and from Hugging Face's code, to what 64 tokens leave to chance."""
    config = {"model_type": "gpt2", "n_embd": 256, "n_layer": 6, "n_head": 4, "vocab_size": 300, "n_positions": 64}
    theirs = preflight_full_size(load_unmade(folder(tmp_path, **config), tokens=64, seed=0))
    ours = preflight_full_size(fm.preset("gpt2@depth=6,width=256,vocabulary=300,context=64"), tokens=64)

    for column in ("signal", "gradient"):
        for one, other in zip(theirs.profile.values[column], ours.profile.values[column], strict=True):
            assert one is not None
            assert other is not None
            assert 0.5 < one / other < 2.0  # other tokens and other draws; a wrong spread of one matrix is a factor of 4 and more


@pytest.mark.usefixtures("transformers")
def test_trained_weights_are_refused(tmp_path: Path) -> None:
    """A folder with a checkpoint is refused: what is trained is no random matrix."""
    (tmp_path / "model.safetensors").write_bytes(b"")

    with pytest.raises(TargetError, match="trained weights are no independent random numbers"):
        load_unmade(folder(tmp_path, **LLAMA), tokens=16, seed=0)


def test_a_function_builds_without_its_weights(tmp_path: Path) -> None:
    """A file's function is run as it is, and its large layers get no memory."""
    text = (
        "import torch\nfrom torch import nn\n\ndef model():\n"
        "    blocks = [nn.Sequential(nn.Linear(512, 512), nn.Tanh()) for _ in range(4)]\n"
        "    return nn.Sequential(*blocks), torch.randn(16, 512)\n"
    )
    (tmp_path / "net.py").write_text(text)
    check = preflight_full_size(load_unmade(f"{tmp_path / 'net.py'}:model", tokens=16, seed=0))

    assert check.profile.facts["weights_made"] == 4 * 512
    assert len(check.profile) == 4


def test_the_command_says_what_it_costs_first(capsys: pytest.CaptureFixture[str]) -> None:
    """`--full-size` tells parameters, seconds and memory before it begins, then the verdict."""
    with pytest.raises(SystemExit) as ended:
        main(["preflight", "gpt2@depth=2,width=256,vocabulary=300,context=16", "--full-size"])
    told = capsys.readouterr()

    assert ended.value.code == 0
    assert "billion parameters, about" in told.err
    assert "HEALTHY" in told.out


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_code_runs_on_a_gpu() -> None:
    """On a GPU the profile is that of a CPU, to what chance leaves."""
    from fathometer.diagnosis.full_size.unmade import unmade_network

    model = unmade_network(NARROW, device="cuda")
    tokens = torch.randint(0, 300, (4, 4), device="cuda")
    check = preflight_full_size(answer.Unmade(model, (tokens, tokens.roll(-1, 1)), "gpu", NARROW))

    assert check.verdict == "healthy"
