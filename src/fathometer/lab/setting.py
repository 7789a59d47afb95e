"""What the controls say: one checked value, and the network from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from fathometer.errors import SpecError, kind_of, unknown_name
from fathometer.lab.controls import ALLOWED, CHOICES, NUMBERS
from fathometer.lab.tasks import TASKS, Task
from fathometer.records import Asked
from fathometer.spec import ConvNet, Mlp, Spec, Transformer

BATCH_SIZE = 64
LEAST_CONVNET, CONVNET_STEP = 8, 6  # weighted layers: three stages of basic blocks make it 6n + 2
PLACES = {"before": "pre-norm", "after": "post-norm", "both": "peri-norm"}


@dataclass(frozen=True)
class Setting:
    """A network, a task and a way to train it, as the controls of the page have them; `clip` 0 is off."""

    family: str = "mlp"
    depth: int = 50
    width: int = 64
    activation: str = "tanh"
    norm: str = "none"
    place: str = "before"
    residual: str = "none"
    strength: float = 1.0
    init: str = "pytorch"
    gain: float = 1.0
    optimizer: str = "adam"
    rate: float = 1e-3
    clip: float = 0.0
    steps: int = 200
    task: str = "digits"
    seed: int = 0

    @property
    def what(self) -> Task:
        """Return the task."""
        return TASKS[self.task]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as `read_setting` reads them."""
        return asdict(self)


def read_setting(table: object) -> Setting:
    """Return the setting that a request holds; what it leaves out is as at first.

    Raises `SpecError` for a name, a value or a combination that there is not.
    """
    if not isinstance(table, Mapping):
        raise SpecError(f"The setting is {kind_of(table)}", "It is a table of controls", 'Send {"depth": 50}')
    known = {field.name for field in fields(Setting)}
    for name in table:
        if name not in known:
            raise unknown_name("control", str(name)[:40], sorted(known))
    return fitted(replace(Setting(), **{name: _checked(name, value) for name, value in table.items()}))


def _checked(name: str, value: object) -> Any:
    if name in CHOICES:
        if not isinstance(value, str) or value not in CHOICES[name]:
            raise unknown_name(f"choice for `{name}`", str(value)[:40], CHOICES[name])
        return value
    number = NUMBERS[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_off = number.off and value == 0
    if not is_number or not (is_off or number.least <= value <= number.most) or (number.whole and value != int(value)):
        whole = "whole number" if number.whole else "number"
        raise SpecError(
            f"`{name}` is {str(value)[:40]}",
            f"It is a {whole} from {number.least:g} to {number.most:g}",
            f"Try {number.first:g}",
        )
    return int(value) if number.whole else float(value)


def fitted(setting: Setting) -> Setting:
    """Return the setting with the depth that its family can have; raise `SpecError` for what does not go together."""
    allowed = ALLOWED[setting.family]
    for name, options in allowed.items():
        value = getattr(setting, name)
        if value not in options:
            raise SpecError(
                f'`{name}` is "{value}" with the family "{setting.family}"',
                f"There it is one of {', '.join(options)}",
                f'Try {name} = "{options[0]}"',
            )
    if setting.init == "fixup" and setting.residual != "plain":
        raise SpecError(
            f'`init` is "fixup" with `residual` "{setting.residual}"',
            "Fixup starts the branches of a plain residual stream at zero",
            'Try residual = "plain", or init = "he"',
        )
    if setting.optimizer in ("sgd", "muon") and setting.init in ("mup", "depth-mup", "completep"):
        raise SpecError(
            f'`init` is "{setting.init}" with the optimizer "{setting.optimizer}"',
            "Its rates are made for Adam",
            'Try optimizer = "adamw"',
        )
    return replace(setting, depth=_nearest_depth(setting))


def _nearest_depth(setting: Setting) -> int:
    if setting.family != "convnet":
        return setting.depth
    blocks = max(1, round((setting.depth - 2) / CONVNET_STEP))
    return max(LEAST_CONVNET, blocks * CONVNET_STEP + 2)


def spec_of(setting: Setting) -> Spec:
    """Return the network that a setting asks for, its ends as its task needs them."""
    return {"mlp": _mlp, "convnet": _convnet, "transformer": _transformer}[setting.family](setting)


def asked_of(setting: Setting) -> Asked:
    """Return how a setting asks its network to be trained."""
    return Asked(
        steps=setting.steps,
        batch_size=BATCH_SIZE,
        optimizer=setting.optimizer,
        learning_rate=setting.rate,
        clip=setting.clip or None,
        seed=setting.seed,
    )


def _kind(setting: Setting) -> str:
    """Return the residual kind of a spec, which also says where the norm stands."""
    return PLACES[setting.place] if setting.residual == "plain" and setting.norm != "none" else setting.residual


def _mlp(setting: Setting) -> Mlp:
    kind = _kind(setting)
    has_place = kind in ("none", "deepnorm", *PLACES.values())
    return Mlp(
        depth=setting.depth,
        width=setting.width,
        inputs=setting.what.inputs,
        outputs=setting.what.outputs,
        activation=setting.activation,
        residual=kind,
        norm=setting.norm if has_place and setting.norm != "none" else None,
        branch_scale=setting.strength,
        branch_layers=2 if setting.init == "fixup" else 1,
        init=setting.init,
        gain=setting.gain,
    )


def _convnet(setting: Setting) -> ConvNet:
    return ConvNet(
        depth=setting.depth,
        width=setting.width,
        classes=setting.what.outputs,
        image_size=setting.what.side,
        channels=setting.what.channels,
        activation=setting.activation,
        residual="none" if setting.residual == "none" else "post-activation",
        norm=None if setting.norm == "none" else setting.norm,
        branch_scale=setting.strength,
        init=setting.init,
    )


def _transformer(setting: Setting) -> Transformer:
    return Transformer(
        depth=setting.depth,
        width=setting.width,
        heads=max(1, setting.width // 16),
        vocabulary=setting.what.outputs,
        context=setting.what.context,
        activation=setting.activation,
        norm=setting.norm if setting.norm in ("layer", "rms") else "layer",
        residual=_kind(setting),
        branch_scale=setting.strength,
        init=setting.init,
    )
