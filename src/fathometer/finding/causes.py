"""Every cause by its stable identifier: what it means, when to doubt it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """The words for one cause: a title, what follows from it, when not to believe it, and the keys of the papers."""

    title: str
    consequence: str
    doubt: str
    citations: tuple[str, ...]


CAUSES: dict[str, Cause] = {
    "non_finite": Cause(
        "A number is not finite",
        "The first update writes NaN into every weight.",
        "Never doubt it: it was seen. A -inf that only masks attention is not counted.",
        ("micikevicius2018",),
    ),
    "vanishing_gradient": Cause(
        "The gradient vanishes on its way back",
        "The early layers hardly move, so the last ones learn on top of noise.",
        "Adam divides by the size of the gradient: a few decades alone are no trouble for it, and are counted so. A network "
        "that is meant to learn in its last layers only does not mind.",
        ("bengio1994", "glorot2010", "schoenholz2017"),
    ),
    "exploding_gradient": Cause(
        "The gradient explodes on its way back",
        "A step that suits the last layers throws the first ones far away.",
        "A gradient that is multiplied on purpose (a hook, a custom backward) explodes here and may train under Adam.",
        ("bengio1994", "pascanu2013", "schoenholz2017"),
    ),
    "vanishing_signal": Cause(
        "The signal vanishes with depth",
        "The output hardly depends on the input.",
        "A bottleneck may be small in every unit and still say all: look at the correlation beside it.",
        ("glorot2010", "he2015init", "hanin2018"),
    ),
    "exploding_signal": Cause(
        "The signal explodes with depth",
        "The outputs, and the loss, start absurdly large.",
        "A norm before the readout takes the size away; what then remains of the trouble is in the gradient.",
        ("he2015init", "hanin2018"),
    ),
    "dead_units": Cause(
        "Units are dead",
        "A unit that is 0 for every sample gets no gradient and cannot come back.",
        "A batch of a few samples, or of one kind, shows units as dead that others wake.",
        ("lu2020",),
    ),
    "saturation": Cause(
        "Units are saturated",
        "Where the activation is flat, no gradient passes.",
        "Gates (of a GRU, of attention) are meant to saturate once they have learnt; at the start they should not.",
        ("glorot2010",),
    ),
    "correlation_collapse": Cause(
        "Different samples become one",
        "The last layers see the same vector for every input and can only learn the average answer.",
        "Samples that are nearly the same to begin with stay so: it is judged against the input, but a pair of twins in a "
        "batch of two says little.",
        ("poole2016", "schoenholz2017", "hayou2019"),
    ),
    "rank_collapse": Cause(
        "The activations collapse onto a few directions",
        "What the samples differ in is lost.",
        "Deep ReLU networks start with one large direction and train all the same, as long as small ones are left beside it.",
        ("daneshmand2020",),
    ),
    "token_rank_collapse": Cause(
        "The tokens of a sample become one",
        "Attention can no longer tell places apart, so only the average token is left to learn from.",
        "Where one answer is wanted for the whole sample, tokens may well agree after the last block.",
        ("dong2021", "noci2022"),
    ),
    "attention_entropy_collapse": Cause(
        "Attention looks at one key only",
        "A softmax that is all but one-hot passes next to no gradient to queries and keys.",
        "A trained head may look at one key for good reason; at the start it has none.",
        ("zhai2023", "wortsman2023"),
    ),
    "attention_logit_growth": Cause(
        "The attention logits are too large",
        "The softmax saturates, and the loss spikes as they grow on.",
        "Logits of a few units are usual in a trained model.",
        ("wortsman2023", "dehghani2023"),
    ),
    "residual_branch_imbalance": Cause(
        "The residual branches do not fit their stream",
        "Far too strong they drown what came before; far too weak they are not heard.",
        "Branches that start at zero (ReZero, LayerScale, zero-init) are meant to: they are looked at after a step.",
        ("hayou2021", "zhang2019", "bachlechner2021"),
    ),
    "post_norm_imbalance": Cause(
        "A norm on the stream unbalances the gradient",
        "Each norm takes from what came before, and steps add up along depth: only a tiny rate or a long warm-up is safe.",
        "A few post-norm blocks train well, and many do with a long warm-up that a short run does not have.",
        ("xiong2020", "wang2022"),
    ),
    "batchnorm_explosion": Cause(
        "BatchNorm without skips makes the gradient explode",
        "It grows by a constant factor for each layer, whatever the initialisation.",
        "The factor depends on the batch: 16 samples or fewer overstate it.",
        ("yang2019",),
    ),
    "shattered_gradients": Cause(
        "The gradients of neighbours have nothing in common",
        "They look like white noise over the inputs, so steps for different samples cancel.",
        "It is measured on a line between two samples, and plain networks of moderate depth train in spite of it.",
        ("balduzzi2017",),
    ),
    "softmax_before_loss": Cause(
        "A softmax stands before the cross-entropy",
        "The loss can never come near 0, and its gradient is small where the answer is most wrong.",
        "Outputs that lie between 0 and 1 and sum to 1 for another reason look the same.",
        ("bridle1990",),
    ),
    "initial_loss": Cause(
        "The outputs start far from a fair guess",
        "The first steps are spent on unlearning confident wrong answers.",
        "Optimizers unlearn a lot: up to some hundred nats it is a note and no verdict.",
        ("karpathy2019",),
    ),
    "update_size": Cause(
        "The steps do not fit the weights",
        "Far too large forgets everything, far too small learns nothing.",
        "Fine-tuning takes smaller steps than a start from scratch, for longer.",
        ("brock2021",),
    ),
    "curvature": Cause(
        "The loss is too sharp for the step",
        "A step across the valley ends higher on the other side, and the next one higher still.",
        "It is seen on one batch, taken again and again; a warm-up may carry the network to where it is flatter.",
        ("cohen2021", "cohen2022"),
    ),
    "unused_parameters": Cause(
        "Parameters are not used",
        "They get no gradient and never change.",
        "A spare head or pooler is a note; only blocks that are cut off from the loss are more.",
        (),
    ),
    "frozen_parameters": Cause(
        "Parameters are frozen",
        "They never change; fine if meant.",
        "Fine-tuning freezes on purpose.",
        (),
    ),
}
