"""The lesson on deep networks, row by row: claim, command, number."""

import json
from collections.abc import Callable
from math import log10
from pathlib import Path
from typing import Any

from fathometer.text import power_text

SEEDS = (0, 1, 2)
RESULTS = Path(__file__).parent / "results"
STEPS = 200
Row = dict[str, Any]


def lesson() -> list[Row]:
    """Measure every row of the README's lesson table that is built, over three seeds; the others say what is missing."""
    return [{"claim": claim, "command": command, "number": number()} for claim, command, number in ROWS]


def _says(text: str) -> Callable[[], str]:
    return lambda: text


def _judged_and_trained(name: str, tail: str = "") -> Callable[[], str]:
    """Return a measurement: verdict and growth of the gradient before training, test accuracy after it."""
    return lambda: f"{_verdict(name)}; {_accuracy(name)}{tail}"


def _verdict(name: str) -> str:
    import fathometer as fm

    checks = [fm.preflight(name, seed=seed) for seed in SEEDS]
    names = sorted({check.verdict for check in checks})
    growth = _decades([_growth(check.profile, "gradient") for check in checks])
    return f"{' or '.join(names)}, gradient {growth} from last block to first"


def _size(name: str) -> str:
    from fathometer.scaling import num_parameters
    from fathometer.spec import preset

    return f"{num_parameters(preset(name)):,} parameters"


def _growth(profile: Any, column: str) -> float:
    known = profile.known(column)
    first, last = known[0][1], known[-1][1]
    return log10(first) - log10(last) if first > 0 and last > 0 else float("nan")


def _decades(decades: list[float]) -> str:
    low, high = min(decades), max(decades)
    if max(abs(low), abs(high)) < 3:
        return "× " + _span(f"{10**low:.2g}", f"{10**high:.2g}")
    return "× " + _span(power_text(round(low)), power_text(round(high)))


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _accuracy(name: str) -> str:
    import fathometer as fm
    from fathometer.records import Asked

    rates = (3e-4, 1e-3, 3e-3)
    sweep = {rate: fm.train(name, Asked(steps=STEPS, learning_rate=rate), progress=_silent).record for rate in rates}
    best = min(sweep, key=lambda rate: sweep[rate].held_out_loss if sweep[rate].held_out_loss is not None else float("inf"))
    others = [fm.train(name, Asked(steps=STEPS, learning_rate=best, seed=seed), progress=_silent).record for seed in SEEDS[1:]]
    shares = [record.held_out_accuracy or 0.0 for record in (sweep[best], *others)]
    return f"reads {_span(f'{min(shares):.0%}', f'{max(shares):.0%}')} of the test digits after {STEPS} steps"


def _signal(name: str) -> Callable[[], str]:
    def measure() -> str:
        import fathometer as fm

        checks = [fm.preflight(name, seed=seed) for seed in SEEDS]
        signal = [-_growth(check.profile, "signal") for check in checks]
        gradient = [_growth(check.profile, "gradient") for check in checks]
        verdict = " or ".join(sorted({check.verdict for check in checks}))
        return f"{verdict}; second moments: signal {_decades(signal)} over depth, gradient {_decades(gradient)} back"

    return measure


def _versus(one: str, other: str) -> Callable[[], str]:
    return lambda: f"`{one}`: {_verdict(one)}; {_accuracy(one)}. `{other}`: {_verdict(other)}; {_accuracy(other)}"


def _study(name: str) -> str:
    """Return what a study at full size says, from its benchmark's results: it takes minutes."""
    rows = json.loads((RESULTS / "studies.json").read_text(encoding="utf-8"))["rows"]
    return next(row["sentence"] for row in rows if row["study"] == name)


def _full_size(network: str) -> str:
    """Return what a preflight at full size said and took, from its benchmark's results."""
    rows = json.loads((RESULTS / "full_size.json").read_text(encoding="utf-8"))["rows"]
    row = next(row for row in rows if row["network"] == network)
    return f"{row['verdict']}, in {row['seconds']:.0f} s of one core and {row['megabytes'] / 1000:.2g} GB"


def _plan() -> str:
    from fathometer.scaling import disagreement, optimum
    from fathometer.scaling.plan_text import count
    from fathometer.scaling.published import find_law

    flops = 5.88e23
    best, others = optimum(find_law("besiroglu2024"), flops), disagreement(flops)
    sizes, ratio = best.parameters, best.tokens_per_parameter
    ratios = [tokens / parameters for name, (parameters, tokens) in others.items() if name != "besiroglu2024"]
    return (
        f"published: {flops:g} FLOP are best spent on {count(sizes.value)} parameters "
        f"({count(sizes.low)} to {count(sizes.high)}) and {ratio.value:.0f} tokens for each "
        f"({ratio.low:.0f} to {ratio.high:.0f}) [^besiroglu]; other published laws say "
        f"{min(ratios):.2g} to {max(ratios):.0f} tokens"
    )


def _demo() -> str:
    from fathometer.demo import tell_story

    story = tell_story()
    proved = story.fix.proved
    remedy = "no remedy" if proved is None else proved.remedy.title
    before, after = (100 * (record.held_out_accuracy or 0.0) for record in (story.long_before, story.long_after))
    return f"{before:.1f}% of the test digits before, {after:.1f}% after; mended by: {remedy}"


def _vision() -> str:
    """Return what scenes and the hierarchy model say, from the results of their benchmarks: they take minutes."""
    told = f"drawn scenes, {_seeds('scenes')}: expected layers {_levels('scenes')}."
    return f"{told} Random hierarchy model: {_synonyms()}. {_digits()}"


def _language() -> str:
    told = [
        f"{words}, {_seeds(name)}: {_levels(name)}"
        for name, words in (("english", "generated English"), ("code", "Python's sources"))
    ]
    published = "Published: in BERT, parts of speech come before constituents, roles and coreference [^tenney]"
    return f"expected layers: {'. '.join(told)}. {published}"


def _rows(name: str) -> list[Row]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def _levels(name: str) -> str:
    from benchmarks.features import sentence

    return sentence(name, _rows("features"))


def _seeds(name: str) -> str:
    seeds = next(row["seeds"] for row in _rows("features") if row["network"] == name)
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def _synonyms() -> str:
    from benchmarks.synonyms import sentence

    return sentence(_rows("synonyms"))


def _digits() -> str:
    import fathometer as fm
    from fathometer.data import digits
    from fathometer.records import Asked

    deep = fm.train("residual-50", Asked(steps=STEPS), progress=_silent).model
    sick = fm.build("tanh-50")
    ends = [fm.probe(model, digits()).accuracy for model in (deep, sick)]
    return (
        f"On digits a linear probe reads {ends[0][0]:.0%} from the pixels, {ends[0][-1]:.0%} from block 50 of a trained "
        f"residual network, and {ends[1][-1]:.0%} from layer 50 of an untrained tanh network"
    )


def _silent(step: int, total: int, loss: float) -> None:
    """Draw no bar."""


# fmt: off
ROWS: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("One hidden layer can approximate anything, inefficiently",
     "`fathometer study power-of-depth`, `fathometer study depth-or-width`",
     lambda: f"a sawtooth [^telgarsky]: {_study('power-of-depth')} {_study('depth-or-width')}"),
    ("1 layer", "`fathometer preflight shallow-1`", _judged_and_trained("shallow-1")),
    ("5 layers", "`fathometer preflight mlp-5`", _judged_and_trained("mlp-5")),
    ("50 layers", "`fathometer preflight residual-50`, `fathometer preflight resnet-50@image_size=64`",
     lambda: f"{_judged_and_trained('residual-50')()}. ResNet-50, {_size('resnet-50')}: {_verdict('resnet-50@image_size=64')}"),
    ("96 layers", "`fathometer preflight pre-norm-96`, `fathometer preflight gpt3-175b`",
     lambda: f"{_judged_and_trained('pre-norm-96')()}. GPT-3's 96 blocks, {_size('gpt3-175b')}: {_full_size('gpt3-175b')}; "
     f"128 wide: {_verdict('gpt3-175b@width=128,vocabulary=1000')}"),
    ("Features are hierarchical, in vision", "`fathometer look scenes`, `fathometer demo`", _vision),
    ("Features are hierarchical, in language", "`fathometer look english`, `fathometer look code`", _language),
    ("The gradient vanishes with depth", "`fathometer preflight tanh-50`", _judged_and_trained("tanh-50")),
    ("The gradient explodes with depth", '`fathometer preflight "tanh-50@init=lecun,gain=2.5"`',
     _judged_and_trained("tanh-50@init=lecun,gain=2.5")),
    ("Deeper plain networks train worse (degradation)", "`fathometer study degradation`",
     lambda: f"{_study('degradation')} Published, ImageNet top-1 error: 27.94% with 18 plain layers, 28.54% with 34; "
     "25.03% with 34 residual ones [^he]"),
    ("ReLU needs an initialisation of its own", "`fathometer preflight relu-50@depth=20`, `fathometer preflight he-50@depth=20`",
     _versus("relu-50@depth=20", "he-50@depth=20")),
    ("output = input + f(input) keeps the gradient alive", "`fathometer preflight residual-1000`", _signal("residual-1000")),
    ("Normalise first: the pre-norm block", '`fathometer preflight "pre-norm-96@residual=post-norm"`',
     lambda: f"{_versus('pre-norm-96', 'pre-norm-96@residual=post-norm')()}. The transformer block itself, 96 deep and 128 wide: "
     f"pre-norm {_verdict('gpt3-175b@width=128,vocabulary=1000')}, "
     f"post-norm {_verdict('gpt3-175b@width=128,vocabulary=1000,residual=post-norm')}"),
    ("Clipping tames an exploding gradient", "`fathometer study clipping`", lambda: _study("clipping")),
    ("Depth + width + data + compute is the recipe",
     "`fathometer plan --flops 5.88e23`, `fathometer study scaling`, `fathometer study transfer`",
     lambda: f"{_plan()}. Measured here: {_study('scaling')} {_study('transfer')}"),
    ("All of it at once, on real data", "`fathometer demo`", _demo),
)
# fmt: on
