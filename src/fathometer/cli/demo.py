"""`fathometer demo`: the whole story on real handwritten digits."""

from pathlib import Path


def demo(out: Path = Path("fathometer-demo.html"), figure: Path | None = None, open: bool = False, seed: int = 0) -> int:
    """Show the whole story on real handwritten digits, offline, in about a minute.

    A plain 50-layer network cannot learn; preflight says why before training; mend proves the smallest fix; the mended
    network learns; one report tells it all.

    Args:
        out: Where to write the report.
        figure: Draw the story's picture to this .png, .svg or .pdf as well.
        open: Open the report in the browser when done.
        seed: Decides the networks' draws and the order of the data.
    """
    from fathometer.cli.show import bar, check_outputs
    from fathometer.demo import story_figure, story_page, tell_story
    from fathometer.report import save as save_page

    check_outputs(out, figure)
    with bar() as progress:
        story = tell_story(seed, progress=progress)
    save_page(story_page(story), out)
    if figure is not None:
        from fathometer.figures import save

        save(story_figure(story), figure)
    for line in story.lines:
        print(line)
    print(f"\nThe report: {out}")
    if open:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
    return 0
