"""Lesson: depth, width, data and compute, bought together."""

from dataclasses import replace
from math import floor, log10

from fathometer.lab.answers import power
from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount
from fathometer.lab.setting import Setting
from fathometer.scaling import Law, find_law, optimum
from fathometer.scaling.shapes import levine_width
from fathometer.spec import Transformer, preset


def _middle(name: str) -> Law:
    """Return a published law without the draws of its numbers, for which a slider need not wait."""
    law = find_law(name)
    return replace(law, draws=law.draws[:0])


REFITTED, ROUNDED = _middle("besiroglu2024"), _middle("hoffmann2022-rounded")


def show(value: float) -> Shown:
    """Return how to spend 10^value operations."""
    flops = 10**value
    best, floor_loss = optimum(REFITTED, flops), REFITTED.numbers["E"].value
    parameters, loss = best.parameters.value, best.loss.value
    sizes = [parameters * 10 ** (step / 20) for step in range(-40, 41)]
    losses = [REFITTED.predict(parameters=size, tokens=flops / 6 / size).value for size in sizes]
    curve = Line("loss at this compute", [(log10(size), found) for size, found in zip(sizes, losses, strict=True)])
    budgets = [18 + step / 4 for step in range(33)]
    frontier = Line("best loss", [(budget, _best_loss(10**budget)) for budget in budgets])
    least = Line("what no size removes", [(18.0, floor_loss), (26.0, floor_loss)], quiet=True)
    gpt3 = preset("gpt3-175b")
    assert isinstance(gpt3, Transformer)
    numbers = {
        "compute": f"{10 ** (value - floor(value)):.1f} × {power(floor(value))}",
        "parameters": amount(parameters),
        "tokens": amount(best.tokens.value),
        "ratio": amount(best.tokens_per_parameter.value),
        "loss": f"{loss:.2f}",
        "floor": f"{floor_loss:.2f}",
        "ten_times": f"{loss - _best_loss(10 * flops):.2f}",
        "gpt_depth": amount(gpt3.depth),
        "gpt_width": amount(gpt3.width),
        "levine_width": amount(levine_width(gpt3.depth)),
    }
    return Shown(
        numbers,
        (
            Picture(
                "Too small, too large",
                "log₁₀ of parameters",
                (curve,),
                mark=log10(parameters),
                see="The valley is flat: a factor of two costs little.",
            ),
            Picture(
                "What compute buys", "log₁₀ of operations", (frontier, least), mark=value, see="Each factor of ten buys less."
            ),
        ),
    )


def _best_loss(flops: float) -> float:
    return optimum(REFITTED, flops).loss.value


RECIPE = Lesson(
    "Depth + width + data + compute",
    "Depth alone is a tall house on a small plot.",
    (
        "Training costs about six operations for each parameter and token. With {compute} of them, the fit of published runs "
        "says: {parameters} parameters and {tokens} tokens, {ratio} tokens for each parameter, for a loss of {loss} nats a "
        "token. {floor} of these no model removes.",
        "Ten times the compute would take off another {ten_times}. More parameters without more data climb the valley on the "
        "right; more data for too small a network, on the left.",
        "How to split parameters between depth and width is contested. One study finds that shape hardly matters, another that "
        "depth pays only up to a threshold that grows with the logarithm of the width (at {gpt_depth} blocks, from a width of "
        "{levine_width} on; GPT-3 has {gpt_width}), and a third that small models should be deep and thin. Whatever the shape, "
        "it must train at all, and that is what this lab measures.",
    ),
    "Spend a thousand times more. Do parameters or tokens grow faster?",
    Slider("log₁₀ of operations", 18, 26, 21, step=0.1),
    show,
    ("Open a network as deep as GPT-3", Setting(depth=96, activation="relu", init="he", residual="plain", norm="layer")),
    (
        "Hoffmann and others: Training compute-optimal large language models",
        "Besiroglu and others: Chinchilla scaling: a replication attempt",
        "Kaplan and others: Scaling laws for neural language models",
        "Levine and others: Limits to depth efficiencies of self-attention",
        "Liu and others: MobileLLM",
    ),
)
