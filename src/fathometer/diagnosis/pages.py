"""Results as pages: which section says what, in which order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.words import evidence_sentence, layer_rows, trial_words, worth_showing
from fathometer.figures import depth_chart, loss_chart
from fathometer.report import Banner, Charts, Figure, Findings, Page, Prose, Remedies, Section, Table, Tried

if TYPE_CHECKING:
    from fathometer.diagnosis.fix import Attempt, Fix
    from fathometer.diagnosis.preflight import Preflight

SEE = {
    "signal": "Level is good. A slope is a factor per block.",
    "gradient": "Read from right to left: the gradient comes back from the last block.",
    "correlation": "1 means that every input has become the same vector.",
    "rank": "In how many directions the samples still differ.",
    "dead": "Units that are 0 for every sample.",
    "saturated": "Activations that sit where they are flat.",
}
DRAWN = ("gradient", "signal", "correlation", "rank", "dead", "saturated")


def preflight_page(check: "Preflight") -> Page:
    """Return the page of a preflight: verdict, findings, charts along depth, the numbers."""
    return Page(
        f"Preflight of {check.network}",
        "Will it train? Measured before training",
        tuple(preflight_sections(check)),
    )


def preflight_sections(check: "Preflight") -> list[Section]:
    """Return the sections of a preflight."""
    sections: list[Section] = [Banner(check.verdict, check.sentence, profile_facts(check.profile))]
    sections.append(Findings("What was found", check.findings))
    sections.append(Charts("Along depth", figures_of([("measured", check.profile)], check.forecast), _forecast_words(check)))
    if check.notes:
        sections.append(Prose("Good to know", check.notes))
    header, *rows = layer_rows(check.profile)
    sections.append(Table("The numbers", header, rows, "The first block, the last, and some between."))
    return sections


def fix_page(fix: "Fix") -> Page:
    """Return the page of a fix: the proof, profiles before and after, both runs, what was tried, the code."""
    return Page(f"Mending {fix.before.network}", "The smallest remedy that is proved to work", tuple(fix_sections(fix)))


def fix_sections(fix: "Fix") -> list[Section]:
    """Return the sections of a fix."""
    sections: list[Section] = [Banner(fix.before.verdict, fix.before.sentence, profile_facts(fix.before.profile))]
    sections += [Findings("What was found", fix.before.findings), Prose("The proof", (evidence_sentence(fix),))]
    return [*sections, *mending_sections(fix)]


def mending_sections(fix: "Fix") -> list[Section]:
    """Return what was tried with the code to paste, and the profiles and runs before and after."""
    tried = [attempt for attempt in fix.tried if attempt.outcome != "not tried"]
    rest = [attempt.remedy.title for attempt in fix.tried if attempt.outcome == "not tried"]
    words = (
        "From least to most invasive, on copies. Kept is the first that learns nearly all there is, or else the least invasive "
        "near the best."
    )
    tail = f" Not needed, and not tried: {'; '.join(rest)}." if rest else ""
    sections: list[Section] = []
    if tried:
        sections.append(Remedies("What was tried", tuple(tried_of(fix, attempt) for attempt in tried), words + tail))
    if fix.proved is not None and fix.proved.after is not None:
        pair = [("as it was", fix.before.profile), ("mended", fix.proved.after.profile)]
        forecast = fix.proved.after.forecast
        words = "" if forecast is None else "The band is theory's forecast for the mended network."
        sections.append(Charts("Before and after", (*figures_of(pair, forecast), training_figure(fix)), words))
    return sections


def figures_of(measured: Sequence[tuple[str, DepthProfile]], forecast: DepthProfile | None) -> tuple[Figure, ...]:
    """Return one figure for each column that is known, the gradient first."""
    shown = [name for name in DRAWN if any(worth_showing(profile, name) for _, profile in measured)]
    return tuple(Figure(depth_chart(name, measured, forecast), name.capitalize(), SEE[name]) for name in shown)


def training_figure(fix: "Fix") -> Figure:
    """Return the loss curves of the short runs before and after."""
    runs = [("as it was", [record.losses for record in fix.trial_before.records])]
    if fix.proved is not None and fix.proved.trial is not None:
        runs.append(("mended", [record.losses for record in fix.proved.trial.records]))
    chart = loss_chart(runs, reference=fix.trial_before.blind_loss)
    return Figure(chart, "Short training runs", "Each at the best of the learning rates that were tried.", wide=True)


def tried_of(fix: "Fix", attempt: "Attempt") -> Tried:
    """Return the row of one attempt."""
    trained = attempt.why if attempt.trial is None else f"{attempt.why} {trial_words(attempt.trial)}"
    after = None if attempt.after is None else attempt.after.verdict
    return Tried(attempt.remedy, attempt.outcome, fix.before.verdict, after, trained)


def profile_facts(profile: DepthProfile) -> tuple[tuple[str, str], ...]:
    """Return the facts under a verdict: depth points, parameters, batch."""
    facts = [("depth points", f"{len(profile):,}")]
    for name, label in (("num_parameters", "parameters"), ("batch_size", "samples in the batch")):
        value = profile.facts.get(name)
        if isinstance(value, int | float):
            facts.append((label, f"{value:,.0f}"))
    return tuple(facts)


def _forecast_words(check: "Preflight") -> str:
    if check.forecast is None:
        return "No forecast: theory does not reach this network yet."
    return "The band is where theory expects one network of this width; the dots are what was measured."
