"""A plan in words: the answer first, then why, then who disagrees."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fathometer.scaling.costs import PETAFLOP_DAY, num_parameters
from fathometer.scaling.estimate import Estimate
from fathometer.scaling.measured import MEASURED
from fathometer.scaling.shapes import OPINIONS

if TYPE_CHECKING:
    from fathometer.scaling.plan import Plan

UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def plan_lines(plan: "Plan") -> Iterator[str]:
    """Yield the lines of a plan."""
    spec = plan.spec
    yield (
        f"{plan.flops:.3g} FLOP ({plan.flops / PETAFLOP_DAY:.3g} petaflop days): {spec.depth} deep, {spec.width:,} wide, "
        f"{spec.num_heads} heads, {count(plan.parameters)} parameters, on {count(plan.tokens)} tokens."
    )
    yield ""
    yield f"loss        {_interval(plan.loss)} nats a token, if the law holds there"
    yield f"parameters  {_interval(plan.best.parameters)} at the law's optimum"
    again = "" if plan.epochs <= 1 else f"; the data are read {plan.epochs:.2g} times"
    yield f"tokens      {_interval(plan.best.tokens)}, {_interval(plan.best.tokens_per_parameter)} a parameter{again}"
    batch = f"{count(plan.batch_sequences * spec.context)} tokens ({plan.batch_sequences:,} sequences)"
    yield f"batch       {batch}, {plan.steps:,} steps"
    yield f"rate        {plan.learning_rate:.2g} for Adam, to be looked for on the proxy below"
    yield f"memory      {plan.layout}"
    yield (
        f"cost        {plan.chip_hours:,.3g} hours of one {plan.chip.name} at {plan.chip.utilisation:.0%}, "
        f"{plan.chip_hours / plan.layout.chips / 24:,.3g} days on {plan.layout.chips:,}"
    )
    proxy = plan.proxy
    yield (
        f"proxy       {proxy.depth} deep, {proxy.width} wide ({count(num_parameters(proxy))} parameters): find the learning rate "
        "there (fm.transfer) and keep it, under CompleteP"
    )
    yield ""
    yield from _disagreements(plan)
    for note in plan.notes:
        yield f"note: {note}"


def _disagreements(plan: "Plan") -> Iterator[str]:
    yield f"How large? By {plan.law.source}. Others would spend it so:"
    for name, (parameters, tokens) in plan.laws.items():
        ratio = tokens / parameters
        yield f"  {name:22}{count(parameters):>8} parameters {count(tokens):>8} tokens {ratio:>8.3g} a parameter"
    yield ""
    yield "How deep, how wide? It is contested, and this tool takes no side:"
    for name, spec in plan.opinions.items():
        shape = "" if spec is None else f"{spec.depth} × {spec.width}"
        yield f"  {name:20}{shape:>12}  {OPINIONS[name].says}"
    for name, says in MEASURED.items():
        yield f"  {name:20}{'':>12}  {says}"
    yield ""
    yield "Batch and rate:"
    for recipe in plan.recipes:
        yield f"  {recipe.name:20}{count(recipe.batch_tokens):>8} tokens {recipe.learning_rate:>8.2g}  {recipe.says}"


def _interval(number: Estimate) -> str:
    if number.low == number.high:
        return f"{count(number.value)}"
    return f"{count(number.value)} ({count(number.low)} to {count(number.high)})"


def count(number: float | int) -> str:
    """Return a number in three digits.

    >>> count(73.02e9), count(1.974), count(12.5)
    ('73B', '1.97', '12.5')
    """
    for size, unit in UNITS:
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
