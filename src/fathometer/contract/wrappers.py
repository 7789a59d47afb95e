"""The network inside its wrappers: compiled, distributed, adapted."""

from typing import Any

from torch import nn
from torch.jit import ScriptModule

from fathometer.errors import ModelError

# What calls one module and gives back its answer, and the name by which it holds it.
_WRAPPERS = {
    "OptimizedModule": "_orig_mod",  # torch.compile
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "AveragedModel": "module",  # torch.optim.swa_utils
}


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside the wrappers of torch.compile, DistributedDataParallel, DataParallel and PEFT, or itself.

    Names are then those of the inner module. Adapters that stand in the place of its layers, as LoRA, stay where they are;
    PEFT's prompts change what goes in, and keep their wrapper. Raises `ModelError` for TorchScript, whose layers are out of
    sight.
    """
    inner = _inside(model)
    while inner is not None:
        model, inner = inner, _inside(inner)
    for name, module in model.named_modules():
        if isinstance(module, ScriptModule):
            where = f"`{name}` is" if name else "The model is"
            raise ModelError(
                f"{where} TorchScript: {type(module).__name__}",
                "Its layers run where nothing can be measured",
                "Pass the nn.Module that it was made from",
            )
    return model


def _inside(model: nn.Module) -> nn.Module | None:
    """Return what a wrapper holds, or None."""
    lineage = type(model).__mro__
    if any(cls.__name__ == "PeftModel" for cls in lineage):
        config: Any = getattr(model, "active_peft_config", None)
        base: Any = getattr(model, "get_base_model", lambda: None)
        given = None if getattr(config, "is_prompt_learning", False) else base()
    else:
        names = [_WRAPPERS[cls.__name__] for cls in lineage if cls.__name__ in _WRAPPERS and cls.__module__.startswith("torch.")]
        given = getattr(model, names[0], None) if names else None
    return given if isinstance(given, nn.Module) else None
