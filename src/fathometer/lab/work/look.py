"""What each layer knows: a linear reader by depth, before and after."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from fathometer.data import parse, random_hierarchy, write_language
from fathometer.errors import ModelError
from fathometer.instruments import find_depth_points
from fathometer.instruments.taps import listen
from fathometer.lab.answers import evenly
from fathometer.lab.orders import Order, Tell
from fathometer.lab.setting import Setting
from fathometer.lab.work.bench import Bench, set_up
from fathometer.lab.work.teach import teach
from fathometer.lenses import represent

MOST_LAYERS = 8  # read, evenly spaced: each costs a regression for each question
KNOWN, MOST_NEW = 800, 600  # samples that a reader learns from, and on which it is scored
SYMBOLS = 8  # of the hierarchy
LANGUAGE_LEVELS = ("part of speech", "phrase", "role", "topic")
Labels = Mapping[str, np.ndarray]


def work_look(order: Order, tell: Tell) -> dict[str, Any]:
    """Read every few layers with a linear probe: as the network started, and, where asked, after training.

    The reader learns from samples that the network trains on, and is scored on samples that it has not seen.
    """
    bench = set_up(order)
    inputs, labels = questions(bench)
    layers = _layers(bench.model, inputs[:2])
    stages = 1 + order.trained
    before = _read(bench, inputs, labels, layers, lambda done, total: _say(tell, "reading the start", done, total * stages))
    result: dict[str, Any] = {"kind": "look", "at": [0, *layers], "depth": _count(bench.model, inputs[:2]), "before": before}
    if order.trained:
        trained = teach(bench, tell)
        after = _read(
            bench, inputs, labels, layers, lambda done, total: _say(tell, "reading what was learnt", done + total, total * 2)
        )
        result |= {"after": after, "run": trained}
    chances = {name: _commonest(values[KNOWN:]) for name, values in labels.items()}
    return result | {"chance": chances, "remedy": bench.remedy}


def _commonest(labels: np.ndarray) -> float:
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def questions(bench: Bench) -> tuple[Tensor, Labels]:
    """Return samples, the first `KNOWN` to learn from, and what can be asked of them by name, from near the input on."""
    setting, material = bench.setting, bench.material
    if setting.task == "english":
        return _language_questions(setting)
    parts = [(train[:KNOWN], held_out[:MOST_NEW]) for train, held_out in zip(material.train, material.held_out, strict=True)]
    inputs, targets = (torch.cat(pair) for pair in parts)
    classes = {"class": targets.numpy()}
    return inputs, {**_parts(inputs), **classes} if setting.task == "hierarchy" else classes


def _parts(inputs: Tensor) -> Labels:
    """Return the first symbol of each hidden level of the hierarchy's one-hot inputs, lowest first."""
    symbols = inputs.reshape(len(inputs), -1, SYMBOLS).argmax(dim=2).numpy()
    levels = parse(random_hierarchy(classes=8, symbols=SYMBOLS, synonyms=4, levels=3, branching=2), symbols)
    return {"a pair's meaning": levels[2][:, 0], "a half's meaning": levels[1][:, 0]}


def _language_questions(setting: Setting) -> tuple[Tensor, Labels]:
    """Return windows of English, some that were trained on and some that were not, and the labels of the last word of each."""
    context, windows, labels = setting.what.context, list[np.ndarray](), {name: list[np.ndarray]() for name in LANGUAGE_LEVELS}
    for held_out, count in ((False, KNOWN), (True, MOST_NEW)):
        written = write_language(count * context, held_out=held_out)
        last = np.arange(context - 1, len(written.tokens), context)[:count]
        windows += [written.tokens[end - context + 1 : end + 1] for end in last]
        for name, found in labels.items():
            found.append(written.labels[name][last])
    return torch.from_numpy(np.stack(windows)), {name: np.concatenate(found) for name, found in labels.items()}


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
    """Return the accuracy of a logistic regression on samples that neither it nor the network has seen."""
    scaler = StandardScaler().fit(array[:KNOWN])
    known, new = scaler.transform(array[:KNOWN]), scaler.transform(array[KNOWN:])
    if not (np.isfinite(known).all() and np.isfinite(new).all()):
        return _commonest(labels[KNOWN:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(LogisticRegression(max_iter=60).fit(known, labels[:KNOWN]).score(new, labels[KNOWN:]))


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
