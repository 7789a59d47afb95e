"""The story as one page and as one picture."""

import altair as alt

from fathometer.demo.story import Story
from fathometer.diagnosis.pages import mending_sections, preflight_sections
from fathometer.figures import beside, depth_chart, loss_chart, probe_chart
from fathometer.report import Charts, Figure, Page, Prose, Section


def story_page(story: Story) -> Page:
    """Return the report of the demo."""
    intro = (
        "Fifty tanh layers, 64 units wide, as `torch.nn.Linear` starts them by itself, are asked to read handwritten digits. "
        "Before a single step of training they were sounded: one batch down, and the echo of the gradient back up.",
    )
    sections: list[Section] = [Prose("A network that cannot learn", intro), *preflight_sections(story.check)]
    sections += [_truth(story), *mending_sections(story.fix), _learned(story)]
    subtitle = "Fifty layers that cannot learn, why, and the smallest change that mends them"
    return Page("The depth of fifty layers", subtitle, tuple(sections), citations=("schoenholz2017", "alain2016"))


def story_figure(story: Story) -> alt.TopLevelMixin:
    """Return the picture for the README: the gradient by depth before and after, and the long runs."""
    measured = [("as it was", story.fix.before.profile)]
    if story.fix.proved is not None and story.fix.proved.after is not None:
        measured.append(("mended", story.fix.proved.after.profile))
    return beside(depth_chart("gradient", measured, story.check.forecast), _long_chart(story))


def _truth(story: Story) -> Section:
    trial, accuracy = story.fix.trial_before, story.long_before.held_out_accuracy
    rates = ", ".join(f"{rate:g}" for rate, _ in trial.sweep)
    words = (
        f"The verdict was checked. At the learning rates {rates} the network was trained for {trial.records[0].asked.steps} "
        f"steps, and at the best of them with {len(trial.records)} seeds: the held-out loss ended at {trial.middle_loss:.3f}. "
        f"The best guess that never looks at the image has {trial.blind_loss:.3f}.",
        f"A longer run of {story.long_before.asked.steps:,} steps reads {_percent(accuracy)} of the test digits; guessing reads "
        f"{story.probes_before.chance:.1%}.",
    )
    return Prose("It does stay at chance", words)


def _learned(story: Story) -> Section:
    accuracy = _percent(story.long_after.held_out_accuracy)
    words = f"After {story.long_after.asked.steps:,} steps the mended network reads {accuracy} of the test digits."
    probed = [("as it was", story.probes_before.accuracy), ("mended", story.probes_after.accuracy)]
    probes = probe_chart(probed, story.probes_after.chance, blocks=story.probes_after.points, first=0)
    see = "Where the line falls to guessing, the digit can no longer be read from the layer. Depth 0 is the image itself."
    long_run = Figure(_long_chart(story), "The long run", "Loss on the training digits.")
    return Charts("What it learned", (long_run, Figure(probes, "A linear probe on every layer", see)), words)


def _long_chart(story: Story) -> alt.LayerChart:
    runs = [("as it was", [story.long_before.losses]), ("mended", [story.long_after.losses])]
    return loss_chart(runs, reference=story.fix.trial_before.blind_loss)


def _percent(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.1%}"
