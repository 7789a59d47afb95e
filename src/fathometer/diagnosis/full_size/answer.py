"""Will it train at full size? The verdict, from weights never made."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, get_args

from torch import Tensor, nn

from fathometer.contract import tensors_in
from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.case import Case, make_case
from fathometer.diagnosis.evidence import Evidence, without_readout
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.full_size.asking import Method
from fathometer.diagnosis.full_size.estimate import Estimate, check_room, estimate
from fathometer.diagnosis.full_size.examine import Progress, examine_unmade
from fathometer.diagnosis.full_size.unmade import unmade_network
from fathometer.diagnosis.notes import good_sentence
from fathometer.diagnosis.own_batch import own_batch
from fathometer.diagnosis.preflight import Preflight, known_causes, name_of
from fathometer.diagnosis.rules import judge, verdict_of
from fathometer.errors import ModelError, SpecError, look_up, shown
from fathometer.implicit import session_of
from fathometer.instruments.depth_points import Layers
from fathometer.spec import Mlp, Spec, Transformer, preset
from fathometer.spec.checks import check_seed
from fathometer.theory import forecast

TOKENS, MOST_SAMPLES = 16, 16
FEW_KEYS = 16  # with fewer in a sequence, what attention does to tokens is not judged
OF_CONTEXT = ("attention_entropy", "rank")  # not token_spread: tokens that become one do so however few they are


@dataclass(frozen=True)
class Unmade:
    """A network whose weights are not made, with its batch; `spec` is None for anybody's module.

    `patches` is how many an image has, where the batch is images.
    """

    model: nn.Module
    batch: Any
    name: str
    spec: Spec | None = None
    patches: int | None = None
    notes: tuple[str, ...] = ()


def preflight_full_size(
    target: Spec | str | Unmade,
    batch: Any = None,
    *,
    tokens: int = TOKENS,
    method: Method | str = "sampled",
    layers: Layers = None,
    ignore: Iterable[str] | str = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Preflight:
    """Tell whether a network will train that is too large for this machine, from `tokens` tokens (of a perceptron, samples).

    `method` "sampled": no weight is made; what it does to these tokens, and to the gradient coming back, is drawn from its exact
    distribution (`fathometer.implicit`). "streamed": real weights, some rows at a time, made again when they are needed; slow
    and the same in distribution. Memory is one block and what enters the blocks. The verdict rests on the start alone.
    A `batch` on a GPU has it all done there.

    Raises `FathometerError` for a start that cannot be sampled, and where the memory would not do.
    """
    check_seed(seed)
    look_up("method", method, dict.fromkeys(get_args(Method)))
    ignored = known_causes(ignore)
    found = target if isinstance(target, Unmade) else unmade_of(target, batch, tokens=tokens, seed=seed)
    case = make_case(found.model, found.batch, None, seed)
    session = session_of(found.model)
    if session is None:
        raise ModelError(
            f"{found.name} has no matrix of 65,536 entries or more",
            "At full size only large matrices are left out",
            "Leave --full-size out: it fits into memory",
        )
    cost = estimate(found.model, _vectors(case, found.patches))
    check_room(cost)
    if progress is not None:
        progress(str(cost), 0, 1)
    session.is_streamed = method == "streamed"
    examination = examine_unmade(case, layers=layers, progress=progress)
    expected = None if found.spec is None else _forecast(found.spec, case, examination)
    return _conclude(found, case, examination, expected, ignored, cost)


def unmade_of(target: Spec | str, batch: Any = None, *, tokens: int = TOKENS, seed: int = 0) -> Unmade:
    """Return the network of a spec or preset without its weights, where the batch is, or with its own of so many tokens."""
    check_tokens(tokens)
    spec = preset(target) if isinstance(target, str) else target
    if not isinstance(spec, Mlp | Transformer):
        raise ModelError(
            f"A {type(spec).__name__} is asked for at full size",
            "Convolutions are not sampled; perceptrons and transformers are",
            "Leave --full-size out: the weights of convnets fit into memory",
        )
    model = unmade_network(spec, seed=seed, device=device_of(batch))
    return Unmade(model, _own_tokens(spec, tokens, seed) if batch is None else batch, name_of(target), spec)


def check_tokens(tokens: int) -> None:
    """Raise unless so many tokens can look at a network."""
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 2:
        raise SpecError(f"`tokens` is {shown(tokens)}", "It must be a whole number from 2 on", f"Try {TOKENS}")


def device_of(batch: Any) -> str:
    """Return the device of the first tensor of a batch; the CPU where there is none."""
    return next((str(tensor.device) for _, tensor in tensors_in(batch)), "cpu")


def shape_of(tokens: int) -> tuple[int, int]:
    """Return how many sequences of which length so many tokens are: about as many as they are long, 16 at most.

    >>> shape_of(16), shape_of(256), shape_of(2048)
    ((4, 4), (16, 16), (16, 128))
    """
    samples = min(2 ** int((tokens.bit_length() - 1) / 2), MOST_SAMPLES)
    return samples, tokens // samples


def _own_tokens(spec: Spec, tokens: int, seed: int) -> tuple[Tensor, Tensor]:
    inputs, targets = own_batch(spec, seed)
    if isinstance(spec, Mlp):
        return inputs[:tokens], targets[:tokens]
    samples, time = shape_of(tokens)
    return inputs[:samples, :time].contiguous(), targets[:samples, :time].contiguous()


def _vectors(case: Case, patches: int | None) -> int:
    """Return how many vectors meet each matrix."""
    tokens = _tokens(case)
    return case.num_samples * (patches or 1) if tokens is None else tokens.numel()


def _forecast(spec: Spec, case: Case, examination: Examination) -> DepthProfile | None:
    """Return the forecast of a spec for what entered; its weights are the spec's own by construction."""
    facts = examination.profile.facts
    if isinstance(spec, Transformer):
        rows = case.inputs
        same = (rows[:, None] == rows[None]).double().mean(dim=2)
        count = len(rows)
        correlation = float((same.sum() - count) / (count * (count - 1))) if count > 1 else 0.0
        return forecast(spec, correlation=correlation, num_inputs=count, num_tokens=rows.shape[1])
    signal, correlation = (float(facts.get(f"input_{name}") or 0.0) for name in ("signal", "correlation"))
    return forecast(spec, signal=signal, correlation=correlation, num_inputs=case.num_samples)


def _conclude(
    found: Unmade, case: Case, seen: Examination, expected: DepthProfile | None, ignored: tuple[str, ...], cost: Estimate
) -> Preflight:
    profile = replace(seen.profile, facts={**seen.profile.facts, "estimated_seconds": cost.seconds})
    evidence = Evidence(without_readout(_judged(profile, _num_keys(found, case))), expected)
    if seen.broken is not None:
        evidence = replace(evidence, broken_at=seen.broken.module, broken_by=seen.broken.words)
    findings = judge(evidence, ignored)
    verdict = verdict_of(findings, evidence)
    sentence = findings[0].sentence if findings and verdict != "healthy" else good_sentence(evidence, verdict)
    notes = (*_notes(found, case, profile), *seen.notes, *found.notes)
    return Preflight(verdict, sentence, tuple(findings), profile, expected, notes, ignored, found.name)


def _judged(profile: DepthProfile, keys: int | None) -> DepthProfile:
    """Return what is judged of a profile: not what attention does to so few keys, as it says nothing of a whole context."""
    if keys is None or keys >= FEW_KEYS:
        return profile
    return replace(profile, values={name: column for name, column in profile.values.items() if name not in OF_CONTEXT})


def _num_keys(found: Unmade, case: Case) -> int | None:
    tokens = _tokens(case)
    return found.patches if tokens is None else tokens.shape[1]


def _tokens(case: Case) -> Tensor | None:
    """Return the tokens `(sample, time)` that go in; None where something else does."""
    inputs = case.inputs.get("input_ids") if isinstance(case.inputs, dict) else case.inputs
    return inputs if isinstance(inputs, Tensor) and not inputs.is_floating_point() and inputs.ndim == 2 else None


def _notes(found: Unmade, case: Case, profile: DepthProfile) -> list[str]:
    parameters = profile.facts["num_parameters"]
    notes = [f"{parameters:,} parameters, of which {profile.facts['weights_made']:,} were made."]
    keys = _num_keys(found, case)
    if profile.known("attention_entropy") and keys is not None:
        context = getattr(found.spec, "context", None) or getattr(
            getattr(found.model, "config", None), "max_position_embeddings", None
        )
        whole = "the whole image" if context is None else f"a context of {context:,}"
        few = "; the entropy is shown, and not judged" if keys < FEW_KEYS else ""
        notes.append(
            f"Seen by {_vectors(case, found.patches)} tokens, {keys} in a sequence. The entropy of attention and the spread of "
            f"tokens do not carry over to {whole}{few}. Gradient, signal and the sizes of scores and branches do. "
            "For more: --tokens 256."
        )
    if getattr(found.spec, "init", None) == "pytorch":
        notes.append("Uniform weights are drawn as the Gaussian ones that they amount to in a wide layer.")
    return notes
