"""muP and CompleteP for any module, with nothing changed but numbers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fathometer import json_text
from fathometer.errors import ModelError, RecordError, SpecError
from fathometer.files import write
from fathometer.networks.branch_ends import branch_ends, readout_norm
from fathometer.networks.comparison import Found, Make, block_places, compare, template_of, with_roles
from fathometer.parametrizations import WIDTH_AWARE, Scale, Tensor, branch_multiplier, scale_of
from fathometer.parametrizations.roles import BLOCK_ROLES, Role

SCHEMA = "fathometer.parametrized/1"
WRAPPED = ("_orig_mod.", "_checkpoint_wrapped_module.", "module.", "_fsdp_wrapped_module.")


@dataclass(frozen=True)
class Parametrized:
    """A module under muP, depth-μP or CompleteP, and how each of its parameters starts and moves, by name.

    Its forward pass is the user's own. `scales` has what the optimizer is to be told; `roles` what each was found to be.
    """

    model: nn.Module
    scales: Mapping[str, Scale]
    roles: Mapping[str, Role]
    name: str

    def parameter_groups(
        self, learning_rate: float, *, weight_decay: float = 0.0, epsilon: float = 1e-8, model: nn.Module | None = None
    ) -> list[dict[str, Any]]:
        """Return groups for Adam or AdamW: of the module, or of another with its names (loaded, compiled, wrapped or sharded)."""
        groups: dict[tuple[float, float, float], list[nn.Parameter]] = {}
        for name, parameter in (self.model if model is None else model).named_parameters():
            scale = self.scales.get(plain_name(name))
            if scale is None:
                raise ModelError(
                    f'There is no role for "{name}"', "The module has the parameters of the parametrized one", "Give that one"
                )
            key = (scale.learning_rate_multiplier, scale.weight_decay_multiplier, scale.epsilon_multiplier)
            groups.setdefault(key, []).append(parameter)
        return [
            {"params": own, "lr": learning_rate * rate, "weight_decay": weight_decay * decay, "eps": epsilon * small}
            for (rate, decay, small), own in groups.items()
        ]

    def save(self, path: str | Path) -> Path:
        """Write roles and multipliers as JSON; the weights are saved as they always are."""
        table = {name: {"role": self.roles[name], **asdict(scale)} for name, scale in self.scales.items()}
        return write(path, json_text.dump({"schema": SCHEMA, "name": self.name, "parameters": table}) + "\n")

    @classmethod
    def load(cls, path: str | Path, model: nn.Module) -> "Parametrized":
        """Return a module whose weights were loaded, with the roles and multipliers that were written; nothing is drawn anew."""
        try:
            table = json_text.load(Path(path).read_text(encoding="utf-8"))
            if table["schema"] != SCHEMA:
                raise KeyError("schema")
            rows = {name: dict(row) for name, row in table["parameters"].items()}
            roles = {name: row.pop("role") for name, row in rows.items()}
            scales = {name: Scale(**row) for name, row in rows.items()}
        except (OSError, KeyError, TypeError, ValueError) as problem:
            raise RecordError(
                f'"{path}" holds no parametrization: {problem!r}', f'Its schema is "{SCHEMA}"', "Save it anew"
            ) from None
        missing = [name for name, _ in model.named_parameters() if plain_name(name) not in scales]
        if missing:
            raise ModelError(
                f'"{path}" says nothing of "{missing[0]}"', "It is of a module with the same parameters", "Load that one"
            )
        return cls(model, scales, roles, table["name"])


def parametrize(
    make: Make,
    width: int,
    depth: int,
    batch: Any,
    *,
    base: tuple[int, int],
    name: str = "completep",
    roles: Mapping[str, Role] | None = None,
    seed: int = 0,
) -> Parametrized:
    """Return a user's module of some width and depth under CompleteP, scaled from its `base` (width, depth).

    `make(width, depth)` returns the module, of any class. Roles are found by comparing the base with one twice as wide and one
    twice as deep; where branches end, by following one `batch` through the base. Multipliers of the forward pass are put into
    the weights that they multiply: c·(W x) is (c·W) x, and Adam moves c·W as it would move W where its rate is c times as large,
    its ε and weight decay 1/c. So no forward pass changes, and what saves, loads, compiles or shards the module does so still.
    Entries keep the spread that the module's own initialisation gave them at the base. Keep the width of a head when you widen:
    1/√head_width and μP's 1/head_width are then one. `roles` name a parameter's role where the comparison cannot know it.

    Raises `ModelError` for a module whose sizes do not show its roles. Dey et al. 2025, table 1.

    >>> def make(width, depth):
    ...     blocks = [nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(depth)]
    ...     return nn.Sequential(nn.Linear(8, width), nn.Sequential(*blocks), nn.Linear(width, 2))
    >>> found = parametrize(make, width=64, depth=2, batch=torch.randn(4, 8), base=(16, 2), name="mup")
    >>> sorted({group["lr"] for group in found.parameter_groups(0.01)})
    [0.0025, 0.01]
    """
    if name not in WIDTH_AWARE:
        raise SpecError(f'"{name}" has no multipliers', f"Those that have: {', '.join(WIDTH_AWARE)}", 'Try "completep"')
    width0, depth0 = base
    with _seeded(seed):
        small, wider, deeper = make(width0, depth0), make(2 * width0, depth0), make(width0, 2 * depth0)
    with _seeded(seed):
        model = make(width, depth)
    found = compare(small, wider, deeper)
    places = block_places(small, deeper)
    known = with_roles(found, roles or {})
    folded = _folded(small, found, known, batch, name, (width / width0, depth / depth0))
    rule = _Rule(name, width / width0, depth / depth0, found, known, folded, dict(small.named_parameters()))
    scales = {own: rule.scale(template_of(own, places), parameter) for own, parameter in model.named_parameters()}
    with torch.no_grad():
        for own, parameter in model.named_parameters():
            size = _root_mean_square(parameter)
            if size > 0:
                parameter.mul_(scales[own].weight_std / size)
    told = {own: rule.role(template_of(own, places)) for own in scales}
    return Parametrized(model, scales, told, name)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's generators for the time of the block and give them back; a GPU that was not started yet is not told."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield


@dataclass(frozen=True)
class _Rule:
    """From a parameter's template to its scale at another size."""

    name: str
    wider: float
    deeper: float
    found: Mapping[str, Found]
    roles: Mapping[str, Role]
    folded: Mapping[str, float]
    small: Mapping[str, nn.Parameter]

    def role(self, template: str) -> Role:
        """Return the role of a template; the end of a branch is told from the other matrices."""
        own = self._members(template)[0]
        return "branch_last" if self.roles[own] == "hidden" and template in self.folded else self.roles[own]

    def scale(self, template: str, parameter: nn.Parameter) -> Scale:
        """Return how a parameter starts and moves; `weight_std` is the root mean square that it starts with."""
        members = self._members(template)
        sizes = [_root_mean_square(self.small[own]) for own in members]
        spread = (sum(size**2 for size in sizes) / len(sizes)) ** 0.5
        role, is_inside = self.roles[members[0]], self.found[members[0]].block is not None
        fans = (
            tuple(parameter.shape[axis] for axis in self.found[members[0]].fans) if parameter.ndim > 1 else (1, parameter.numel())
        )
        ratios = {"width_ratio": self.wider, "depth_ratio": self.deeper if is_inside else 1.0}
        # A vector is no matrix of the table: it starts at its own constant, whose size is measured like all others.
        scale = scale_of(self.name, Tensor(role, *fans, base_std=spread or 1.0, **ratios))
        start = spread * (self.wider**-0.5 if role in BLOCK_ROLES else 1.0)
        factor = self.folded.get(template, 1.0)
        return replace(
            scale,
            weight_std=start * factor,
            multiplier=1.0,
            learning_rate_multiplier=scale.learning_rate_multiplier * factor,
            weight_decay_multiplier=scale.weight_decay_multiplier / factor,
            epsilon_multiplier=scale.epsilon_multiplier / factor,
        )

    def _members(self, template: str) -> list[str]:
        members = [own for own, one in self.found.items() if one.template == template]
        if not members:
            raise ModelError(
                f'The module has "{template}", which the base does not have',
                "All sizes have the same kinds of parameters",
                "Let make(width, depth) build the same network at every size",
            )
        return members


def _folded(
    small: nn.Module, found: Mapping[str, Found], roles: Mapping[str, Role], batch: Any, name: str, ratios: tuple[float, float]
) -> dict[str, float]:
    """Return what multiplies the weights of each template, in place of what they are multiplied with on the way."""
    wider, deeper = ratios
    inside = {own: one.block for own, one in found.items() if one.block is not None}
    was_training = small.training
    small.eval()
    try:
        factors = dict[str, float]()
        by_depth = branch_multiplier(name, deeper)
        if branch_multiplier(name, 2.0) != 1.0:
            for ends in branch_ends(small, list(dict.fromkeys(inside.values())), batch).values():
                factors |= {found[own].template: by_depth for own in ends}
        outputs = [own for own, role in roles.items() if role == "output"] or readout_norm(small, inside, batch)
    finally:
        small.train(was_training)
    if not outputs:
        raise ModelError(
            "The readout is tied to the embedding, and there is no norm before it",
            "muP divides the output by the width: in the readout's own matrix, or in the gain of the norm before it",
            "Give the readout a matrix of its own",
        )
    return factors | {found[own].template: 1 / wider for own in outputs}


def plain_name(name: str) -> str:
    """Return a parameter's name without those of wrappers.

    >>> plain_name("_orig_mod.module.blocks.0.weight")
    'blocks.0.weight'
    """
    for wrapper in WRAPPED:
        name = name.removeprefix(wrapper).replace(f".{wrapper}", ".")
    return name


def _root_mean_square(tensor: torch.Tensor) -> float:
    return float(tensor.detach().float().square().mean().sqrt())
