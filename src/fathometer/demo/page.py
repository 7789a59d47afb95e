"""The story as one page and as one picture."""

import altair as alt

from fathometer.demo.story import Story
from fathometer.diagnosis.pages import FOOTER, figures_of, preflight_sections, training_figure, tried_of
from fathometer.figures import depth_chart, loss_chart, probe_chart
from fathometer.report import Charts, Code, Figure, Page, Prose, Remedies, Section


def story_page(story: Story) -> Page:
    """Return the report of the demo."""
    before, after = (record.held_out_accuracy for record in (story.long_before, story.long_after))
    intro = (
        "Fifty tanh layers, 64 units wide, as `torch.nn.Linear` starts them by itself, are asked to read handwritten digits. "
        "Before a single step of training they were sounded: one batch down, and the echo of the gradient back up.",
    )
    sections: list[Section] = [Prose("A network that cannot learn", intro), *preflight_sections(story.check)]
    sections.append(_truth(story, before))
    sections += _mending(story)
    sections.append(_learned(story, after))
    subtitle = "Fifty layers that cannot learn, why, and the smallest change that mends them"
    return Page("The depth of fifty layers", subtitle, tuple(sections), FOOTER, ("schoenholz2017", "alain2016"))


def story_figure(story: Story) -> alt.TopLevelMixin:
    """Return the picture for the README: gradient by depth before and after, and both training curves."""
    return alt.hconcat(_gradient_chart(story), _long_chart(story)).resolve_scale(color="independent")


def _truth(story: Story, accuracy: float | None) -> Section:
    trial = story.fix.trial_before
    rates = ", ".join(f"{rate:g}" for rate, _ in trial.sweep)
    words = (
        f"The verdict was checked. At the learning rates {rates} the network was trained for {trial.records[0].asked.steps} steps, and "
        f"at the best of them with {len(trial.records)} seeds: the held-out loss ended at {trial.middle_loss:.3f}. The best guess that "
        f"never looks at the image has {trial.blind_loss:.3f}.",
        f"A longer run of {story.long_before.asked.steps:,} steps reads {_percent(accuracy)} of the test digits; guessing reads "
        f"{story.probes_before.chance:.1%}.",
    )
    return Prose("It does stay at chance", words)


def _mending(story: Story) -> list[Section]:
    fix = story.fix
    tried = tuple(tried_of(fix, attempt) for attempt in fix.tried)
    words = "From least to most invasive, on copies. The first whose profile is healthy and which then trains is kept."
    sections: list[Section] = [Remedies("What was tried", tried, words)]
    if fix.proved is not None and fix.proved.after is not None:
        pair = [("as it was", fix.before.profile), ("mended", fix.proved.after.profile)]
        charts = (*figures_of(pair, fix.proved.after.forecast), training_figure(fix))
        sections.append(Charts("Before and after", charts, "The band is theory's forecast for the mended network."))
        sections.append(Code("The remedy, to paste", fix.code, "This is the code that ran. It needs torch alone."))
    return sections


def _learned(story: Story, accuracy: float | None) -> Section:
    words = f"After {story.long_after.asked.steps:,} steps the mended network reads {_percent(accuracy)} of the test digits."
    probes = probe_chart(_probed(story), story.probes_after.chance, blocks=story.probes_after.points, first=0)
    see = "A linear probe on every fifth layer. Where the line falls to guessing, the digit can no longer be read from the layer."
    long_run = Figure(_long_chart(story), "The long run", "Loss on the training digits.")
    return Charts("What it learned", (long_run, Figure(probes, "What each layer knows", see)), words)


def _probed(story: Story) -> list[tuple[str, tuple[float, ...]]]:
    return [("as it was", story.probes_before.accuracy), ("mended", story.probes_after.accuracy)]


def _gradient_chart(story: Story) -> alt.TopLevelMixin:
    measured = [("as it was", story.fix.before.profile)]
    if story.fix.proved is not None and story.fix.proved.after is not None:
        measured.append(("mended", story.fix.proved.after.profile))
    return depth_chart("gradient", measured, story.check.forecast)


def _long_chart(story: Story) -> alt.TopLevelMixin:
    runs = [("as it was", [story.long_before.losses]), ("mended", [story.long_after.losses])]
    return loss_chart(runs, reference=story.fix.trial_before.blind_loss)


def _percent(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.1%}"
