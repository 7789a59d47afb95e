"""`plan`: from a budget to a shape, data, a rate and a cost."""

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from fathometer import json_text
from fathometer.errors import SpecError, shown
from fathometer.scaling.chips import Chip, find_chip
from fathometer.scaling.costs import num_parameters, training_flops
from fathometer.scaling.estimate import Estimate
from fathometer.scaling.law import Law
from fathometer.scaling.layout import Layout, layout_for
from fathometer.scaling.optimum import Optimum, check_budget, disagreement, effective, optimum
from fathometer.scaling.published import find_law
from fathometer.scaling.recipe import Recipe, recipes
from fathometer.scaling.shapes import OPINIONS, Opinion, find_opinion, shape_for
from fathometer.spec import Transformer, spec_to_dict, spec_to_toml

SCHEMA = "fathometer.plan/1"
LEAST_FLOPS = 1e13  # buys a network of a few thousand parameters
PROXY_DEPTH, PROXY_WIDTH = 4, 256


@dataclass(frozen=True)
class Plan:
    """What a budget buys: the network, what it is trained on and how, where it fits, what it costs, and who disagrees.

    `best` are the law's parameters, tokens and loss with intervals; `spec` is the nearest network, under CompleteP over the
    `proxy` on which its learning rate is to be found; `tokens` and `loss` are those of the spec itself. `opinions` holds the
    shape of every published opinion on depth against width (None where it names none), `laws` what every published law would
    spend the budget on. `notes` say where the plan leaves what was measured.
    """

    flops: float
    best: Optimum
    spec: Transformer
    proxy: Transformer
    tokens: float
    loss: Estimate
    epochs: float
    recipes: tuple[Recipe, ...]
    batch_sequences: int
    layout: Layout
    chip: Chip
    opinions: dict[str, Transformer | None]
    laws: dict[str, tuple[float, float]]
    law: Law = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Return the parameters of the network."""
        return num_parameters(self.spec)

    @property
    def steps(self) -> int:
        """Return the optimizer steps."""
        return max(1, round(self.tokens / (self.batch_sequences * self.spec.context)))

    @property
    def learning_rate(self) -> float:
        """Return the largest learning rate that the first recipe names: where to begin to look, on the proxy."""
        return self.recipes[0].learning_rate

    @property
    def chip_hours(self) -> float:
        """Return the hours of one chip at its utilisation; a third more where blocks are computed again."""
        again = 4 / 3 if self.layout.recompute else 1.0
        return again * self.flops / self.chip.useful_flops_per_hour

    def to_toml(self) -> str:
        """Return the network as TOML text that `fathometer preflight` reads."""
        return spec_to_toml(self.spec)

    def to_json(self) -> str:
        """Return everything as JSON text."""
        best = {name: getattr(self.best, name).to_dict() for name in ("parameters", "tokens", "tokens_per_parameter", "loss")}
        own = {"parameters": self.parameters, "tokens": self.tokens, "epochs": self.epochs, "loss": self.loss.to_dict()}
        training = {"batch_sequences": self.batch_sequences, "steps": self.steps, "learning_rate": self.learning_rate}
        cost = {"flops": self.flops, "chip": self.chip.name, "chip_hours": self.chip_hours, "chips": self.layout.chips}
        shapes = {name: None if spec is None else [spec.depth, spec.width] for name, spec in self.opinions.items()}
        views = {
            name: {"says": OPINIONS[name].says, "source": OPINIONS[name].source, "depth_width": shape}
            for name, shape in shapes.items()
        }
        layout = {**vars(self.layout), "fits": self.layout.fits}
        tables: dict[str, Any] = {"opinions": views, "laws": {name: list(spent) for name, spent in self.laws.items()}}
        tables["recipes"] = [vars(recipe) for recipe in self.recipes]
        specs = {"spec": spec_to_dict(self.spec), "proxy": spec_to_dict(self.proxy)}
        return json_text.dump(
            {
                "schema": SCHEMA,
                **cost,
                "law": self.law.source,
                "best": best,
                **own,
                **training,
                "layout": layout,
                **specs,
                **tables,
            }
            | {"notes": list(self.notes)}
        )

    def __str__(self) -> str:
        from fathometer.scaling.plan_text import plan_lines

        return "\n".join(plan_lines(self))


def plan(
    flops: float | None = None,
    *,
    chips: int | None = None,
    hours: float | None = None,
    chip: Chip | str = "h100",
    tokens: float | None = None,
    law: Law | str = "besiroglu2024",
    shape: str = "gpt3",
    like: Transformer = Transformer(context=2048, tied=False),  # noqa: B008  (frozen, so the shared default cannot change)
) -> Plan:
    """Return what a budget buys: depth, width, heads, tokens, batch, learning rate, memory layout and cost, with error bars.

    The budget is `flops`, or `chips` × `hours` of a `chip` (a name of `CHIPS`, or a `Chip` with your own utilisation). `tokens`
    are the new ones that there are: beyond them data are read again, and count for less. `law` is a key of `PUBLISHED`, or a
    law that `fit_law` fitted to your own runs. `shape` is one of `OPINIONS` that names a shape; the others are shown beside
    it. `like` gives all of the network but depth, width and heads.

    Raises `SpecError` for a budget that cannot be, is given twice, or buys no network.

    >>> found = plan(5.88e23)
    >>> f"{found.best.parameters.value:.3g} parameters on {found.best.tokens.value:.3g} tokens, {found.spec.depth} deep"
    '7.3e+10 parameters on 1.34e+12 tokens, 71 deep'
    """
    kind = find_chip(chip) if isinstance(chip, str) else chip
    budget = _budget(flops, chips, hours, kind)
    rule = find_law(law) if isinstance(law, str) else law
    best = optimum(rule, budget, tokens)
    view = find_opinion(shape)
    spec = shape_for(best.parameters.value, view, like)
    seen = budget / (training_flops(spec) / spec.context)
    _check_reach(seen, spec, budget, tokens)
    unique = seen if tokens is None else min(seen, tokens)
    sizes = effective(rule, float(num_parameters(spec)), seen, tokens)
    loss = rule.predict(parameters=float(sizes["parameters"]), tokens=float(sizes["tokens"]))
    found = recipes(budget, float(num_parameters(spec)), seen, loss.value)
    sequences = max(1, round(found[0].batch_tokens / spec.context))
    proxy = shape_of_proxy(spec)
    place = layout_for(spec, float(sequences * spec.context), kind, chips)
    return Plan(
        budget,
        best,
        replace(spec, init="completep", base_width=proxy.width, base_depth=proxy.depth),
        proxy,
        seen,
        loss,
        seen / unique,
        found,
        sequences,
        place,
        kind,
        {name: _shape(best.parameters.value, opinion, like) for name, opinion in OPINIONS.items()},
        disagreement(budget),
        rule,
        _notes(best, rule, seen / unique, place, spec, hours),
    )


def shape_of_proxy(spec: Transformer) -> Transformer:
    """Return the small network on which the learning rate is found: as many units to a head, less of both depth and width."""
    width = min(spec.width, max(PROXY_WIDTH, spec.head_width * 2))
    width -= width % spec.head_width
    depth = min(spec.depth, PROXY_DEPTH)
    heads = width // spec.head_width
    small = replace(spec, depth=depth, width=width, heads=heads, kv_heads=None if spec.kv_heads is None else 1, init="completep")
    if spec.mlp_width is not None:
        small = replace(small, mlp_width=max(1, round(spec.mlp_width * width / spec.width)))
    return replace(small, base_width=width, base_depth=depth)


def _shape(parameters: float, opinion: Opinion, like: Transformer) -> Transformer | None:
    return None if opinion.aspect is None else shape_for(parameters, opinion, like)


def _budget(flops: float | None, chips: int | None, hours: float | None, chip: Chip) -> float:
    if chips is not None and (not isinstance(chips, int) or isinstance(chips, bool) or chips < 1):
        raise SpecError(f"`chips` is {shown(chips)}", "It is a whole number of at least 1", "Try chips = 64")
    if hours is not None:
        check_budget("hours", hours, 1e7, "hours = 720")
    if (flops is None) == (hours is None):
        given = "Neither `flops` nor `hours` is given" if flops is None else "Both `flops` and `hours` are given"
        raise SpecError(given, "The budget is flops, or chips × hours", "Say flops = 1e21, or chips = 64 and hours = 72")
    if hours is not None:
        if chips is None:
            raise SpecError(f"`hours` is {hours} and `chips` is not given", "Hours are those of so many chips", "Say chips = 64")
        flops = chips * hours * chip.useful_flops_per_hour
    assert flops is not None
    check_budget("flops", flops)
    if flops < LEAST_FLOPS:
        raise SpecError(
            f"The budget is {flops:.3g} FLOP", f"Below {LEAST_FLOPS:g} it buys no network worth a plan", "Try flops = 1e18"
        )
    return float(flops)


def _check_reach(seen: float, spec: Transformer, budget: float, tokens: float | None) -> None:
    if tokens is not None and tokens < 10 * spec.context:
        raise SpecError(
            f"There are {tokens:g} tokens", f"A context alone is {spec.context}", "Give the number of tokens, not of documents"
        )
    if not isfinite(seen) or seen < 10 * spec.context:
        raise SpecError(
            f"{budget:.3g} FLOP are {seen:.3g} tokens of a network of {num_parameters(spec):,} parameters",
            f"A context alone is {spec.context}, and the vocabulary of {spec.vocabulary:,} makes even the smallest network large",
            "Give a larger budget, or `like` with a smaller context and vocabulary",
        )


def _notes(best: Optimum, law: Law, epochs: float, layout: Layout, spec: Transformer, hours: float | None) -> tuple[str, ...]:
    notes = list[str]()
    sizes = {"parameters": best.parameters.value, "tokens": best.tokens.value}
    if law.ranges and not law.is_inside(**sizes):
        ranges = " and ".join(f"{low:.2g} to {high:.2g} {name}" for name, (low, high) in law.ranges.items() if name in sizes)
        notes.append(f"Beyond the law's own data ({ranges}): the interval knows nothing of what changes out there.")
    if not len(law.draws):
        notes.append("This law was published without its draws: it has no interval here.")
    if epochs > 4:
        notes.append(f"The data are read {epochs:.1f} times; up to 4 times was measured to be nearly as good as new.")
    if num_parameters(spec) > 1.5 * best.parameters.value:
        notes.append("Even the smallest network of this vocabulary is larger than the law's optimum.")
    if not layout.fits:
        notes.append(f"It does not fit on {layout.chips:,} of these chips: take more, or chips with more memory.")
    if hours is not None and layout.recompute:
        notes.append("Blocks are computed again to fit, which takes a third more time than the budget has.")
    return tuple(notes)
