"""What was seen of a network, on one page."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from fathometer.figures import LevelRow, by_depth_chart, heat_chart, level_chart, probe_chart
from fathometer.lenses.expected_layer import Expected
from fathometer.lenses.features import Features
from fathometer.lenses.levels import LevelProbes
from fathometer.lenses.look_words import answer, good_to_know
from fathometer.report import Banner, Charts, Figure, Page, Picture, Pictures, Prose, Section, Table

if TYPE_CHECKING:
    from fathometer.lenses.look import Look

CITATIONS = ("alain2016", "hewitt2019", "tenney2019", "kornblith2019", "nguyen2021", "veit2016")
TRAINED, UNTRAINED, SHUFFLED = "trained", "untrained", "shuffled labels"
SIDE = 64  # pixels of a patch on the page
SHOWN = 2  # texts of a unit


def look_page(look: "Look") -> Page:
    """Return the report of a look."""
    word, sentence = answer(look)
    sections: list[Section] = [Banner(word, sentence, _facts(look))]
    if look.levels is not None:
        sections += _level_sections(look)
    if look.classes is not None:
        sections.append(Charts("What each layer knows of the class", (_class_figure(look),)))
    sections += [section for shown in look.features or () for section in _feature_sections(shown)]
    sections.append(Charts("How the layers relate", _relation_figures(look)))
    if look.lesions is not None:
        sections.append(Charts("Which blocks could go", _lesion_figures(look)))
    known = good_to_know(look)
    if known:
        sections.append(Prose("Good to know", known))
    return Page(
        f"What {look.network} learned, layer by layer",
        "Probes, likeness, lesions and features along depth",
        tuple(sections),
        citations=CITATIONS,
    )


def main_chart(look: "Look") -> Any:
    """Return the chart that says most."""
    if look.levels is not None:
        rows, title = level_rows(look.levels, look.untrained), f"Where each level is learned: {look.levels.truth}"
        return level_chart(rows, len(look.points) - 1, title=title, subtitle="95% intervals; at the right: best accuracy")
    return _likeness(look)


def level_rows(own: LevelProbes, control: LevelProbes | None) -> list[LevelRow]:
    """Return the rows of the chart of expected layers."""
    rows = []
    for name, probes in own.probes.items():
        both = {TRAINED: probes} | ({} if control is None else {UNTRAINED: control.probes[name]})
        places = {network: _place(one.expected) for network, one in both.items()}
        best = {network: max(one.accuracy) for network, one in both.items()}
        rows.append(LevelRow(name, places, best, max(probes.control), probes.chance))
    return rows


def _place(one: Expected) -> tuple[float | None, float | None, float | None]:
    return one.layer, one.low, one.high


def _level_sections(look: "Look") -> list[Section]:
    assert look.levels is not None
    networks = f"{TRAINED} · {UNTRAINED} · {SHUFFLED}" if look.untrained is not None else f"{TRAINED} · {SHUFFLED}"
    title = "Where each level is learned" if look.levels.truth != "tokens" else "Where the tokens are known"
    main = Figure(
        main_chart(look),
        f"The expected layer of each level; at the right what the best layer knows: {networks}.",
        "A level far to the right is read only from deep layers.",
        wide=True,
    )
    curves = tuple(_curve(look, name) for name in look.levels.probes)
    header = ("level", "expected layer", "95% interval", "best accuracy", "untrained", "shuffled labels", "guessing")
    rows = []
    for row in level_rows(look.levels, look.untrained):
        layer, low, high = row.places[TRAINED]
        told = ("–", "not learned") if layer is None else (f"{layer:.1f}", f"{low:.1f} to {high:.1f}")
        other = f"{row.best[UNTRAINED]:.0%}" if UNTRAINED in row.best else "–"
        rows.append((row.name, *told, f"{row.best[TRAINED]:.0%}", other, f"{row.shuffled:.0%}", f"{row.guessing:.0%}"))
    table = Table("The numbers", header, rows, "Held-out samples; the intervals draw samples anew, 1,000 times.")
    words = "What lies above shuffled labels is in the layer; what lies above the untrained twin was learned."
    return [Charts(title, (main,), words), Charts("Each level along depth", curves), table]


def _curve(look: "Look", name: str) -> Figure:
    assert look.levels is not None
    probes = look.levels.probes[name]
    lines = [(TRAINED, probes.accuracy)]
    if look.untrained is not None:
        lines.append((UNTRAINED, look.untrained.probes[name].accuracy))
    lines.append((SHUFFLED, probes.control))
    chart = probe_chart(lines, probes.chance, blocks=look.points, first=0)
    chart.title["text"] = name.capitalize()
    return Figure(chart, f"{name.capitalize()}, read from each layer.")


def _class_figure(look: "Look") -> Figure:
    assert look.classes is not None
    lines = [(TRAINED, look.classes.accuracy), (SHUFFLED, look.classes.control)]
    chart = probe_chart([("this network", lines[0][1]), lines[1]], look.classes.chance, blocks=look.points, first=0)
    return Figure(
        chart, "A linear probe of the class on every layer.", "Shuffled labels are the control: no layer can know them."
    )


def _relation_figures(look: "Look") -> tuple[Figure, ...]:
    figures = [
        Figure(
            _likeness(look),
            "Unbiased linear CKA of every two layers.",
            "Blocks of one colour along the diagonal are layers that hold the same.",
        )
    ]
    if look.distance is not None:
        means = [sum(row) / len(row) for row in look.distance.heads]
        ends = [
            (f"{word} head", [choose(row) for row in look.distance.heads])
            for word, choose in (("nearest", min), ("farthest", max))
        ]
        chart = by_depth_chart(
            [("mean", means), *ends],
            title="How far attention looks",
            subtitle="places between a query and what it looks at",
            blocks=look.distance.points,
            reference=(look.distance.uniform[0], "all alike"),
        )
        figures.append(Figure(chart, "Distance of attention by block."))
    if look.lens is not None:
        chart = by_depth_chart(
            [("early answer", look.lens.loss)],
            title="Early answers",
            subtitle="loss if the network ended here (logit lens)",
            blocks=look.lens.points,
            first=0,
            reference=(look.lens.loss[-1], "the whole network"),
        )
        figures.append(Figure(chart, "All later blocks left out, the readout as it is."))
    return tuple(figures)


def _likeness(look: "Look") -> Any:
    cka = look.similarity.cka
    places = [
        (float(column), float(row), None if np.isnan(cka[row, column]) else float(np.clip(cka[row, column], 0, 1)))
        for row in range(cka.shape[0]) for column in range(cka.shape[1])
    ]  # fmt: skip
    words = {
        "title": "How alike the layers are",
        "subtitle": "unbiased linear CKA; 0 is the input",
        "axes": ("depth", "depth"),
        "value": "CKA",
    }
    return heat_chart(places, **words, ends=(0.0, 1.0))


def _lesion_figures(look: "Look") -> tuple[Figure, ...]:
    assert look.lesions is not None
    lesions = look.lesions
    lines: list[tuple[str, Sequence[float | None]]] = [("left out", lesions.skipped)]
    if any(loss is not None for loss in lesions.swapped):
        lines.append(("swapped with the next", lesions.swapped))
    one = by_depth_chart(
        lines,
        title="Loss with one block changed",
        subtitle="a gap is a block that cannot be left out",
        blocks=lesions.points,
        reference=(lesions.loss, "the whole network"),
    )
    figures = [Figure(one, "One block at a time.", "Where the line is low, the network hardly uses the block.")]
    if look.dropped is not None:
        order, curve = look.dropped
        chart = by_depth_chart(
            [("loss", curve)],
            title="Loss by blocks left out",
            subtitle="the one that costs least goes first",
            blocks=("none", *order),
            first=0,
            axis="blocks left out",
            reference=None if lesions.blind_loss is None else (lesions.blind_loss, "knows no input"),
        )
        figures.append(Figure(chart, "`fm.shrink` hands back the smaller model, healed if asked."))
    return tuple(figures)


def _feature_sections(shown: Features) -> list[Section]:
    title = f"What units of {shown.point} like best"
    if shown.pictures is not None:
        rows = [
            Picture(f"unit {unit}", tuple(png(patch) for patch in patches), f"patches that unit {unit} likes best")
            for unit, patches in zip(shown.units, shown.pictures, strict=True)
        ]
        return [Pictures(title, tuple(rows), "The patches of the data where each unit is most active, one of each image.")]
    if shown.texts is None:
        return []
    rows = [
        (f"unit {unit}", *(_code(text) for text in texts[:SHOWN])) for unit, texts in zip(shown.units, shown.texts, strict=True)
    ]
    header = ("unit", *("most active at «the token»", "", "")[: max(map(len, rows)) - 1])
    return [Table(title, header, rows, "Where each unit is most active, one place of each text.")]


def _code(text: str) -> str:
    return "`" + text.replace("`", "'").replace("\n", "⏎") + "`"


def png(patch: Any) -> bytes:
    """Return a patch `(channel, side, side)` of numbers from 0 to 1 as a PNG file, its pixels as squares."""
    from PIL import Image

    pixels = (np.clip(patch, 0, 1).transpose(1, 2, 0) * 255).round().astype(np.uint8)
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
    times = max(SIDE // pixels.shape[0], 1)
    file = BytesIO()
    Image.fromarray(pixels.repeat(times, axis=0).repeat(times, axis=1)).save(file, "PNG")
    return file.getvalue()


def _facts(look: "Look") -> tuple[tuple[str, str], ...]:
    facts = [("depth points", f"{len(look.points) - 1:,}"), ("compared", f"{look.similarity.num_rows:,} rows")]
    if look.lesions is not None:
        used = "unknown" if look.lesions.depth_used is None else f"{look.lesions.depth_used} of {len(look.lesions.points)}"
        facts += [("loss", f"{look.lesions.loss:.3g}"), ("blocks that matter", used)]
    return tuple(facts)
