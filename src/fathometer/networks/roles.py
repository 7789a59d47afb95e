"""Which role each parameter of a network plays, and its scale."""

from math import prod

from torch import nn

from fathometer.errors import ModelError
from fathometer.parametrizations import Scale, Tensor
from fathometer.parametrizations.roles import Role
from fathometer.spec import ConvNet, Mlp, Transformer


def roles(model: nn.Module) -> dict[str, Tensor]:
    """Return the role and sizes of every parameter of a network made by `build`, by name, in the order of `parameters`.

    A tied readout has no parameter of its own. A bias in a block is "bias", its norms' gains and learned branch scales
    "norm_gain"; norms outside blocks are "final_norm", and the bias of a stem or readout goes with its matrix. What a role
    means for this network is `model.spec.scale(role, fan_in, fan_out)`: see `scales`.

    Raises `ModelError` for a module that was not made from a spec.

    >>> from fathometer.networks import build
    >>> {name: tensor.role for name, tensor in roles(build("shallow-1")).items()}["readout.bias"]
    'output'
    """
    if not isinstance(getattr(model, "spec", None), Mlp | ConvNet | Transformer) or not hasattr(model, "matrices"):
        raise ModelError(
            f"The {type(model).__name__} was not made from a spec",
            "Only a network whose spec is known has roles",
            "Build it with fathometer.build",
        )
    matrices: dict[int, Role] = {id(module): role for role, module in model.matrices()}  # pyrefly: ignore[not-callable]  (nn.Module types attributes as Tensor | Module)
    found: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix=path, recurse=False):
            found[name] = _fact(name, parameter, module, matrices.get(id(module)))
    return found


def scales(model: nn.Module) -> dict[str, Scale]:
    """Return how every parameter starts and moves, by name: `model.spec.scale` of its role and sizes."""
    spec = model.spec
    assert isinstance(spec, Mlp | ConvNet | Transformer)
    return {name: spec.scale(tensor.role, tensor.fan_in, tensor.fan_out) for name, tensor in roles(model).items()}


def fans(matrix: nn.Module) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a linear layer, a convolution or an embedding, of which one row is read."""
    if isinstance(matrix, nn.Embedding):
        return 1, matrix.embedding_dim
    weight = matrix.weight
    assert isinstance(weight, nn.Parameter)
    places = prod(weight.shape[2:])
    return weight.shape[1] * places, weight.shape[0] * places


def _fact(name: str, parameter: nn.Parameter, module: nn.Module, role: Role | None) -> Tensor:
    is_weight = parameter.ndim > 1
    if role is not None and (is_weight or role in ("input", "output")):
        return Tensor(role, *fans(module))
    if is_weight:  # a highway's gate
        return Tensor("hidden", *fans(module))
    if not name.startswith("blocks."):
        return Tensor("final_norm", 1, parameter.numel())
    return Tensor("bias" if name.endswith(".bias") else "norm_gain", 1, parameter.numel())
