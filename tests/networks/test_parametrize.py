"""A user's module under CompleteP is the table's own network, with nothing changed but numbers."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import ModelError, RecordError, SpecError
from fathometer.networks import Parametrized, build, parametrize, scales
from fathometer.networks.branch_ends import branch_ends
from fathometer.networks.comparison import block_places, compare
from fathometer.records import Asked
from fathometer.spec import Transformer
from fathometer.training import fit

BASE = (32, 2)
WISHES = {"base_width": 32, "base_depth": 2}
Make = Callable[[int, int], nn.Module]


def tokens() -> tuple[Tensor, Tensor]:
    """Return a batch of tokens and what follows them."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 64, (4, 17), generator=generator)
    return rows[:, :-1], rows[:, 1:]


def standard(tied: bool) -> Make:
    """Return what makes our transformer without any multiplier: to `parametrize` it is a stranger's."""

    def make(width: int, depth: int) -> nn.Module:
        shape = {"depth": depth, "width": width, "heads": width // 16, "vocabulary": 64, "context": 16}
        return build(Transformer(**shape, tied=tied, init="mup"), seed=int(torch.randint(0, 10**6, ())))

    return make


def folded(network: nn.Module, tied: bool) -> dict[str, float]:
    """Return what the weights of a network of ours are multiplied with on the way, by name."""
    spec = network.spec
    factors = dict.fromkeys((name for name, _ in network.named_parameters()), 1.0)
    for name in factors:
        if name.split(".")[-2:-1] in (["output"], ["last"]):
            factors[name] = spec.branch_multiplier
        if name.startswith("final_norm" if tied else "readout"):
            factors[name] = spec.output_multiplier
    return factors


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", ["mup", "depth-mup", "completep"])
def test_it_is_the_network_of_the_table(name: str, tied: bool) -> None:
    """Found by comparing sizes, rates are the table's; with the same numbers it trains to the same losses, to the last bit."""
    batch = tokens()
    found = parametrize(standard(tied), 64, 8, batch, base=BASE, name=name)
    shape = {"depth": 8, "width": 64, "heads": 4, "vocabulary": 64, "context": 16}
    ours = build(Transformer(**shape, tied=tied, init=name, **WISHES))
    table, factors = scales(ours), folded(ours, tied)
    starts = dict(found.model.named_parameters())
    with torch.no_grad():
        for own, parameter in ours.named_parameters():
            factor, scale = factors[own], found.scales[own]
            assert scale.learning_rate_multiplier == pytest.approx(table[own].learning_rate_multiplier * factor, rel=1e-12)
            assert scale.weight_decay_multiplier == pytest.approx(table[own].weight_decay_multiplier / factor, rel=1e-12)
            assert scale.epsilon_multiplier == pytest.approx(table[own].epsilon_multiplier / factor, rel=1e-12)
            sizes = [float(tensor.square().mean().sqrt()) for tensor in (starts[own], parameter * factor)]
            assert sizes[0] == pytest.approx(sizes[1], rel=0.1)  # drawn twice; the smallest matrix has 512 numbers
            starts[own].copy_(parameter * factor)
    asked = Asked(8, 4, "adamw", 1e-2, weight_decay=0.1)

    mine = fit(ours, [batch], asked, scales=table).losses
    # Factors that are powers of two change no bit; 1/√4 at depth-μP is one too.
    assert fit(found.model, [batch], asked, scales=found.scales).losses == mine


@pytest.mark.parametrize("is_started", [False, True])
def test_generators_are_left_as_they_were(is_started: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's generator, and those of all GPUs that are in use; a GPU that was not started is neither seeded nor started."""
    told, before = list[object](), torch.get_rng_state()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: is_started)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: told.append(f"seed {seed}"))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: f"state of {device}")
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: told.append((device, state)))
    parametrize(standard(False), 64, 4, tokens(), base=BASE, seed=3)

    assert torch.equal(torch.get_rng_state(), before)
    assert told == (2 * ["seed 3", (0, "state of 0"), (1, "state of 1")] if is_started else [])


def test_without_its_multipliers_it_is_another() -> None:
    """The control: under one rate for all the same start trains to other losses."""
    batch = tokens()
    one, other = (parametrize(standard(False), 64, 8, batch, base=BASE) for _ in range(2))
    asked = Asked(4, 4, "adamw", 1e-2)

    assert fit(one.model, [batch], asked, scales=one.scales).losses != fit(other.model, [batch], asked).losses


class Block(nn.Module):
    """A block of any kind: where its norm stands, and what ends its branch."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.kind, self.norm = kind, nn.LayerNorm(width)
        self.rise, self.fall = nn.Linear(width, 2 * width), nn.Linear(2 * width, width, bias=kind != "no bias")
        self.scale = nn.Parameter(torch.full((width,), 0.1)) if kind == "layer scale" else None

    def forward(self, signal: Tensor) -> Tensor:
        inner = signal if self.kind == "norm inside" else self.norm(signal)
        branch = self.fall(torch.nn.functional.gelu(self.rise(inner)))
        branch = self.norm(branch) if self.kind == "norm inside" else branch
        branch = branch if self.scale is None else self.scale * branch
        return branch if self.kind == "no stream" else signal + branch


class Net(nn.Module):
    """A stem, blocks and a readout."""

    def __init__(self, width: int, depth: int, kind: str = "pre-norm") -> None:
        super().__init__()
        self.stem, self.readout = nn.Linear(8, width), nn.Linear(width, 3)
        self.blocks = nn.ModuleList(Block(width, kind) for _ in range(depth))

    def forward(self, inputs: Tensor) -> Tensor:
        signal = self.stem(inputs)
        for block in self.blocks:
            signal = block(signal)
        return self.readout(signal)


ENDS = {
    "pre-norm": ["fall.weight", "fall.bias"],
    "no bias": ["fall.weight"],
    "norm inside": ["norm.weight", "norm.bias"],
    "layer scale": ["scale"],
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_branch_ends_where_scaling_scales_it(kind: str) -> None:
    """The last matrix with its bias, or a norm or a learned scale behind it: what is multiplied there multiplies the branch."""
    torch.manual_seed(0)
    model, inputs = Net(16, 2, kind), torch.randn(5, 8)
    ends = branch_ends(model, ["blocks.0", "blocks.1"], inputs)

    assert {block: sorted(names) for block, names in ends.items()} == {
        block: sorted(f"{block}.{name}" for name in ENDS[kind]) for block in ("blocks.0", "blocks.1")
    }
    signal = torch.randn(5, 16)
    whole = model.blocks[0](signal) - signal
    with torch.no_grad():
        for name in ends["blocks.0"]:
            model.get_parameter(name).mul_(0.25)
    torch.testing.assert_close(model.blocks[0](signal) - signal, 0.25 * whole)


def test_two_branches_of_one_sum_both_end() -> None:
    """Attention and MLP side by side, as in GPT-J: both are scaled."""

    class Parallel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.one, self.other = nn.LayerNorm(16), nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, signal: Tensor) -> Tensor:
            inner = self.norm(signal)
            return signal + (self.one(inner) + self.other(inner))

    model = nn.Sequential(nn.Linear(8, 16), Parallel())

    assert sorted(branch_ends(model, ["1"], torch.randn(5, 8))["1"]) == [
        "1.one.bias",
        "1.one.weight",
        "1.other.bias",
        "1.other.weight",
    ]


def test_roles_are_found_by_what_grows() -> None:
    """A stem grows in one axis, a readout in the other, what is between in both; blocks are those that depth adds."""
    found = compare(Net(16, 2), Net(32, 2), Net(16, 4))

    assert {one.name: one.role for one in found.values() if not one.name.startswith("blocks.1")} == {
        "stem.weight": "embedding",
        "stem.bias": "final_norm",
        "readout.weight": "output",
        "readout.bias": "final_norm",
        "blocks.0.norm.weight": "norm_gain",
        "blocks.0.norm.bias": "bias",
        "blocks.0.rise.weight": "hidden",
        "blocks.0.rise.bias": "bias",
        "blocks.0.fall.weight": "hidden",
        "blocks.0.fall.bias": "bias",
    }
    assert found["blocks.1.rise.weight"].template == "blocks.*.rise.weight"
    assert block_places(nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))) == ("",)


def test_what_shows_no_roles_is_an_error() -> None:
    """Width or depth unused, no stream, a tied readout without a norm, SGD's table, and a base of another kind."""
    batch = (torch.randn(4, 8), torch.tensor([0, 1, 2, 0]))

    with pytest.raises(ModelError, match="At another width"):
        parametrize(lambda width, depth: Net(16, depth), 64, 4, batch, base=(16, 2))
    with pytest.raises(ModelError, match="A deeper module has the same"):
        parametrize(lambda width, depth: Net(width, 2), 64, 4, batch, base=(16, 2))
    with pytest.raises(ModelError, match="nothing with weights is added"):
        parametrize(lambda width, depth: Net(width, depth, "no stream"), 64, 4, batch, base=(16, 2))
    with pytest.raises(SpecError, match='"he" has no multipliers'):
        parametrize(Net, 64, 4, batch, base=(16, 2), name="he")
    with pytest.raises(ModelError, match="lists others beside its blocks"):
        parametrize(
            lambda width, depth: nn.Sequential(
                nn.Linear(8, width), *(Block(width, "pre-norm") for _ in range(depth)), nn.Linear(width, 3)
            ),
            *(64, 4, batch),
            base=(16, 2),
        )
    with pytest.raises(ModelError, match="which the base does not have"):
        parametrize(
            lambda width, depth: Net(width, depth, "layer scale" if width > 32 else "pre-norm"), 64, 4, batch, base=(16, 2)
        )
    found = parametrize(lambda width, depth: Net(width, depth, "no stream"), 64, 4, batch, base=(16, 2), name="mup")
    assert found.roles["blocks.3.fall.weight"] == "hidden"  # μP needs no stream


def test_nothing_global_is_moved() -> None:
    """The generator stands where it stood, and gradients and modes of the module are as new."""
    before = torch.get_rng_state()
    found = parametrize(Net, 64, 4, torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), base=(16, 2))

    assert torch.equal(torch.get_rng_state(), before)
    assert found.model.training
    assert all(parameter.grad is None for parameter in found.model.parameters())


transformers = pytest.importorskip("transformers")


def gpt2(width: int, depth: int) -> nn.Module:
    """Return Hugging Face's GPT-2 from a config, with heads of 16."""
    size = {"n_embd": width, "n_layer": depth, "n_head": width // 16, "vocab_size": 64, "n_positions": 16}
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**size, **off))


def steps(found: Parametrized, model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> list[float]:
    """Return the losses of some steps of AdamW."""
    inputs, targets = tokens()
    losses = []
    for _ in range(count):
        logits = model(inputs).logits
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def adamw(found: Parametrized, model: nn.Module) -> torch.optim.Optimizer:
    """Return AdamW over a module's groups."""
    return torch.optim.AdamW(found.parameter_groups(1e-2, weight_decay=0.1, model=model))


def test_hugging_faces_gpt2_finds_its_roles() -> None:
    """Conv1D has its axes the other way round, the readout is the embedding, and each branch ends in a c_proj."""
    found = parametrize(gpt2, 64, 4, tokens(), base=BASE)
    ends = {name for name, role in found.roles.items() if role == "branch_last"}

    assert ends == {f"transformer.h.{block}.{part}.c_proj.weight" for block in range(4) for part in ("attn", "mlp")}
    assert found.roles["transformer.wte.weight"] == "embedding"
    assert found.scales["transformer.ln_f.weight"].learning_rate_multiplier == 0.5  # the output's 1/m, in the norm before it
    assert found.scales["transformer.h.0.attn.c_attn.weight"].learning_rate_multiplier == 0.5
    assert found.scales["transformer.h.0.mlp.c_proj.weight"].learning_rate_multiplier == 0.25


def test_it_is_saved_and_loaded_with_nothing_lost(tmp_path: Path) -> None:
    """Hugging Face's own files, our JSON and the optimizer's state: the loaded one goes on bit for bit, and so does a copy."""
    found = parametrize(gpt2, 64, 4, tokens(), base=BASE)
    optimizer = adamw(found, found.model)
    begun = steps(found, found.model, optimizer, 3)
    found.model.save_pretrained(tmp_path)
    found.save(tmp_path / "parametrized.json")
    state = copy.deepcopy(optimizer.state_dict())

    model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).train()
    loaded = Parametrized.load(tmp_path / "parametrized.json", model)
    assert (dict(loaded.scales), dict(loaded.roles)) == (dict(found.scales), dict(found.roles))
    resumed = adamw(loaded, model)
    resumed.load_state_dict(state)

    assert steps(loaded, model, resumed, 3) == steps(found, found.model, optimizer, 3)
    assert begun[-1] < begun[0]


def test_wrapped_and_copied_modules_have_the_same_groups(tmp_path: Path) -> None:
    """The names of torch.compile's wrapper and of a copy are found; a stranger's are an error, and so is another file."""
    found = parametrize(gpt2, 64, 4, tokens(), base=BASE)
    sizes = [(group["lr"], len(group["params"])) for group in found.parameter_groups(1.0)]

    for model in (copy.deepcopy(found.model), torch.compile(found.model, backend="eager")):
        assert [(group["lr"], len(group["params"])) for group in found.parameter_groups(1.0, model=model)] == sizes
    with pytest.raises(ModelError, match='no role for "weight"'):
        found.parameter_groups(1.0, model=nn.Linear(2, 2))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(RecordError, match="holds no parametrization"):
        Parametrized.load(tmp_path / "other.json", found.model)
    with pytest.raises(ModelError, match='says nothing of "weight"'):
        Parametrized.load(found.save(tmp_path / "parametrized.json"), nn.Linear(2, 2))


SHARDED = """
import json, sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
torch.set_num_threads(1)
from fathometer.networks import parametrize
from fathometer.records import Asked
from fathometer.training import fit
from fathometer.training.parallel import joined, rank, shard
from test_parametrize import BASE, gpt2, tokens
with joined():
    found = parametrize(gpt2, 64, 4, tokens(), base=BASE)
    asked = Asked(6, 4, "adamw", 1e-2, weight_decay=0.1)
    losses = fit(shard(found.model, asked), [tokens()], asked, scales=found.scales).losses
    if rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(losses))
"""


@pytest.mark.slow
def test_it_is_sharded_with_nothing_lost(tmp_path: Path) -> None:
    """FSDP2 over two processes: the same losses as in one, for the multipliers are found by the names that it keeps."""
    asked = Asked(6, 4, "adamw", 1e-2, weight_decay=0.1)
    alone = parametrize(gpt2, 64, 4, tokens(), base=BASE)
    expected = fit(alone.model, [tokens()], asked, scales=alone.scales).losses
    (tmp_path / "worker.py").write_text(SHARDED, encoding="utf-8")
    runner = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*runner, str(tmp_path / "worker.py"), str(tmp_path / "losses.json"), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})

    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "losses.json").read_text()) == pytest.approx(list(expected), rel=1e-5)  # sums in another order
    plain = fit(parametrize(gpt2, 64, 4, tokens(), base=BASE).model, [tokens()], replace(asked), scales=None).losses
    assert list(plain) != pytest.approx(list(expected), rel=1e-3)  # the control: without multipliers it is another run


def other(name: str) -> Make:
    """Return what makes a model of another family of Hugging Face's, from a config."""

    def make(width: int, depth: int) -> nn.Module:
        size = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": width // 16, "vocab_size": 64}
        more = {"intermediate_size": 3 * width, "max_position_embeddings": 32, "pad_token_id": 0}
        if name == "Bert":
            return transformers.BertForMaskedLM(transformers.BertConfig(**size, **more))
        ends = {"bos_token_id": 0, "eos_token_id": 0}
        return getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**size, **more, **ends))

    return make


@pytest.mark.parametrize(
    ("name", "ends", "divided"),
    [
        ("Llama", ("self_attn.o_proj", "mlp.down_proj"), ("lm_head",)),
        ("GPTNeoX", ("attention.dense", "mlp.dense_4h_to_h"), ("lm_head",)),
        ("Bert", ("attention.output.dense", "0.output.dense"), ("cls.predictions.transform.LayerNorm",)),
    ],
)
def test_other_families_find_theirs(name: str, ends: tuple[str, ...], divided: tuple[str, ...]) -> None:
    """RMSNorm and gates, branches side by side, norms behind the sum and a tied readout with a head of its own."""
    found = parametrize(other(name), 64, 4, tokens()[0], base=BASE)
    last = {own for own, role in found.roles.items() if role == "branch_last" and ".0." in own}
    outside = {own for own, scale in found.scales.items() if scale.epsilon_multiplier == 2.0}  # 1/m folded in

    assert {own for own in last if own.removesuffix(".weight").endswith(ends)} == last
    assert len(last) == 2
    assert outside
    assert {own for own in outside if own.startswith(divided)} == outside
