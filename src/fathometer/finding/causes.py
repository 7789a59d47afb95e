"""Every cause by its stable identifier: title, consequence, papers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """The words for one cause: a title, what follows from it, and the keys of the papers."""

    title: str
    consequence: str
    citations: tuple[str, ...]


CAUSES: dict[str, Cause] = {
    "non_finite": Cause("A number is not finite", "The first update writes NaN into every weight.", ("he2015init",)),
    "vanishing_gradient": Cause(
        "The gradient vanishes on its way back",
        "The early layers hardly move, so the last ones learn on top of noise.",
        ("bengio1994", "glorot2010", "schoenholz2017"),
    ),
    "exploding_gradient": Cause(
        "The gradient explodes on its way back",
        "A step that suits the last layers throws the first ones far away.",
        ("bengio1994", "pascanu2013", "schoenholz2017"),
    ),
    "vanishing_signal": Cause(
        "The signal vanishes with depth",
        "The output hardly depends on the input.",
        ("glorot2010", "he2015init", "hanin2018"),
    ),
    "exploding_signal": Cause(
        "The signal explodes with depth",
        "The outputs, and the loss, start absurdly large.",
        ("he2015init", "hanin2018"),
    ),
    "dead_units": Cause(
        "Units are dead", "A unit that is 0 for every sample gets no gradient and cannot come back.", ("lu2020",)
    ),
    "saturation": Cause("Units are saturated", "Where the activation is flat, no gradient passes.", ("glorot2010",)),
    "correlation_collapse": Cause(
        "Different samples become one",
        "The last layers see the same vector for every input and can only learn the average answer.",
        ("poole2016", "schoenholz2017", "hayou2019"),
    ),
    "rank_collapse": Cause(
        "The activations collapse onto a few directions", "What the samples differ in is lost.", ("daneshmand2020",)
    ),
    "initial_loss": Cause(
        "The outputs start far from a fair guess",
        "The first steps are spent on unlearning confident wrong answers.",
        ("karpathy2019",),
    ),
    "update_size": Cause(
        "The steps do not fit the weights",
        "Far too large forgets everything, far too small learns nothing.",
        ("brock2021",),
    ),
    "unused_parameters": Cause("Parameters are not used", "They get no gradient and never change.", ()),
    "frozen_parameters": Cause("Parameters are frozen", "They never change; fine if meant.", ()),
}
