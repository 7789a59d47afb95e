"""What keeps depth trainable: stream, norm or start, one by one."""

from collections.abc import Iterator, Sequence
from itertools import islice
from math import log
from statistics import median

from fathometer.data import digits
from fathometer.figures import band_chart
from fathometer.networks import MlpNetwork, build
from fathometer.records import Asked
from fathometer.report import Figure
from fathometer.spec import Mlp
from fathometer.studies.best import accuracy, at_best_rate, data_of, span, train_together
from fathometer.studies.path_lengths import path_lengths
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row

CHANCE, TRAINS = 0.1, 0.5 * log(10)  # of ten digits; a training loss of half that of knowing nothing
# The residual kinds, with the norms that each may have.
KINDS: dict[str, tuple[str | None, ...]] = {
    "none": (None, "layer", "batch"),
    "plain": (None,),
    "scaled": (None,),
    "rezero": (None,),
    "highway": (None,),
    "pre-norm": ("layer", "batch"),
    "post-norm": ("layer", "batch"),
}
SEE = "Where a line ends before the right edge, the longest paths carry nothing."
HELD = ("scaled", "rezero", "highway", "pre-norm")  # what they add to the stream cannot make it explode
PATHS = {
    "plain": None,
    "scaled": None,
    "pre-norm": "layer",
}  # whose blocks are x + f(x), with a branch that is alive at the start


def cells(options: Options) -> Groups:
    """Return a group for each combination of kind, norm and start: its rates and seeds; and one for each kind's paths."""
    fixed = {name: options[name] for name in ("depth", "width", "steps", "batch_size")}
    groups = list[list[Cell]]()
    for kind in options["kinds"]:
        for norm in KINDS[kind]:
            for start in options["starts"]:
                own = {"kind": "trained", "residual": kind, "norm": norm, "init": start, **fixed}
                groups.append([{**own, "rate": rate, "seed": seed} for rate in options["rates"] for seed in options["seeds"]])
    shape = {"depth": options["depth"], "width": options["width"], "init": "he"}
    for kind, norm in PATHS.items():
        groups.append([{"kind": "paths", "residual": kind, "norm": norm, **shape, "seed": seed} for seed in options["seeds"]])
    return groups


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Train the networks of a group as a stack, or measure the paths of their gradient at the start."""
    if group[0]["kind"] == "paths":
        yield from map(_paths, group)
    else:
        asked = [Asked(cell["steps"], cell["batch_size"], "adam", cell["rate"], seed=cell["seed"]) for cell in group]
        yield from train_together(group, [(_spec(cell), one) for cell, one in zip(group, asked, strict=True)], data_of("digits"))


def _spec(cell: Cell) -> Mlp:
    shape = {"depth": cell["depth"], "width": cell["width"], "init": cell["init"]}
    return Mlp(residual=cell["residual"], norm=cell["norm"], **shape)


def _paths(cell: Cell) -> Row:
    model = build(_spec(cell), seed=cell["seed"])
    assert isinstance(model, MlpNetwork)
    inputs, targets = next(islice(digits().batches(64, cell["seed"]), 1))
    found = path_lengths(model, inputs, targets)
    return {"mean_length": found.mean_length, "effective_length": found.effective, "size": list(found.size)}


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Say which ingredients are enough, alone and together, at the depth of the study."""
    best = at_best_rate([row for row in rows if row["kind"] == "trained"], ("residual", "norm", "init"))
    losses = {(at["residual"], at["norm"], at["init"]): [row["train_loss"] for row in own] for at, _, own in best}
    trains = {key: max(values) < TRAINS for key, values in losses.items()}
    stream = [key for key in trains if key[0] in HELD]
    plain = [key for key in trains if key[0] == "none"]
    ways = [sum(trains[key] for key in keys) for keys in (stream, plain)]
    losses_of = [median(value for key in keys for value in losses[key]) for keys in (stream, plain)]
    sentence = (
        f"At {options['depth']} blocks {ways[0]} of {len(stream)} combinations with a stream that is held train with every seed "
        f"(training loss {losses_of[0]:.2g}), and {ways[1]} of {len(plain)} without a stream ({losses_of[1]:.2g})."
    )
    share = [count / max(1, len(keys)) for count, keys in zip(ways, (stream, plain), strict=True)]
    answer = "shown" if share[0] >= 0.9 and share[1] <= 0.34 else "shown in part" if share[0] > share[1] else "not shown"
    top = min(losses, key=lambda key: median(losses[key]))
    facts = (("the lowest training loss", f"{name_of(*top)}: {median(losses[top]):.2g}"),)
    header = ("stream", "norm", "start", "rate", "training loss", "digits read", "trains")
    table = tuple(
        (
            at["residual"],
            at["norm"] or "–",
            at["init"],
            f"{rate:g}",
            span([row["train_loss"] for row in own]),
            span([accuracy(row, CHANCE) for row in own], True),
            "yes" if trains[at["residual"], at["norm"], at["init"]] else "no",
        )
        for at, rate, own in best
    )
    return Reading(answer, sentence, facts, header, table, (_paths_figure(rows),), (*_alone(trains), *_path_words(rows, options)))


def name_of(kind: str, norm: str | None, start: str) -> str:
    """Return a combination in a few words."""
    return ", ".join([kind if kind != "none" else "no stream", f"{norm} norm" if norm else "no norm", start])


def _alone(trains: dict[tuple[str, str | None, str], bool]) -> tuple[str, ...]:
    """Return what each ingredient does where the others are as they are in a plain network."""
    words = []
    for what, keys in (
        ("A better start alone", [key for key in trains if key[:2] == ("none", None)]),
        ("LayerNorm alone", [key for key in trains if key[:2] == ("none", "layer")]),
        ("BatchNorm alone", [key for key in trains if key[:2] == ("none", "batch")]),
        ("A stream alone, its branches scaled", [key for key in trains if key[0] == "scaled"]),
        ("A stream alone, nothing holding it", [key for key in trains if key[0] == "plain"]),
        ("A stream and a norm behind it (post-norm)", [key for key in trains if key[0] == "post-norm"]),
    ):
        if keys:
            good, bad = ([name_of(*key) for key in keys if trains[key] is is_good] for is_good in (True, False))
            words.append(f"{what}: trains {'; '.join(good) or 'nowhere'}{' · fails ' + '; '.join(bad) if bad else ''}.")
    return tuple(words)


def _paths_figure(rows: Sequence[Row]) -> Figure:
    lines = []
    for kind in PATHS:
        own = [row for row in rows if row["kind"] == "paths" and row["residual"] == kind]
        if own:
            shares = [[value / max(sum(row["size"]), 1e-300) for value in row["size"]] for row in own]
            lines.append((kind, [(float(length), [share[length] for share in shares]) for length in range(len(shares[0]))]))
    title, subtitle = "How long the gradient's paths are", "share of the gradient by branches gone through, at the start"
    chart = band_chart(lines, title=title, subtitle=subtitle, axis="branches on the path", percent=True)
    return Figure(
        chart,
        "Norm of the sum over all paths of a length, exactly.",
        "Most of the gradient comes by paths far shorter than the network.",
    )


def _path_words(rows: Sequence[Row], options: Options) -> tuple[str, ...]:
    words = []
    for kind in PATHS:
        own = [row for row in rows if row["kind"] == "paths" and row["residual"] == kind]
        if own:
            mean, most = (span([float(row[name]) for row in own]) for name in ("mean_length", "effective_length"))
            words.append(
                f"{kind}: paths of the gradient go through {mean} of {options['depth']} branches, 95% through {most} at most."
            )
    return tuple(words)


def cost(cell: Cell) -> float:
    """Return about how long a cell takes."""
    return 0.3 if cell["kind"] == "paths" else 1.0 + (cell["norm"] is not None)


RESIDUAL = Question(
    title="What the residual stream does",
    claim="A stream that is held (scaled, gated, zero at first or normed first) makes fifty layers train; a norm alone does not.",
    options={
        "kinds": tuple(KINDS),
        "starts": ("he", "orthogonal"),
        "depth": 50,
        "width": 64,
        "rates": (1e-3, 3e-3),
        "seeds": (0, 1, 2),
        "steps": 200,
        "batch_size": 64,
    },
    quick={
        "kinds": ("none", "scaled", "pre-norm"),
        "starts": ("he",),
        "rates": (1e-3,),
        "seeds": (0, 1),
        "steps": 60,
        "depth": 30,
    },
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "Two hundred steps on handwritten digits, ReLU, width 64: which combinations train, not how good they become.",
        "Trains means: with every seed, at the best of the rates, the training loss ends below half of that of knowing nothing.",
        "Paths are those of the start. Training changes them.",
    ),
    citations=("he2015residual", "veit2016", "bachlechner2021", "xiong2020", "yang2019"),
)
