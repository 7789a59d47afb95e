"""All rules by cause; what they find, in order; and the verdict."""

from collections.abc import Callable
from dataclasses import replace

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.rules.along_depth import ALONG_DEPTH
from fathometer.diagnosis.rules.apart import OF_SAMPLES
from fathometer.diagnosis.rules.in_blocks import IN_BLOCKS
from fathometer.diagnosis.rules.parameters import OF_PARAMETERS
from fathometer.diagnosis.rules.start import AT_THE_START, initial_loss
from fathometer.diagnosis.rules.steps import OF_STEPS
from fathometer.finding import Finding, Verdict, decide
from fathometer.finding.finding import SEVERITIES

Rule = Callable[[Evidence], Finding | None]

# Roots before consequences: among findings of one severity the first here is named first.
RULES: dict[str, Rule] = {
    **AT_THE_START,
    **OF_PARAMETERS,
    **IN_BLOCKS,
    **ALONG_DEPTH,
    "initial_loss": initial_loss,
    **OF_SAMPLES,
    **OF_STEPS,
}
BY_DEPTH = {*IN_BLOCKS, *ALONG_DEPTH, "initial_loss", *OF_SAMPLES}  # what a BatchNorm over a few samples makes up
OVERFLOWS = ("exploding_signal", "residual_branch_imbalance")  # why a number may have become infinite
MOST_FINDINGS = 3  # above a note; what comes after the third is a consequence of the first


def judge(evidence: Evidence, ignore: tuple[str, ...] = ()) -> list[Finding]:
    """Return the findings of all rules but the ignored ones, the worst first, roots before consequences."""
    evidence = replace(evidence, ignored=(*evidence.ignored, *ignore))
    silent = {*ignore, *(BY_DEPTH if evidence.batch_norm_is_blind else ())}
    found = [finding for cause, rule in RULES.items() if cause not in silent and (finding := rule(evidence)) is not None]
    found = [finding for finding in found if finding.cause not in ignore]
    found = list({finding.cause: finding for finding in reversed(found)}.values())[::-1]  # each cause once, where it came first
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    grave = [finding for finding in found if finding.severity != "note"]
    if grave and _stops_all(grave[0]):
        grave = [finding for finding in grave if finding is grave[0] or finding.cause in OVERFLOWS]
    return [*grave[:MOST_FINDINGS], *(finding for finding in found if finding.severity == "note")]


def _stops_all(finding: Finding) -> bool:
    """Return whether nothing passes: whatever else is measured follows from it."""
    all_dead = finding.cause == "dead_units" and finding.number >= 1 and finding.severity == "will not train"
    return finding.cause == "non_finite" or all_dead


def enough_is_known(evidence: Evidence) -> bool:
    """Return whether "healthy" may be said: signal, spread and gradient are known, and BatchNorm saw more than a few samples."""
    if evidence.depth > 1 and (evidence.decades("signal") is None or evidence.last("spread") is None):
        return False
    return evidence.last("gradient") is not None and not evidence.batch_norm_is_blind


def verdict_of(findings: list[Finding], evidence: Evidence) -> Verdict:
    """Return the verdict that follows from the findings and from what is known."""
    return decide(findings, known=enough_is_known(evidence))
