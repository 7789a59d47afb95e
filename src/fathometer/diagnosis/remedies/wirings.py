"""Remedies that exchange or remove one kind of module."""

from copy import deepcopy

from torch import nn

from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.remedies import weights, wiring
from fathometer.diagnosis.remedies.candidate import Candidate, advice, call_on_copy, seed_words, source
from fathometer.diagnosis.remedies.gains import READOUT, rounded, starting_gain
from fathometer.finding import Remedy

# The activation heard, the module to replace, and what takes its place (its name for theory).
SWAPS: dict[str, tuple[type[nn.Module], type[nn.Module], str]] = {
    "sigmoid": (nn.Sigmoid, nn.Tanh, "tanh"),
    "tanh": (nn.Tanh, nn.ReLU, "relu"),
    "relu": (nn.ReLU, nn.GELU, "gelu"),
}
# What those who write attention call the layers that make queries and keys.
QUERIES_AND_KEYS = frozenset({"q", "k", "query", "key", "q_proj", "k_proj", "wq", "wk", "to_q", "to_k", "queries", "keys"})


def swap_activation(case: Case, examination: Examination) -> Candidate | None:
    if examination.activation not in SWAPS:
        return None
    old, new, name = SWAPS[examination.activation]
    if not any(type(module) is old for module in case.model.modules()):
        return None
    gain = starting_gain(name)
    why = f"{new.__name__} passes more gradient than {old.__name__}; the weights start at its critical gain, {gain}."
    code = source((wiring.swap_activation, *weights.INITIALISE))
    swapped = f"swap_activation(model, nn.{old.__name__}, nn.{new.__name__})"
    code += f"\nmodel = initialise({swapped}, gain={gain}, readout={READOUT}{seed_words(case)})\n"

    def apply(case: Case, seed: int) -> nn.Module:
        return weights.initialise(wiring.swap_activation(deepcopy(case.model), old, new), gain=gain, readout=READOUT, seed=seed)

    title = f"{new.__name__} instead of {old.__name__}"
    return Candidate(Remedy("swap_activation", title, why, 2, code, ("glorot2010", "he2015init")), apply)


def remove_softmax(case: Case, examination: Examination) -> Candidate | None:
    """Take out the softmax in front of a cross-entropy, where it is a module; else say so."""
    if not examination.profile.facts.get("outputs_are_probabilities"):
        return None
    title, why = "No softmax before the cross-entropy", "Cross-entropy takes the softmax itself: give it the scores."
    found = [name for name, module in case.model.named_modules() if type(module) is nn.Softmax]
    if not found:
        return advice("remove_softmax", title, why + " Return them without softmax, or use nll_loss on their logarithms.", 2)
    return call_on_copy(case, "remove_softmax", title, why, 2, (wiring.remove_module,), {"name": found[-1]}, ("bridle1990",))


def shrink_queries(case: Case, examination: Examination) -> Candidate | None:
    """Make attention logits small at the start, where they are far from it; else nothing."""
    logits = examination.profile.known("attention_logits")
    largest = max((value for _, value in logits), default=0.0)
    if largest < 3:
        return None
    title, why = "Smaller queries and keys", "Attention starts soft, so gradients reach queries and keys."
    named = [name for name, module in case.model.named_modules() if _makes_scores(name, module)]
    if not named:
        return advice("shrink_queries", title, why + " Scale their weights, or normalise queries and keys (QK-norm).", 1)
    arguments = {"layers": named, "factor": rounded(1 / largest)}
    citations = ("wortsman2023", "zhai2023")
    return call_on_copy(case, "shrink_queries", title, why, 1, (weights.shrink_queries,), arguments, citations)


def _makes_scores(name: str, module: nn.Module) -> bool:
    is_named = isinstance(module, nn.Linear) and name.rpartition(".")[2].lower() in QUERIES_AND_KEYS
    return is_named or isinstance(module, nn.MultiheadAttention)


def put_norm_first(case: Case, examination: Examination) -> Candidate | None:
    """Take the norms off the stream, by torch's own switch where the layers have one; else say how."""
    normalised = sorted(value for _, value in examination.profile.known("normalised"))
    if not normalised or normalised[len(normalised) // 2] < 0.9:
        return None
    title, why = "Norm before the branch", "The stream stays free of norms, so the gradient has a straight way back."
    if not any(getattr(module, "norm_first", True) is False for module in case.model.modules()):
        return advice("put_norm_first", title, why + " Write x + f(norm(x)) for norm(x + f(x)), and one norm at the end.", 5)
    return call_on_copy(case, "put_norm_first", title, why, 5, (wiring.put_norm_first,), {}, ("xiong2020",))


def remove_detach(case: Case, examination: Examination) -> Candidate | None:
    """Say what cuts blocks off from the loss."""
    if not examination.profile.facts.get("blocks_cut_off"):
        return None
    why = "Look between the last block with a gradient and the first without for .detach(), .data, .item() or torch.no_grad()."
    return advice("remove_detach", "Let the gradient through", why, 3)
