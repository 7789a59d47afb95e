"""Results as plain text: verdict, layers with sparklines, what to do."""

from collections.abc import Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from fathometer.diagnosis.evidence import has_stream
from fathometer.text import number_text, sparkline

if TYPE_CHECKING:
    from fathometer.depth_profile import DepthProfile
    from fathometer.diagnosis.fix import Fix
    from fathometer.diagnosis.preflight import Preflight
    from fathometer.diagnosis.trial import Trial

SHOWN = ("signal", "correlation", "rank", "gradient", "dead", "saturated", "branch_ratio", "update")
LOG = ("signal", "gradient", "update")
MOST_ROWS = 12
STANDING = {
    "healthy": "whose profile is healthy, but which did not train",
    "at risk": "which is at risk",
    "will not train": "which will not train",
    "unknown": "of which too little is known",
}


def preflight_text(check: "Preflight") -> str:
    """Return a preflight as one text."""
    return "\n".join(preflight_lines(check))


def preflight_lines(check: "Preflight") -> list[str]:
    """Return the verdict with its number, the profile by column, every finding with its consequence, and the notes."""
    lines = [f"{check.network}: {check.verdict.upper()}. {check.sentence}", "", *_profile_lines(check.profile, check.forecast)]
    for finding in check.findings:
        lines += ["", f"{finding.severity}: {finding.cause}. {finding.title}.", f"  {finding.sentence} {finding.consequence}"]
    if check.forecast is None:
        lines += ["", "No forecast: theory does not reach this network."]
    return [*lines, *([""] if check.notes else []), *(f"note: {note}" for note in check.notes)]


def layer_rows(profile: "DepthProfile") -> list[tuple[str, ...]]:
    """Return one row of texts for each depth point (first, last and evenly between), for the columns that are known."""
    columns = [name for name in SHOWN if worth_showing(profile, name)]
    count = len(profile)
    step = max(1, -(-(count - 1) // (MOST_ROWS - 1)))
    chosen = sorted({*range(0, count, step), count - 1})
    header = ("depth", "layer", *columns)
    return [header, *((str(i + 1), profile.points[i], *(_cell(profile.column(c)[i]) for c in columns)) for i in chosen)]


def worth_showing(profile: "DepthProfile", name: str) -> bool:
    """Return whether a column says something: it is known; shares are not all 0; a branch has a stream to add to."""
    known = profile.known(name)
    if name in ("dead", "saturated"):
        return any(value > 0.01 for _, value in known)
    return bool(known) and (name != "branch_ratio" or has_stream(profile))


def _profile_lines(profile: "DepthProfile", forecast: "DepthProfile | None") -> list[str]:
    lines = []
    for name in SHOWN:
        known = profile.known(name)
        if worth_showing(profile, name):
            line = sparkline(profile.column(name), log=name in LOG)
            ends = f"{number_text(known[0][1])} → {number_text(known[-1][1])}"
            theory = [] if forecast is None else forecast.known(name)
            tail = f"   theory {number_text(theory[0][1])} → {number_text(theory[-1][1])}" if theory else ""
            lines.append(f"{name:>13}  {line:<24}  {ends}{tail}")
    return [f"{'by depth':>13}  1 … {len(profile)}", *lines]


def fix_text(fix: "Fix") -> str:
    """Return the proof in one sentence, what was tried, and the code to paste."""
    lines = [fix.evidence, "", *fix_lines(fix)]
    if fix.code:
        lines += ["", "The code to paste:", "", indent(fix.code, "    ")]
    return "\n".join(lines)


def fix_lines(fix: "Fix") -> list[str]:
    """Return one line for each attempt: what came of it, the remedy, why."""
    return [f"[{attempt.outcome}] {attempt.remedy.title}: {attempt.why}" for attempt in fix.tried]


def evidence_sentence(fix: "Fix") -> str:
    """Return what was proved, with the numbers before and after."""
    before = trial_words(fix.trial_before)
    if not fix.needed:
        network, verdict = fix.before.network, fix.before.verdict
        if not fix.tried:
            return f"Nothing to mend: {network} is {verdict} and trains ({before})."
        return f"{network} trains as it is ({before}), though preflight said: {verdict}. No remedy does better."
    proved = fix.proved
    if proved is None or proved.trial is None:
        return (
            f"No remedy was proved to work on {fix.before.network}, {STANDING[fix.before.verdict]} ({before}).{_no_lesson(fix)}"
        )
    return f"“{proved.remedy.title}” mends {fix.before.network}. Before: {before}. After: {trial_words(proved.trial)}."


def _no_lesson(fix: "Fix") -> str:
    """Return a hint where nothing is wrong with the network, and still nothing is learnt from these data."""
    if fix.before.verdict != "healthy":
        return ""
    return " Do the targets follow from the inputs, and are these steps enough? A shuffled or constant label cannot be learnt."


def trial_words(trial: "Trial") -> str:
    """Return what the short runs showed: the middle held-out loss, the accuracy, and the blind predictor's loss."""
    losses, accuracy = trial.losses, trial.middle_accuracy
    text = f"held-out loss {number_text(trial.middle_loss)}{_range(losses)}, blind {number_text(trial.blind_loss)}"
    return text + ("" if accuracy is None else f", accuracy {accuracy:.1%}")


def why_proved(after: "Preflight") -> str:
    """Return why a remedy is the one, with the profile after it."""
    if after.verdict not in ("will not train", "at risk"):
        return "Its profile is healthy, and every seed trains."
    return f"Every seed trains, and after no other remedy better, though its profile is still {after.verdict}."


def beside_the_proved(loss: float, best: float | None) -> str:
    """Return how a remedy that trains stands beside the one proved, with the losses of both over as many seeds."""
    end = "those that promised more were not proved"
    if best is not None:
        end = f"the one proved reaches {best:.3g}{', and is no more invasive' if best >= loss else ''}"
    return f"It trains, to a held-out loss of {loss:.3g}; {end}."


def _range(losses: Sequence[float]) -> str:
    return f" ({number_text(min(losses))} to {number_text(max(losses))} over {len(losses)} seeds)" if len(losses) > 1 else ""


def _cell(value: float | None) -> str:
    return "–" if value is None else number_text(value)
