"""A grown network computes what it did, keeps its optimizer, and learns on."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fathometer.errors import ModelError, SpecError
from fathometer.networks import Deepened, build, deepen, scales
from fathometer.records import Asked
from fathometer.spec import ConvNet, Mlp, Spec, Transformer
from fathometer.training import make_optimizer, set_rates

# One rounding of float32 is 6e-8; a multiplier that moves into a weight is rounded once in each of some layers.
UNCHANGED = 1e-6
SMALL = Transformer(depth=3, width=32, heads=2, vocabulary=50, context=16)
LLAMA = replace(SMALL, gated=True, norm="rms", positions="rope", bias=False, tied=False)
GROWN: dict[str, tuple[Spec, int]] = {
    "mlp none": (Mlp(depth=4), 7),
    **{
        f"mlp {kind}": (Mlp(depth=4, residual=kind, branch_layers=2), 7)
        for kind in ("plain", "scaled", "pre-norm", "peri-norm", "rezero", "layerscale")
    },
    "mlp completep": (Mlp(depth=4, residual="pre-norm", init="completep", base_width=32, base_depth=2), 6),
    "mlp fixup": (Mlp(depth=4, residual="plain", branch_layers=2, init="fixup"), 6),
    **{
        f"transformer {kind}": (replace(SMALL, residual=kind), 5)
        for kind in ("plain", "scaled", "pre-norm", "peri-norm", "rezero", "layerscale")
    },
    "transformer llama": (LLAMA, 5),
    "transformer depth-mup": (replace(SMALL, init="depth-mup", base_depth=2), 5),
    "transformer norm scaling": (replace(SMALL, norm_scaling=True), 5),
    **{f"convnet {norm}": (ConvNet(depth=14, width=4, norm=norm, image_size=16), 26) for norm in ("batch", "layer", None)},
    "convnet completep": (ConvNet(depth=14, width=4, image_size=16, init="completep", base_depth=8), 26),
    "convnet bottleneck": (ConvNet(layout="imagenet", depth=26, stages=(2,) * 4, block="bottleneck", width=4, image_size=32), 50),
}


def task(spec: Spec) -> tuple[Tensor, Tensor]:
    """Return random inputs and targets that fit a spec."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(spec, Transformer):
        shape = (4, spec.context)
        inputs = torch.randint(spec.vocabulary, shape, generator=generator)
        return inputs, torch.randint(spec.vocabulary, shape, generator=generator)
    shape = (16, spec.inputs) if isinstance(spec, Mlp) else (8, spec.channels, spec.side, spec.side)
    return torch.randn(shape, generator=generator), torch.randint(10, shape[:1], generator=generator)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor], count: int) -> float:
    """Take steps in train mode, and return the loss before the last one."""
    model.train()
    value = float("nan")
    for _ in range(count):
        optimizer.zero_grad()
        logits = model(batch[0])
        loss = cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[1].reshape(-1))
        loss.backward()
        optimizer.step()
        value = loss.item()
    return value


def change(model: nn.Module, grown: nn.Module, inputs: Tensor) -> float:
    """Return by how much of the largest output two networks differ in eval mode."""
    with torch.no_grad():
        before, after = model.eval()(inputs), grown.eval()(inputs)
    return float((after - before).abs().max() / before.abs().max())


@pytest.mark.parametrize("where", ["end", "between"])
@pytest.mark.parametrize("name", GROWN)
def test_a_trained_network_grows_and_learns_on(name: str, where: str) -> None:
    """Every kind that can: outputs as they were, the right depth, a gradient in each new block, and a loss that falls on."""
    spec, to = GROWN[name]
    model, batch = build(spec), task(spec)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    steps(model, optimizer, batch, 15)
    before = steps(model, torch.optim.SGD(model.parameters(), lr=0.0), batch, 1)
    grown = deepen(model, to=to, optimizer=optimizer, where=where)

    assert change(model, grown.model, batch[0]) <= UNCHANGED
    assert grown.model.spec.depth == to
    assert len(grown.new_blocks) == grown.model.spec.num_blocks - spec.num_blocks
    assert grown.optimizer is not None
    after = steps(grown.model, grown.optimizer, batch, 16)
    for index in grown.new_blocks:
        assert any(parameter.grad.any() for parameter in grown.model.blocks[index].parameters())
    assert after < before


def test_the_grown_network_is_its_spec() -> None:
    """Built anew from its spec and given its weights, it computes the same: no number is hidden in the old blocks."""
    for spec, to in GROWN.values():
        model = build(spec)
        steps(model, torch.optim.Adam(model.parameters()), task(spec), 2)  # a readout may start at zero
        grown = deepen(model, to=to, where="between").model
        again = build(grown.spec, seed=9)
        again.load_state_dict(grown.state_dict())

        assert change(model, again, task(spec)[0]) <= UNCHANGED


def test_a_network_of_that_depth_with_a_start_of_its_own_answers_differently() -> None:
    """The control: two more blocks as `build` starts them change the answer by far more than rounding."""
    model = build(SMALL)
    deeper = build(replace(SMALL, depth=5))
    deeper.load_state_dict(model.state_dict(), strict=False)

    assert change(model, deeper, task(SMALL)[0]) > 1e-3


def test_the_states_of_the_optimizer_go_with_their_parameters() -> None:
    """Old parameters keep step and moments in their groups, new ones join their kin's group and start fresh."""
    model, batch = build(SMALL), task(SMALL)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "lr": 5e-4}], lr=1e-3)
    steps(model, optimizer, batch, 3)
    grown = deepen(model, to=4, optimizer=optimizer, where="between")
    assert grown.optimizer is not None
    named = dict(grown.model.named_parameters())
    new = {f"blocks.{index}." for index in grown.new_blocks}
    old_states = {name: optimizer.state[p] for name, p in model.named_parameters()}

    assert grown.new_blocks == (3,)
    for name, state in old_states.items():
        now = grown.optimizer.state[named[name]]
        assert all(torch.equal(now[key], state[key]) for key in ("step", "exp_avg", "exp_avg_sq"))
        assert now["exp_avg"] is not state["exp_avg"]
    assert not any(named[name] in grown.optimizer.state for name in named if name.startswith(tuple(new)))
    for group, ndim in zip(grown.optimizer.param_groups, ("matrix", "vector"), strict=True):
        assert all((p.ndim > 1) == (ndim == "matrix") for p in group["params"])
    assert [group["weight_decay"] for group in grown.optimizer.param_groups] == [0.1, 0.01]
    assert [group["lr"] for group in grown.optimizer.param_groups] == [1e-3, 5e-4]
    assert sum(len(group["params"]) for group in grown.optimizer.param_groups) == len(named)


def test_a_weight_that_takes_up_a_multiplier_keeps_its_next_step() -> None:
    """Where w becomes c·w its gradient becomes 1/c of it, and so do the moments: Adam's step is the one it would have been."""
    model, batch = build(Mlp(depth=4, residual="scaled")), task(Mlp())
    for optimizer in (torch.optim.AdamW(model.parameters()), torch.optim.SGD(model.parameters(), momentum=0.9)):
        steps(model, optimizer, batch, 3)
        grown = deepen(model, to=16, optimizer=optimizer)
        assert grown.optimizer is not None
        weight, now = model.blocks[0].branch[1].weight, grown.model.blocks[0].branch[1].weight

        torch.testing.assert_close(now, 2 * weight)  # 1/√4 over 1/√16
        for name, power in (("momentum_buffer", 1), ("exp_avg", 1), ("exp_avg_sq", 2)):
            if name in optimizer.state[weight]:
                torch.testing.assert_close(grown.optimizer.state[now][name], optimizer.state[weight][name] / 2**power)


@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("init", ["depth-mup", "completep", "gpt2"])
def test_the_optimizer_has_the_rates_of_the_new_depth(init: str, depth: int) -> None:
    """Under depth-μP and CompleteP each parameter moves as in a network built at that depth, also where one group held all."""
    spec = replace(SMALL, depth=depth, init=init, base_depth=2, base_width=16)
    model, asked = build(spec), Asked(optimizer="adamw", learning_rate=1e-3, weight_decay=0.1)
    optimizer = make_optimizer(model, asked, scales(model))
    set_rates(optimizer, 0, asked)  # which keeps the rates that it multiplies as `initial_lr`
    grown = deepen(model, to=8, optimizer=optimizer, where="between")
    assert grown.optimizer is not None
    expected = make_optimizer(grown.model, asked, scales(grown.model))

    assert _options(grown.model, grown.optimizer) == _options(grown.model, expected)
    assert (_options(model, optimizer) == _options(model, grown.optimizer, grown.model)) == (init == "gpt2")
    assert all(group["initial_lr"] == group["lr"] for group in grown.optimizer.param_groups)


def _options(
    model: nn.Module, optimizer: torch.optim.Optimizer, home: nn.Module | None = None
) -> dict[str, tuple[float, float, float]]:
    """Return rate, weight decay and ε, to nine digits, of the parameters of `home` that have the names of the model's."""
    groups = {p: group for group in optimizer.param_groups for p in group["params"]}
    known = dict(model.named_parameters())
    return {
        name: tuple(float(f"{groups[p][option]:.9g}") for option in ("lr", "weight_decay", "eps"))
        for name, p in (home or model).named_parameters()
        if name in known
    }


def test_the_model_and_its_optimizer_are_left_alone() -> None:
    """A copy grows: weights, blocks, mode, spec and groups are as they were; what is frozen stays so, what is new is not."""
    model = build(SMALL).eval()
    model.blocks.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    groups = len(optimizer.param_groups[0]["params"])
    grown = deepen(model, to=5, optimizer=optimizer)

    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert (model.spec.depth, len(model.blocks), len(optimizer.param_groups[0]["params"])) == (3, 3, groups)
    assert not grown.model.training
    assert [all(p.requires_grad for p in block.parameters()) for block in grown.model.blocks] == [False] * 3 + [True] * 2
    assert grown.optimizer is not None
    assert len(grown.optimizer.param_groups[0]["params"]) > groups


REFUSED: dict[str, tuple[Spec, str]] = {
    "post-norm": (Mlp(residual="post-norm"), "norm stands behind the sum"),
    "deepnorm": (replace(SMALL, residual="deepnorm"), "norm stands behind the sum"),
    "highway": (Mlp(residual="highway"), "gate"),
    "tanh": (Mlp(activation="tanh"), "only ReLU"),
    "plain norm": (Mlp(norm="batch"), "rescales"),
    "plain convnet": (ConvNet(residual="none"), "plain block"),
    "convnet tanh": (ConvNet(activation="tanh"), "only ReLU"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_start_as_the_identity_is_refused_with_the_reason(name: str) -> None:
    """A post-norm block, a highway's gate, tanh without a stream: no growth, and why."""
    spec, reason = REFUSED[name]
    deeper = {5: 7, 3: 5, 20: 26}[spec.depth]
    with pytest.raises(ModelError, match=reason):
        deepen(build(spec), to=deeper)


def test_depth_is_never_taken_away() -> None:
    """A smaller depth, one that the family does not have, and a place that is not there are errors."""
    with pytest.raises(SpecError, match="none is taken away"):
        deepen(build(SMALL), to=2)
    with pytest.raises(SpecError, match="Try depth = 20 or 26"):
        deepen(build(ConvNet(depth=14)), to=24)
    with pytest.raises(SpecError, match='Did you mean "between"'):
        deepen(build(SMALL), to=4, where="betwen")
    with pytest.raises(ModelError, match="not the model's"):
        deepen(build(SMALL), to=4, optimizer=torch.optim.SGD(build(SMALL).parameters()))


def test_the_same_depth_is_a_copy() -> None:
    """Nothing is new, and nothing is shared."""
    model = build(SMALL)
    grown = deepen(model, to=3)

    assert isinstance(grown, Deepened)
    assert grown.new_blocks == ()
    assert grown.optimizer is None
    assert torch.equal(grown.model.embedding.weight, model.embedding.weight)
    assert grown.model.embedding.weight is not model.embedding.weight
