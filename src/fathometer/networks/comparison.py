"""Which role each tensor of any module plays, by comparing its sizes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from fathometer.errors import ModelError
from fathometer.parametrizations.roles import Role

Make = Callable[[int, int], nn.Module]
NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


@dataclass(frozen=True)
class Found:
    """What comparing a module with a wider and a deeper one tells of a tensor.

    `grows` are its axes that grow with the width. `block` is the name of the block that it is in, None outside; `template` is
    its name with a star for the block's number, the same in networks of every depth.
    """

    name: str
    shape: tuple[int, ...]
    grows: tuple[int, ...]
    block: str | None
    template: str
    fans: tuple[int, int]  # the axes of fan_in and fan_out

    @property
    def role(self) -> Role:
        """Return the role: one axis that grows makes a stem or a readout, two a matrix inside, none a vector.

        Raises `ModelError` for a matrix in a block that only reads the width.
        """
        if len(self.shape) < 2:
            return "final_norm" if self.block is None else "bias" if self.name.endswith("bias") else "norm_gain"
        fan_in, fan_out = (axis in self.grows for axis in self.fans)
        if fan_in and fan_out:
            return "hidden"
        if fan_in and self.block is None:
            return "output"
        if fan_in:
            raise ModelError(
                f'"{self.name}", {self.shape}, reads the width and does not grow with it',
                "Inside a block each matrix leads from the width to the width",
                'Let its size grow with the width, or name its role: roles={"…": "hidden"}',
            )
        return "embedding" if self.block is None else "norm_gain"


def compare(small: nn.Module, wider: nn.Module, deeper: nn.Module) -> dict[str, Found]:
    """Return what is found of every parameter of `small`, beside the same module wider and the same one deeper.

    Raises `ModelError` where the wider one has other parameters or none grows, or the deeper one has no more blocks.
    """
    own, wide = dict(small.named_parameters()), dict(wider.named_parameters())
    if set(own) != set(wide) or all(own[name].shape == wide[name].shape for name in own):
        raise ModelError(
            "At another width the module has other parameters, or the same",
            "A wider module has the parameters of a narrow one, with longer axes",
            "Let make(width, depth) use its width",
        )
    places = block_places(small, deeper)
    owners = owners_of(small)
    found = dict[str, Found]()
    for name, parameter in own.items():
        pairs = enumerate(zip(parameter.shape, wide[name].shape, strict=True))
        grows = tuple(axis for axis, (narrow, broad) in pairs if narrow != broad)
        block = block_of(name, places)
        fans = axes_of(owners[id(parameter)], len(parameter.shape), grows)
        found[name] = Found(name, tuple(parameter.shape), grows, block, template_of(name, places), fans)
    return found


def owners_of(model: nn.Module) -> dict[int, nn.Module]:
    """Return the module that each parameter stands in; a matrix that an embedding shares is the embedding's."""
    owners = dict[int, nn.Module]()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if isinstance(module, nn.Embedding) or id(parameter) not in owners:
                owners[id(parameter)] = module
    return owners


def block_places(small: nn.Module, deeper: nn.Module) -> tuple[str, ...]:
    """Return the names of the lists whose items a deeper module has more of, such as "transformer.h"."""
    own = {name for name, _ in small.named_parameters()}
    places = dict[str, None]()
    for name, _ in deeper.named_parameters():
        if name not in own:
            hit = next((number for number in NUMBER.finditer(name) if _is_known(name, number, own)), None)
            if hit is not None:
                places[name[: hit.start()].rstrip(".")] = None
    if not places:
        raise ModelError(
            "A deeper module has the same parameters as a shallow one",
            "Depth adds blocks: numbered modules of one list",
            "Let make(width, depth) use its depth, in a ModuleList",
        )
    return tuple(places)


def _is_known(name: str, number: re.Match[str], known: set[str]) -> bool:
    return f"{name[: number.start()]}0{name[number.end() :]}" in known


def block_of(name: str, places: tuple[str, ...]) -> str | None:
    """Return the name of the block that a parameter is in."""
    for place in places:
        found = re.match(rf"{re.escape(place)}\.?(\d+)\.", name) if place else re.match(r"(\d+)\.", name)
        if found is not None:
            return name[: found.end() - 1]
    return None


def template_of(name: str, places: tuple[str, ...]) -> str:
    """Return a name with a star for the number of its block.

    >>> template_of("transformer.h.3.mlp.c_fc.weight", ("transformer.h",))
    'transformer.h.*.mlp.c_fc.weight'
    """
    block = block_of(name, places)
    return name if block is None else f"{block.rpartition('.')[0]}{'.' if '.' in block else ''}*{name[len(block) :]}"


def axes_of(owner: nn.Module, count: int, grows: tuple[int, ...]) -> tuple[int, int]:
    """Return which axes of a tensor are fan_in and fan_out: torch's layers have (out, in), Hugging Face's Conv1D (in, out).

    A bare matrix of which one axis grows is taken for an embedding, as positions and class tokens are.
    """
    if isinstance(owner, nn.Embedding) or type(owner).__name__ == "Conv1D":
        return 0, 1
    if hasattr(owner, "weight") or count < 2 or len(grows) != 1:
        return 1, 0
    return (1, 0) if grows[0] == 0 else (0, 1)


def with_roles(found: Mapping[str, Found], named: Mapping[str, Role]) -> dict[str, Role]:
    """Return the role of every parameter; those that are named, by a part of the template, are as they are said to be."""
    return {
        name: next((role for part, role in named.items() if part in one.template), None) or one.role
        for name, one in found.items()
    }
