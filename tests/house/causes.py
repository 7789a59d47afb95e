"""Write the pages that explain each cause: what was measured, and when to doubt it."""

import ast
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fathometer.diagnosis import Preflight, preflight
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.preflight import case_of
from fathometer.diagnosis.remedies import Candidate, propose
from fathometer.diagnosis.words import preflight_lines
from fathometer.figures import depth_chart, spec
from fathometer.figures.save import vl_convert
from fathometer.finding import CAUSES, CITATIONS, Finding

PAGES = Path(__file__).parents[2] / "docs" / "causes"


@dataclass(frozen=True)
class Look:
    """What only a person can say of a cause: the column to draw, what it shows, which remedy the twin is, what is not seen."""

    column: str
    shows: str
    twin: str | None
    unseen: str


CRITICAL, STREAM = "initialise_orthogonal", "add_residual"
LOOKS: dict[str, Look] = {
    "non_finite": Look(
        "signal",
        "Both lines are one: nothing is wrong with the layers in front of the logarithm.",
        None,
        "An overflow that comes after some hundred steps, or on another batch, is not seen.",
    ),
    "vanishing_gradient": Look(
        "gradient",
        "It falls by the same factor in every layer, so on this axis in a straight line.",
        CRITICAL,
        "What happens to the gradient after the first steps is not seen.",
    ),
    "exploding_gradient": Look(
        "gradient",
        "It grows by the same factor in every layer on its way back, which is from right to left.",
        CRITICAL,
        "Whether you clip the gradient is not seen: a clipped step is bounded, but its direction is that of the first layers.",
    ),
    "vanishing_signal": Look(
        "signal",
        "Each layer passes on a sixteenth of the mean square that it receives.",
        "initialise",
        "A signal that shrinks in a few units only is averaged away.",
    ),
    "exploding_signal": Look(
        "signal",
        "Each layer multiplies the mean square sixteen times.",
        "initialise",
        "Whether half precision overflows is seen only if the model is given in half precision.",
    ),
    "dead_units": Look(
        "dead",
        "After the first layers no unit answers to any sample.",
        "initialise",
        "Units that die later, from a step that is too large, are not seen. Behind `x.clamp(min=0)` they are not counted: there "
        "the same fault shows as a signal that vanishes.",
    ),
    "saturation": Look(
        "saturated",
        "Most of the inputs of tanh lie where it is flat.",
        "initialise",
        "An activation that is written by hand, from exp or clamp, is not known to saturate.",
    ),
    "correlation_collapse": Look(
        "spread",
        "What tells two samples apart shrinks from layer to layer; on the stream the input stays in sight.",
        STREAM,
        "It is an average over pairs: one pair of samples that become one is not seen.",
    ),
    "rank_collapse": Look(
        "rank",
        "The number of directions falls until little more than one is left.",
        STREAM,
        "A batch of N samples differs in N - 1 directions at most, so a small one cannot show much.",
    ),
    "token_rank_collapse": Look(
        "token_spread",
        "Attention averages over the tokens, so each layer makes them more alike; the stream keeps what was there.",
        STREAM,
        "A collapse that depends on longer sequences than those of the batch is not seen.",
    ),
    "attention_entropy_collapse": Look(
        "attention_entropy",
        "At 1 a head looks at all keys alike, at 0 at a single one.",
        "shrink_queries",
        "Attention that is written in a kernel of its own, without torch's softmax or its fused call, is not seen.",
    ),
    "attention_logit_growth": Look(
        "attention_logits",
        "Queries and keys both count, so a factor of 300 in their weights is one of 90,000 in the logits.",
        "shrink_queries",
        "How logits grow in training is not seen, only how they start; that growth is the usual trouble in large models.",
    ),
    "residual_branch_imbalance": Look(
        "signal",
        "Each branch is larger than its stream, so the stream doubles and doubles.",
        "scale_branches",
        "A single strong branch among many is not named by this rule: the middle one decides.",
    ),
    "post_norm_imbalance": Look(
        "rank",
        "A norm on the stream makes each block forget a part of what came before, so the samples become alike.",
        "put_norm_first",
        "A warm-up of some thousand steps is not seen, and may well carry the network over its start.",
    ),
    "batchnorm_explosion": Look(
        "gradient",
        "It grows by the same factor in every layer on its way back, though the signal is held at 1.",
        STREAM,
        "In evaluation mode BatchNorm is another function: it is measured as it trains, on this batch.",
    ),
    "shattered_gradients": Look(
        "gradient",
        "No column along depth decides: the finding is a number between samples. "
        "What shatters gradients makes them explode as well, and that is drawn.",
        CRITICAL,
        "It is looked for only with `thorough=True`, and along a few lines between samples.",
    ),
    "softmax_before_loss": Look(
        "gradient",
        "No column along depth shows it, and both lines lie close together or are one: the fault is in the outputs alone.",
        "remove_softmax",
        "A softmax inside of a loss function of your own is not seen, nor are probabilities that do not sum to 1.",
    ),
    "initial_loss": Look(
        "gradient",
        "No column along depth shows it: the gradient is relative to the last block, so both lines are one. "
        "The fault is in the outputs alone.",
        "shrink_readout",
        "Of a loss that is neither cross-entropy nor squared error the fair guess is not known, and nothing is said.",
    ),
    "update_size": Look(
        "update",
        "One step writes over the weights of every layer; about 0.001 is usual.",
        "change_rate",
        "It is the first step alone: what a schedule does later is not seen, and without `optimizer=` nothing is.",
    ),
    "curvature": Look(
        "update",
        "The steps are of a bearable size for the weights: no column along depth shows that the loss runs away.",
        "change_rate",
        "It is looked for only where the first step looks odd or with `thorough=True`, and never without `optimizer=`.",
    ),
    "unused_parameters": Look(
        "gradient",
        "In front of the cut there is no gradient, so there is nothing to draw for the faulty network.",
        "remove_detach",
        "Parameters that other batches reach (an expert, a rare branch) look unused on this one.",
    ),
    "frozen_parameters": Look(
        "weight_gradient",
        "Frozen weights get no gradient, so there is nothing to draw for the faulty network.",
        "unfreeze",
        "Whether frozen weights were trained before is not seen: random ones and good ones look alike.",
    ),
}
BESIDES = ("shattered_gradients",)  # named after the explosion that comes with it
CHANGES_TRAINING = "changes the training, not the network"


@dataclass(frozen=True)
class Evidence:
    """One experiment as it ran: its source, both answers, and the candidates with what came of each."""

    source: str
    faulty: Preflight
    healthy: Preflight
    finding: Finding
    remedies: tuple[tuple[Candidate, str], ...]


def run(path: Path) -> dict[str, Any]:
    """Return the names that an experiment leaves behind."""
    return runpy.run_path(str(path))


def both(found: Mapping[str, Any]) -> tuple[Preflight, Preflight]:
    """Return the two answers of an experiment, each under its name."""
    return found["faulty"].named("faulty"), found["healthy"].named("healthy")


def gather(cause: str) -> Evidence:
    """Run the experiment of a cause, and apply to copies of its network each remedy that fits and is named."""
    path = PAGES / f"{cause}.py"
    found = run(path)
    faulty, healthy = both(found)
    finding = next(finding for finding in faulty.findings if finding.cause == cause)
    case = case_of(found["model"], found.get("batch"))
    candidates = propose(case, examine(case, optimizer=found.get("optimizer")))
    again = partial(preflight, batch=case.batch, thorough=cause == "shattered_gradients" or None)
    meant = [candidate for candidate in candidates if candidate.remedy.name in (*finding.remedies, LOOKS[cause].twin)]
    kept = tuple((candidate, outcome(candidate, case, again)) for candidate in meant)
    return Evidence(path.read_text(encoding="utf-8"), faulty, healthy, finding, kept)


def outcome(candidate: Candidate, case: Any, again: Any) -> str:
    """Return the verdict after a remedy, or why there is none."""
    if candidate.remedy.is_advice:
        return "in words, not measured"
    if candidate.training or candidate.rates:
        return CHANGES_TRAINING
    return again(candidate.apply(case, case.seed)).verdict


def page(cause: str, evidence: Evidence) -> str:
    """Return the page of a cause as Markdown."""
    words, look = CAUSES[cause], LOOKS[cause]
    parts = [
        f"# {words.title}",
        f"`{cause}`: {words.consequence}",
        "## The evidence",
        ast.get_docstring(ast.parse(evidence.source)) or "",
        f"```python\n{evidence.source.strip()}\n```",
        "What preflight says of both:",
        f"```text\n{told(evidence.faulty)}\n\n{told(evidence.healthy)}\n```",
        "## The picture",
        f"![{look.column} along depth, faulty and healthy]({cause}.svg)",
        look.shows,
        "## The fix",
        *fix(evidence, look),
        "## When not to believe it",
        f"{words.doubt}\n\n{look.unseen}",
        f'`fm.preflight(model, batch, ignore="{cause}")` silences it.',
        "## The papers",
        f"Of the finding:\n\n{papers(words.citations)}",
        f"Of the remedies:\n\n{papers([key for row in evidence.remedies for key in row[0].remedy.citations])}",
        f"Written by `make causes` from [{cause}.py]({cause}.py). [All causes](README.md)",
    ]
    return "\n\n".join(parts) + "\n"


def told(check: Preflight) -> str:
    """Return the verdict and the findings as preflight says them, without the profile between them."""
    first, *rest = preflight_lines(check)
    begin = next((i for i, line in enumerate(rest) if line.split(":")[0] in ("will not train", "at risk", "note")), len(rest))
    count = 3 * len(check.findings) - 1
    return "\n".join([first, *rest[begin : begin + max(count, 0)]])


def fix(evidence: Evidence, look: Look) -> list[str]:
    """Return what mends it: the table of remedies, the call, and what the twin is."""
    if not evidence.remedies:
        return ["No remedy fits every network: change the operation that preflight names, as the twin does."]
    rows = [f"| {c.remedy.title} | {c.remedy.why} | {after} |" for c, after in evidence.remedies]
    table = "\n".join(["| remedy | what it does | preflight afterwards |", "|---|---|---|", *rows])
    best = next((c.remedy for c, after in evidence.remedies if after == "healthy"), None)
    call = (
        [f"The first that leaves it healthy, as the code of `mend` calls it:\n\n```text\n{last_line(best.code)}\n```"]
        if best
        else []
    )
    return [table, *call, command(evidence), twin(evidence, look)]


def command(evidence: Evidence) -> str:
    """Return how `mend` is called; what is wrong with an optimizer's steps it sees only where it is given that optimizer."""
    needs_optimizer = any(candidate.rates for candidate, _ in evidence.remedies)
    given, preset = (", optimizer=optimizer", "") if needs_optimizer else ("", " For a preset: `fathometer mend NAME`.")
    return (
        f"`fm.mend(model, batch{given})` tries them on copies from the least to the most invasive, trains those that look "
        "healthy first, and returns the first that learns nearly all there is, or else the least invasive of the proved ones "
        f"that come near the best, with its whole code to paste.{preset}"
    )


def twin(evidence: Evidence, look: Look) -> str:
    """Return what the twin is: one of the remedies, or one that `mend` cannot write for this network."""
    title = next((c.remedy.title for c, _ in evidence.remedies if c.remedy.name == look.twin), None)
    if title is None:
        return f"The twin is `{look.twin}`, done by hand: for the way this network is written `mend` has no code for it."
    return f"The twin above is this fix by hand: “{title}”."


def last_line(code: str) -> str:
    """Return the call that a remedy's code ends with."""
    return code.rstrip().rpartition("\n")[2]


def papers(keys: Sequence[str]) -> str:
    """Return the papers as a list, each once."""
    found = [f"- {CITATIONS[key]}" for key in dict.fromkeys(keys)]
    return "\n".join(found) if found else "- None is needed."


def index() -> str:
    """Return the page that lists all causes."""
    rows = [f"| [`{cause}`]({cause}.md) | {words.title} | {words.consequence} |" for cause, words in CAUSES.items()]
    return "\n\n".join(
        (
            "# Why did it say this?",
            "One page for each cause that preflight can name: the smallest network that shows it beside a healthy twin, both "
            "measured when the page was written; the column to look at; what mends it; when not to believe it; the papers.",
            "\n".join(["| cause | title | what follows |", "|---|---|---|", *rows]),
            "## When to believe none of it",
            "- Preflight looks at the start, on one batch. What comes later (a schedule, an overflow after a thousand steps, "
            "a batch of another kind) is not seen.\n"
            "- It asks whether a network can learn, not whether there is something to learn: shuffled labels look healthy.\n"
            "- Few samples say little: of one, or of a few through BatchNorm, the verdict is \"unknown\" at best.\n"
            "- A network that was trained before is judged as if it were to be trained from here.\n"
            "- The limits were set on small networks that were trained to tell: see JOURNAL.md.",
            "The experiments are plain scripts: `python docs/causes/vanishing_gradient.py` runs one. `make causes` runs all "
            "and writes these pages anew.",
        )
    ) + "\n"  # fmt: skip


def picture(cause: str, evidence: Evidence) -> str:
    """Return the deciding column of both networks as a small SVG."""
    checks = (evidence.faulty, evidence.healthy)
    chart = depth_chart(LOOKS[cause].column, [(check.network, check.profile) for check in checks])
    return lean(vl_convert().vegalite_to_svg(spec(chart)))


def lean(svg: str) -> str:
    """Return an SVG without what no picture needs: a label for each dot, its font again and again, the digits of a millionth."""
    svg = re.sub(r'(<(?:path|line)) aria-label="[^"]*" role="[^"]*" aria-roledescription="[^"]*"', r"\1", svg)
    svg = re.sub(r'<path (?:class="background" )?aria-hidden="true" d="(?:M0,0h0v0h0Z)?"[^>]*/>', "", svg)
    fonts = re.findall(r' font-family="[^"]*"', svg)
    if fonts:
        svg = svg.replace(fonts[0], "").replace("<svg ", f"<svg{fonts[0]} ", 1)
    return re.sub(r"\d+\.\d{2,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), svg) + "\n"


def write(cause: str) -> None:
    """Write the page and the picture of a cause."""
    evidence = gather(cause)
    (PAGES / f"{cause}.md").write_text(page(cause, evidence), encoding="utf-8")
    (PAGES / f"{cause}.svg").write_text(picture(cause, evidence), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CAUSES:
        print(name, flush=True)
        write(name)
    (PAGES / "README.md").write_text(index(), encoding="utf-8")
