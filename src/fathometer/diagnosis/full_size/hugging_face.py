"""A Hugging Face model from its config.json alone, weights never made."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from fathometer.diagnosis.admission import first_words
from fathometer.diagnosis.full_size.answer import Unmade, shape_of
from fathometer.errors import TargetError
from fathometer.files import is_file
from fathometer.implicit import Session, make_implicit
from fathometer.implicit import Unmade as Building
from fathometer.instruments import seeded

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.safetensors.index.json")


def unmade_folder(folder: str, *, tokens: int, seed: int) -> Unmade:
    """Return the model that a folder's `config.json` describes, at its own start, and tokens or an image for it.

    Its code is that of the installed transformers. An image model gets images of so few patches, which its config is changed for.
    Raises `TargetError` where the folder holds trained weights: they are no random matrices.
    """
    home = Path(folder)
    if not is_file(home / "config.json"):
        raise TargetError(
            f'There is no "{home / "config.json"}"', "hf:FOLDER needs a folder with a config.json", "Check the path"
        )
    trained = sorted(path.name for pattern in WEIGHTS for path in home.glob(pattern))
    if trained:
        raise TargetError(
            f'"{home.name}" holds weights: {trained[0]}',
            "Only a start can be sampled: trained weights are no independent random numbers, and what they do must be computed",
            "Point at a folder with the config.json alone to see how this architecture starts",
        )
    return unmade_model(_config(home), tokens=tokens, seed=seed, name=home.resolve().name)


def unmade_model(config: Any, *, tokens: int, seed: int, name: str) -> Unmade:
    """Return the model of a transformers config without its weights, and a batch for it."""
    notes = _few_patches(config, tokens)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    config._experts_implementation = "eager"  # one expert after the other, each a matrix; other kernels take the whole stack
    building = Building()
    with building, seeded(seed):
        model = _class_for(config)._from_config(config)
        _initialise(model)
    model.tie_weights()
    starts = {key: building.start_of(parameter) for key, parameter in model.named_parameters() if parameter.is_meta}
    make_implicit(model, starts, Session(seed))
    patches = (config.image_size // config.patch_size) ** 2 + 1 if notes else None
    return Unmade(model, _batch(config, tokens, seed), name, None, patches, tuple(notes))


def _config(home: Path) -> Any:
    import os

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import transformers
    except ImportError:
        raise TargetError("transformers is not installed", "hf:FOLDER needs it", "Run: pip install 'fathometer[hf]'") from None
    try:
        return transformers.AutoConfig.from_pretrained(home, local_files_only=True, trust_remote_code=False)
    except Exception as problem:
        raise TargetError(
            f'"{home.name}/config.json" cannot be read: {first_words(problem)}',
            "It must be a config of a model that the installed transformers has",
            "Check `model_type`",
        ) from problem


def _class_for(config: Any) -> Any:
    import transformers

    for auto in (
        transformers.AutoModelForCausalLM,
        transformers.AutoModelForImageClassification,
        transformers.AutoModelForMaskedLM,
    ):
        found = auto._model_mapping.get(type(config), None)
        if found is not None:
            return found[0] if isinstance(found, tuple) else found
    raise TargetError(
        f'There is no language or image model of type "{getattr(config, "model_type", type(config).__name__)}"',
        "At full size a model that predicts tokens or classifies images is looked at",
        "Write a function that returns (model, batch), and pass file.py:function",
    )


@torch.no_grad()
def _initialise(model: nn.Module) -> None:
    """Run the model's own initialisation, which it skips for weights without numbers unless it is told to begin anew."""
    for thing in (*model.modules(), *model.parameters(), *model.buffers()):
        if getattr(thing, "_is_hf_initialized", False):
            del thing._is_hf_initialized
    model.initialize_weights()  # pyrefly: ignore[not-callable]


def _few_patches(config: Any, tokens: int) -> list[str]:
    patch = getattr(config, "patch_size", None)
    if not isinstance(patch, int) or not hasattr(config, "image_size"):
        return []
    side = max(int((tokens / shape_of(tokens)[0]) ** 0.5), 1)
    before, config.image_size = config.image_size, side * patch
    return [f"Images of {side} × {side} patches stand in for those of {before} × {before} pixels."]


def _batch(config: Any, tokens: int, seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    samples, time = shape_of(tokens)
    if hasattr(config, "image_size"):
        channels = getattr(config, "num_channels", 3)
        pixels = torch.randn(samples, channels, config.image_size, config.image_size, generator=generator, device="cpu")
        return {
            "pixel_values": pixels,
            "labels": torch.randint(0, config.num_labels, (samples,), generator=generator, device="cpu"),
        }
    ids = torch.randint(0, config.vocab_size, (samples, time), generator=generator, device="cpu")
    return {"input_ids": ids, "labels": ids}
