"""Lesson: depth, width, data and compute, bought together."""

from dataclasses import dataclass
from math import exp, floor, log10

from fathometer.lab.answers import power
from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount
from fathometer.lab.setting import Setting
from fathometer.spec import Transformer, preset


@dataclass(frozen=True)
class Law:
    """Loss = E + A/N^α + B/D^β, for N parameters and D tokens, as a paper fitted it."""

    floor: float
    of_parameters: float
    of_tokens: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        """Return the expected loss in nats a token."""
        return self.floor + self.of_parameters / parameters**self.alpha + self.of_tokens / tokens**self.beta

    def best_parameters(self, flops: float) -> float:
        """Return the N that makes the loss least where 6·N·D is what there is."""
        ratio = self.alpha * self.of_parameters / (self.beta * self.of_tokens)
        return ratio ** (1 / (self.alpha + self.beta)) * (flops / 6) ** (self.beta / (self.alpha + self.beta))


REPLICATED = Law(1.8172, 477.4, 2143.7, 0.34726, 0.36718)  # Besiroglu and others 2024, refitted to the paper's own points
ROUNDED = Law(1.69, 406.4, 410.7, 0.34, 0.28)  # Hoffmann and others 2022, as printed
LEVINE = (5.039, 0.0555)  # Levine and others 2020: log width = a + b · depth where depth stops to pay


def show(value: float) -> Shown:
    """Return how to spend 10^value operations."""
    flops = 10**value
    best = REPLICATED.best_parameters(flops)
    tokens = flops / 6 / best
    sizes = [best * 10 ** (step / 20) for step in range(-40, 41)]
    curve = Line("loss at this compute", [(log10(size), REPLICATED.loss(size, flops / 6 / size)) for size in sizes])
    budgets = [18 + step / 4 for step in range(33)]
    frontier = Line("best loss", [(b, _best_loss(10**b)) for b in budgets])
    least = Line("what no size removes", [(18.0, REPLICATED.floor), (26.0, REPLICATED.floor)], quiet=True)
    gpt3 = preset("gpt3-175b")
    assert isinstance(gpt3, Transformer)
    numbers = {
        "compute": f"{10 ** (value - floor(value)):.1f} × {power(floor(value))}",
        "parameters": amount(best),
        "tokens": amount(tokens),
        "ratio": amount(tokens / best),
        "loss": f"{REPLICATED.loss(best, tokens):.2f}",
        "floor": f"{REPLICATED.floor:.2f}",
        "ten_times": f"{REPLICATED.loss(best, tokens) - _best_loss(10 * flops):.2f}",
        "rounded_ratio": amount(flops / 6 / ROUNDED.best_parameters(flops) ** 2),
        "gpt_depth": amount(gpt3.depth),
        "gpt_width": amount(gpt3.width),
        "levine_width": amount(exp(LEVINE[0] + LEVINE[1] * gpt3.depth)),
    }
    return Shown(
        numbers,
        (
            Picture(
                "Too small, too large",
                "log₁₀ of parameters",
                (curve,),
                mark=log10(best),
                see="The valley is flat: a factor of two costs little.",
            ),
            Picture(
                "What compute buys", "log₁₀ of operations", (frontier, least), mark=value, see="Each factor of ten buys less."
            ),
        ),
    )


def _best_loss(flops: float) -> float:
    best = REPLICATED.best_parameters(flops)
    return REPLICATED.loss(best, flops / 6 / best)


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
        "{levine_width} on; GPT-3 has {gpt_width}), and a third that deeper wins. What all agree on: the shape must train at "
        "all, which is what this lab measures.",
    ),
    "Spend a thousand times more. Do parameters or tokens grow faster?",
    Slider("log₁₀ of operations", 18, 26, 21, step=0.1),
    show,
    ("Open a network as deep as GPT-3", Setting(depth=96, activation="relu", init="he", residual="plain", norm="layer")),
    (
        "Hoffmann and others: Training compute-optimal large language models",
        "Besiroglu and others: Chinchilla scaling: a replication attempt",
        "Kaplan and others: Scaling laws for neural language models",
        "Levine and others: The depth-to-width interplay in self-attention",
    ),
)
