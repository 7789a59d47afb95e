"""Do small networks foretell a larger one? A ladder, a law, a trial."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from fathometer.records import Asked
from fathometer.runs import train
from fathometer.scaling import Law, LeftOut, fit_law, leave_out, num_parameters, training_flops
from fathometer.spec import Transformer
from fathometer.studies.best import data_of, told
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row
from fathometer.studies.scaling_law_page import figures_of, table_of

BYTES = 256
CLOSE = 0.02  # of the loss: an interval narrower than twice that says something


def cells(options: Options) -> Groups:
    """Return a group for each network: those of the ladder, and the one that is foretold."""
    fixed = {name: options[name] for name in ("batch_size", "context", "rate", "base_depth", "base_width")}
    ladder = [
        {"kind": "ladder", **_shape(shape), "tokens": tokens} for shape in options["ladder"] for tokens in options["tokens"]
    ]
    held_out = [{"kind": "held out", **_shape(options["held_out"]), "tokens": options["held_out_tokens"]}]
    return [[{**at, **fixed, "seed": seed}] for at in (*ladder, *held_out) for seed in options["seeds"]]


def _shape(words: str) -> dict[str, int]:
    depth, width = words.split("x")
    return {"depth": int(depth), "width": int(width)}


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Train transformers on bytes of Python's own source code, none of which is seen twice, under CompleteP."""
    for cell in group:
        data = data_of("text", context=cell["context"])
        record = train(spec_of(cell), asked_of(cell), data=data, progress=lambda *facts: None).record
        yield {**told(record), "parameters": num_parameters(spec_of(cell)), "sha256": data.facts["sha256"]}


def spec_of(cell: Cell) -> Transformer:
    """Return the network of a cell: heads are 16 wide, and every rate is that of the base."""
    shape = {"depth": cell["depth"], "width": cell["width"], "heads": max(1, cell["width"] // 16)}
    base = {"base_depth": cell["base_depth"], "base_width": cell["base_width"]}
    return Transformer(**shape, vocabulary=BYTES, context=cell["context"], tied=False, init="completep", **base)


def asked_of(cell: Cell) -> Asked:
    """Return how a network is trained: Adam, a short warm-up, then a cosine down to nothing."""
    steps = max(1, round(cell["tokens"] / (cell["batch_size"] * cell["context"])))
    return Asked(
        steps,
        cell["batch_size"],
        "adam",
        cell["rate"],
        warmup=max(1, steps // 10),
        schedule="cosine",
        clip=1.0,
        seed=cell["seed"],
    )


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Fit the ladder, foretell the larger network, and say whether it came out so."""
    ladder = [_point(row) for row in rows if row["kind"] == "ladder" and _is_trained(row)]
    above = [_point(row) for row in rows if row["kind"] == "held out"]
    law = fit_law(ladder, starts=options["starts"], resamples=options["resamples"])
    target = above[0]
    sizes = {"parameters": target["parameters"], "tokens": target["tokens"]}
    trial = LeftOut(sizes, law.predict(observed=True, **sizes), sum(point["loss"] for point in above) / len(above))
    few = {name: min(options[name], most) for name, most in (("starts", 50), ("resamples", 100))}
    others = leave_out(ladder, **few)
    predicted = trial.predicted
    width = (predicted.high - predicted.low) / predicted.value
    sentence = (
        f"{len(ladder)} networks of {_count(min(p['parameters'] for p in ladder))} to "
        f"{_count(max(p['parameters'] for p in ladder))} parameters foretell {predicted.value:.3f} nats a byte "
        f"({predicted.low:.3f} to {predicted.high:.3f}) for one of {_count(sizes['parameters'])} on {_count(sizes['tokens'])} "
        f"bytes; trained, it reaches {trial.loss:.3f}, {'inside' if trial.is_inside else 'outside'} the interval."
    )
    answer = "shown" if trial.is_inside and width <= 2 * CLOSE else "shown in part" if trial.is_inside else "not shown"
    inside = sum(one.is_inside for one in others)
    facts = (
        ("off by", f"{trial.loss / predicted.value - 1:+.1%}"),
        ("inside when each size is left out", f"{inside} of {len(others)}"),
        ("FLOPs of the larger over all of the ladder's", f"{_cost(above[0]) / sum(map(_cost, ladder)):.2g}"),
    )
    header, table = table_of(law, [*ladder, *above])
    return Reading(answer, sentence, facts, header, table, figures_of(law, ladder, above), (*_numbers(law), *_why(trial, law)))


def _point(row: Row) -> dict[str, float]:
    names = ("parameters", "tokens", "depth", "width", "context")
    return {**{name: float(row[name]) for name in names}, "loss": float(row["held_out_loss"] or float("nan"))}


def _is_trained(row: Row) -> bool:
    return row["held_out_loss"] is not None and isfinite(row["held_out_loss"])


def _cost(point: Mapping[str, float]) -> float:
    return 6 * point["parameters"] * point["tokens"]


def _numbers(law: Law) -> tuple[str, ...]:
    words = "; ".join(f"{symbol} = {number}" for symbol, number in law.numbers.items())
    return (f"{law.form.formula}, {law.source}: {words}.",)


def _why(trial: LeftOut, law: Law) -> tuple[str, ...]:
    """Say what it means that the trial came out of the interval, if it did."""
    if trial.is_inside:
        return ()
    side = "more" if trial.loss > trial.predicted.high else "less"
    because = (
        "the rate or the number of steps that suited the ladder does not suit it, or the ladder's own differences stand for "
        "other things than size"
        if side == "more"
        else "the ladder bends less than the law has it, whose floor E is too high"
    )
    open_numbers = f" Not identified by the ladder: {', '.join(law.open)}." if law.open else ""
    return (f"The larger network loses {side} than the law has it, out of its interval: {because}.{open_numbers}",)


def _count(number: float) -> str:
    for size, unit in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def cost(cell: Cell) -> float:
    """Return about how long a cell takes."""
    spec = spec_of(cell)
    return cell["tokens"] * (training_flops(spec) / spec.context / 2e10 + 2e-6 * cell["depth"])


SCALING = Question(
    title="A scaling law, and a trial of it",
    claim="A law fitted to a ladder of small networks foretells the loss of a larger one that it has not seen.",
    options={
        "ladder": ("1x32", "2x32", "1x64", "2x64", "3x64", "4x80"),
        "tokens": (262_144, 524_288, 1_048_576),
        "held_out": "6x112",
        "held_out_tokens": 2_097_152,
        "context": 64,
        "batch_size": 16,
        "rate": 6e-3,
        "base_depth": 2,
        "base_width": 32,
        "seeds": (0,),
        "starts": 500,
        "resamples": 400,
    },
    quick={"ladder": ("1x16", "1x32", "2x32"), "tokens": (16_384, 32_768, 65_536), "held_out": "3x48", "held_out_tokens": 98_304},
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "The networks have up to a million parameters and see up to two million bytes of Python's own source code.",
        "One rate for all, carried from the smallest by CompleteP; one batch size, so that more data are more steps.",
        "One seed for each network: the scatter of a run about the law is taken from the law's residuals.",
        "The text is that of the running Python: another version of it gives other losses, and the page says which it was.",
    ),
    citations=("hoffmann2022", "besiroglu2024", "dey2025"),
)
