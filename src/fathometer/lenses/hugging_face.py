"""A folder of Hugging Face: its model, and what to show to it."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fathometer.data import draw_scenes, text
from fathometer.data.images import standardize
from fathometer.errors import DataError, TargetError
from fathometer.files import is_file
from fathometer.instruments import seeded

CONTEXT, SAMPLES, IMAGES = 128, 64, 128
_FILES = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_OFFLINE = {"local_files_only": True, "trust_remote_code": False}


def load_folder(folder: str | Path, *, seed: int = 0) -> tuple[nn.Module, Any, str]:
    """Return the model of a folder with a `config.json`, a batch for it, and what both are in a few words.

    Weights are read where the folder has them, else drawn as the architecture starts. A text model gets the running Python's own
    sources through the folder's `tokenizer.json`, or random tokens without one; an image model drawn scenes. Nothing is fetched.
    Raises `TargetError` for a folder or a model that cannot be read, or whose weights are a pickle; its own code is never run.
    """
    home = Path(folder)
    if not is_file(home / "config.json"):
        raise TargetError(
            f'There is no "{home / "config.json"}"', "hf:FOLDER needs a folder with a config.json", "Check the path"
        )
    has_weights = any((home / name).is_file() for name in _FILES)
    if not has_weights and any((home / name).is_file() for name in _PICKLED):
        raise TargetError(
            f'"{home.name}" holds its weights as a pickle',
            "Reading a pickle can run any code: only safetensors are read",
            "Where you trust it, load it by hand and call model.save_pretrained(folder)",
        )
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import transformers
    except ImportError:
        raise TargetError("transformers is not installed", "hf:FOLDER needs it", "Run: pip install 'fathometer[hf]'") from None
    try:
        config = transformers.AutoConfig.from_pretrained(home, **_OFFLINE)
        with seeded(seed):
            model = _model(transformers, config, home if has_weights else None)
    except TargetError:
        raise
    except Exception as problem:
        raise TargetError(
            f'"{home.name}" cannot be read: {first_line(problem)}',
            "It must hold a model that the installed transformers has",
            "Check `model_type` and the weights",
        ) from problem
    batch, words = _batch(config, home, seed)
    return model.eval(), batch, f"{'its weights' if has_weights else 'random weights: the folder has none'}; {words}"


def first_line(problem: BaseException) -> str:
    """Return the first line of what another library's error says, cut where it gets long."""
    return (str(problem).splitlines() or [type(problem).__name__])[0][:200]


def _model(transformers: Any, config: Any, home: Path | None) -> nn.Module:
    for name in ("AutoModelForCausalLM", "AutoModelForImageClassification", "AutoModelForMaskedLM", "AutoModel"):
        auto = getattr(transformers, name)
        if type(config) in auto._model_mapping and not (name == "AutoModelForCausalLM" and config.model_type in _MASKED):
            return auto.from_config(config) if home is None else auto.from_pretrained(home, use_safetensors=True, **_OFFLINE)
    raise TargetError(
        f'There is no model of type "{config.model_type}"',
        "It reads text or images",
        "Write a function that returns (model, batch)",
    )


_MASKED = ("bert", "roberta", "distilbert", "electra", "deberta", "deberta-v2", "albert", "modernbert")


def _batch(config: Any, home: Path, seed: int) -> tuple[Any, str]:
    size = getattr(config, "image_size", None)
    if size is not None:
        side = size if isinstance(size, int) else size[0]
        return {"pixel_values": _scenes(side, getattr(config, "num_channels", 3), seed)}, "drawn scenes"
    context = min(CONTEXT, getattr(config, "max_position_embeddings", None) or CONTEXT)
    windows, words = _sources(home, config.vocab_size, context)
    if windows is None:
        windows = torch.randint(
            0, config.vocab_size, (SAMPLES, context), generator=torch.Generator().manual_seed(seed), device="cpu"
        )
    return {"input_ids": windows, "labels": windows}, words


def _sources(home: Path, vocabulary: int, context: int) -> tuple[torch.Tensor | None, str]:
    """Return windows of the running Python's sources as the folder's tokenizer reads them, or None, and why."""
    if not (home / "tokenizer.json").is_file():
        return None, "random tokens: the folder has no tokenizer.json"
    try:
        windows = next(iter(text(tokenizer=home, context=context).held_out(SAMPLES)))[0]
    except DataError as problem:
        return None, f"random tokens: its tokenizer.json cannot be used ({problem.given})"
    if int(windows.max()) >= vocabulary:
        return None, f"random tokens: its tokenizer.json gives numbers beyond the model's {vocabulary:,}"
    return windows, "the sources of the running Python"


def _scenes(side: int, channels: int, seed: int) -> Any:
    stored = torch.from_numpy(draw_scenes(IMAGES, size=min(max(side, 16), 64), seed=seed).images)
    images = nn.functional.interpolate(standardize(stored)(stored), size=(side, side), mode="nearest")
    return images[:, :channels] if channels <= images.shape[1] else images.repeat(1, -(-channels // 3), 1, 1)[:, :channels]
