"""What each layer knows: a linear reader by depth, before and after."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from fathometer.data import parse, random_hierarchy, write_language
from fathometer.data.hierarchy import hierarchy
from fathometer.errors import ModelError
from fathometer.instruments import find_depth_points
from fathometer.instruments.taps import listen
from fathometer.lab.answers import evenly
from fathometer.lab.orders import Order
from fathometer.lab.setting import Setting
from fathometer.lab.work.bench import Bench, set_up
from fathometer.lab.work.teach import teach
from fathometer.lenses import represent

Tell = Callable[[dict[str, Any]], None]
MOST_LAYERS = 8  # read, evenly spaced: each costs a regression for each question
MOST_SAMPLES = 900
LANGUAGE_LEVELS = ("part of speech", "phrase", "role", "topic")
Labels = Mapping[str, np.ndarray]


def work_look(order: Order, tell: Tell) -> dict[str, Any]:
    """Read every few layers with a linear probe: as the network started, and, where asked, after training."""
    bench = set_up(order)
    inputs, labels = questions(bench)
    layers = _layers(bench.model, inputs[:2])
    stages = 1 + order.trained
    before = _read(bench, inputs, labels, layers, lambda done, total: _say(tell, "reading the start", done, total * stages))
    result: dict[str, Any] = {"kind": "look", "at": [0, *layers], "depth": _count(bench.model, inputs[:2]), "before": before}
    if order.trained:
        trained = teach(bench, tell)
        after = _read(bench, inputs, labels, layers, lambda done, total: _say(tell, "reading what was learnt", done + total, total * 2))
        result |= {"after": after, "run": trained}
    chances = {name: float(np.unique(values, return_counts=True)[1].max() / len(values)) for name, values in labels.items()}
    return result | {"chance": chances, "remedy": bench.remedy}


def questions(bench: Bench) -> tuple[Tensor, Labels]:
    """Return samples, and what can be asked of them by name: from what is near the input to the class itself."""
    setting = bench.setting
    if setting.task == "english":
        return _language_questions(setting)
    inputs, targets = (part[:MOST_SAMPLES] for part in bench.material.train)
    classes = {"class": targets.numpy()}
    if setting.task != "hierarchy":
        return inputs, classes
    return inputs, {**_parts(len(inputs)), **classes}


def _parts(count: int) -> Labels:
    """Return the first symbol of each hidden level of the hierarchy's inputs, lowest first."""
    data = hierarchy(form="tokens")
    symbols = np.concatenate([batch.numpy() for batch in [data.train_inputs[:count]]])
    rules = random_hierarchy(classes=8, symbols=8, synonyms=4, levels=3, branching=2)
    levels = parse(rules, symbols)  # from the class down to the inputs
    return {"a pair's meaning": levels[2][:, 0], "a half's meaning": levels[1][:, 0]}


def _language_questions(setting: Setting) -> tuple[Tensor, Labels]:
    """Return windows of English, and the labels of the last word of each."""
    import torch

    context = setting.what.context
    written = write_language(MOST_SAMPLES * context, held_out=True)
    last = np.arange(context - 1, len(written.tokens), context)[:MOST_SAMPLES]
    windows = np.stack([written.tokens[end - context + 1 : end + 1] for end in last])
    return torch.from_numpy(windows), {name: written.labels[name][last] for name in LANGUAGE_LEVELS}


def _read(
    bench: Bench, inputs: Tensor, labels: Labels, layers: list[int], heard: Callable[[int, int], None]
) -> dict[str, list[float]]:
    """Return, for each question, the share of right answers of a linear reader at the input and at some layers."""
    arrays = [_last_word(array, bench.setting) for array in _represent(bench, inputs, layers)]
    total, found = len(arrays) * len(labels), {name: list[float]() for name in labels}
    for number, array in enumerate(arrays):
        for place, (name, values) in enumerate(labels.items()):
            found[name].append(round(_accuracy(array, values), 4))
            heard(number * len(labels) + place + 1, total)
    return found


def _represent(bench: Bench, inputs: Tensor, layers: list[int]) -> list[np.ndarray]:
    context, width = bench.setting.what.context, bench.setting.width
    most = context * width if context else 1024
    batches = list(inputs.split(128))
    found = represent(bench.model, batches, max_features=most)
    return [found.arrays[index] for index in (0, *layers)]


def _last_word(array: np.ndarray, setting: Setting) -> np.ndarray:
    """Return the part of a representation that belongs to the last word; of what has no words, all of it."""
    context = setting.what.context
    return array[:, -(array.shape[1] // context) :] if context else array


def _accuracy(array: np.ndarray, labels: np.ndarray) -> float:
    """Return the held-out accuracy of a logistic regression; the last third is held out."""
    cut = len(array) * 2 // 3
    scaler = StandardScaler().fit(array[:cut])
    known, new = scaler.transform(array[:cut]), scaler.transform(array[cut:])
    if not np.isfinite(known).all() or len(np.unique(labels[:cut])) < 2:
        return float(np.mean(labels[cut:] == labels[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(LogisticRegression(max_iter=60).fit(known, labels[:cut]).score(new, labels[cut:]))


def _layers(model: nn.Module, inputs: Tensor) -> list[int]:
    """Return which depth points are read, counted from 1."""
    return [index + 1 for index in evenly(_count(model, inputs), MOST_LAYERS)]


def _count(model: nn.Module, inputs: Tensor) -> int:
    trace: list[tuple[str, int]] = []
    with listen(model, on_call=lambda call: trace.append((call.name, call.index))):
        model(inputs)
    points = find_depth_points(model, trace, None).points
    if not points:
        raise ModelError("The network has no layers that could be read", "Blocks are found by themselves", "Take another depth")
    return len(points)


def _say(tell: Tell, text: str, done: int, total: int) -> None:
    tell({"event": "progress", "text": text, "done": done, "total": total})
