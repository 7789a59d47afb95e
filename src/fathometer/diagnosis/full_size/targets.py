"""A TARGET at full size: preset, spec, hf:FOLDER or file.py:function."""

from torch import nn

from fathometer.diagnosis.full_size.answer import Unmade, check_tokens, unmade_of
from fathometer.diagnosis.full_size.hugging_face import unmade_folder
from fathometer.diagnosis.targets import load_target
from fathometer.errors import TargetError
from fathometer.implicit import Session, implicit_weights, make_implicit
from fathometer.implicit import Unmade as Building
from fathometer.spec import Spec


def load_unmade(text: str, *, tokens: int, seed: int) -> Unmade:
    """Return what a TARGET stands for, without its large weights.

    `hf:FOLDER` needs a folder with a `config.json`. The function of a file is run while large parameters are given no memory, and
    how it initialises them is written down. Raises `TargetError` if there is no such thing, `ModelError` if it cannot be sampled.
    """
    check_tokens(tokens)
    if text.startswith("hf:"):
        return unmade_folder(text.removeprefix("hf:"), tokens=tokens, seed=seed)
    building = Building()
    with building:
        found = load_target(text, seed)
    if isinstance(found.model, Spec):
        return unmade_of(text if found.name == text else found.model, found.batch, tokens=tokens, seed=seed)
    return Unmade(_sampled(found.model, building, seed), found.batch, found.name)


def _sampled(model: nn.Module, building: Building, seed: int) -> nn.Module:
    starts = {name: building.start_of(parameter) for name, parameter in model.named_parameters() if parameter.is_meta}
    make_implicit(model, starts, Session(seed))
    if not implicit_weights(model):
        raise TargetError(
            f"The {type(model).__name__} has no matrix of 65,536 entries or more",
            "At full size only large matrices are left out",
            "Leave --full-size out",
        )
    return model
