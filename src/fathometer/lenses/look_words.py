"""What was seen of a network, in sentences."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathometer.lenses.expected_layer import Expected, Relation
from fathometer.lenses.shrink import as_many_as_cost_little
from fathometer.report import Answer
from fathometer.text import number_text, sparkline

if TYPE_CHECKING:
    from fathometer.lenses.look import Look

Order = Sequence[tuple[str, str, Relation]]


def order_answer(order: Order) -> Answer:
    """Return whether levels come in their order: all neighbours told apart, none the wrong way, or not so."""
    relations = [relation for _, _, relation in order]
    if "after" in relations or "before" not in relations:
        return "not shown"
    return "shown" if all(relation == "before" for relation in relations) else "shown in part"


def order_sentence(expected: dict[str, Expected], order: Order) -> str:
    """Return the expected layers in the lesson's order, and which neighbours are not in it."""
    places = ", ".join(f"{name} {_layer(one)}" for name, one in expected.items())
    wrong = [f"{one} after {other}" for one, other, relation in order if relation == "after"]
    unclear = [f"{one} and {other}" for one, other, relation in order if relation == "not told apart"]
    told = {
        "shown": "each level comes before the next",
        "shown in part": "no level comes after the next",
        "not shown": "the order is not shown",
    }
    words = f"Expected layers: {places}; {told[order_answer(order)]}"
    words += f"; the wrong way round: {', '.join(wrong)}" if wrong else ""
    return words + (f"; not told apart: {'; '.join(unclear)}" if unclear else "") + "."


def answer(look: "Look") -> tuple[Answer, str]:
    """Return the answer in a word, and the sentence with its numbers."""
    if look.levels is not None and look.levels.truth != "tokens":
        return order_answer(look.levels.order), order_sentence(look.levels.expected, look.levels.order)
    return "measured", " ".join(_lesion_words(look) or [_alike_words(look)])


def look_text(look: "Look") -> str:
    """Return the answer, then a table of layers with sparklines, then what else was seen."""
    word, sentence = answer(look)
    lines = [f"{look.network}: {word}. {sentence}", ""]
    lines += [
        f"  {label:<28} {sparkline(values)}  {number_text(values[0])} → {number_text(values[-1])}"
        for label, values in _curves(look)
    ]
    rest = [*(_lesion_words(look) if word != "measured" else []), *_lens_words(look), *_distance_words(look)]
    return "\n".join([*lines, *(f"  {text}" for text in rest), *(f"  note: {text}" for text in look.notes)])


def good_to_know(look: "Look") -> tuple[str, ...]:
    """Return what was seen beside the main answer, and what could not be."""
    control = []
    if look.levels is not None and look.untrained is not None:
        control.append("The untrained twin. " + order_sentence(look.untrained.expected, look.untrained.order))
        control.append(learned_sentence(look))
    return (*control, *_lesion_words(look), *_lens_words(look), *_distance_words(look), *look.notes)


def learned_sentence(look: "Look") -> str:
    """Return how well each level is read from the best layer of the trained network, and of its untrained twin."""
    assert look.levels is not None
    assert look.untrained is not None
    told = []
    for name, probes in look.levels.probes.items():
        best, other = max(probes.accuracy), max(look.untrained.probes[name].accuracy)
        told.append(f"{name} {best:.0%} against {other:.0%}")
    return f"Read at the best layer, trained against untrained: {', '.join(told)}."


def _curves(look: "Look") -> list[tuple[str, Sequence[float | None]]]:
    curves: list[tuple[str, Sequence[float | None]]] = []
    if look.levels is not None:
        curves += [(f"reads {name}", probes.accuracy) for name, probes in look.levels.probes.items()]
    if look.classes is not None:
        curves.append(("reads the class", look.classes.accuracy))
    if look.lesions is not None:
        curves.append(("loss without the block", [look.lesions.loss, *look.lesions.skipped]))
    if look.lens is not None:
        curves.append(("loss of the early answer", look.lens.loss))
    curves.append(("like the last layer (CKA)", [float(value) for value in look.similarity.cka[:, -1]]))
    return [(label, values) for label, values in curves if values[-1] is not None and values[0] is not None]


def _lesion_words(look: "Look") -> list[str]:
    if look.lesions is None:
        return []
    lesions, count = look.lesions, len(look.lesions.points)
    if not lesions.has_learned:
        against = f"its loss is {lesions.loss:.3g}, that of the best constant answer {lesions.blind_loss:.3g}"
        return [f"Which blocks matter cannot be said, as nothing was learned: {against}."]
    words = [
        f"{lesions.depth_used} of {count} blocks matter: without one of them alone the loss of {lesions.loss:.3g} "
        "rises by over 1% of what was learned."
    ]
    if look.dropped is not None:
        order, curve = look.dropped
        few = as_many_as_cost_little(curve, lesions.blind_loss)
        gone = f": {', '.join(order[:few])}" if few else ""
        words.append(f"{few} of {count} blocks could go together for at most 5% of what was learned{gone}.")
    return words


def _lens_words(look: "Look") -> list[str]:
    if look.lens is None:
        return []
    agreement = look.lens.agreement
    place = next((place for place, share in enumerate(agreement) if share >= 0.9), len(agreement) - 1)
    return [f"From depth {place} of {len(agreement) - 1} on, nine in ten early answers name the last one's first choice."]


def _distance_words(look: "Look") -> list[str]:
    if look.distance is None:
        return []
    means = [sum(row) / len(row) for row in look.distance.heads]
    return [
        f"Attention looks {means[0]:.1f} places away in the first block and {means[-1]:.1f} in the last; all alike would be "
        f"{look.distance.uniform[0]:.1f}."
    ]


def _alike_words(look: "Look") -> str:
    cka = look.similarity.cka
    return (
        f"The first block and the last are alike to {cka[1, -1]:.2f} (unbiased linear CKA)."
        if len(cka) > 1
        else "One layer was seen."
    )


def _layer(one: Expected) -> str:
    return "not learned" if one.layer is None else f"{one.layer:.1f} ({one.low:.1f} to {one.high:.1f})"
