"""The network of an order on its bench: built, fed, mended if asked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fathometer.data import Batches, find_dataset
from fathometer.data.batches import in_order
from fathometer.data.dataset import Samples
from fathometer.diagnosis.case import Case, make_case
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.remedies import propose
from fathometer.errors import ModelError
from fathometer.lab.orders import Order
from fathometer.lab.setting import BATCH_SIZE, Setting, asked_of, spec_of
from fathometer.networks import build, scales
from fathometer.parametrizations import WIDTH_AWARE, Scale
from fathometer.records import Asked
from fathometer.training import make_optimizer

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Material:
    """What a task gives: samples to train on, and samples held out, as tensors of the shape that a family takes."""

    train: Pair
    held_out: Pair

    def batches(self, seed: int) -> Batches:
        """Return endless shuffled batches."""
        return Batches(*self.train, BATCH_SIZE, seed)

    def list_of(self, pair: Pair, size: int = BATCH_SIZE) -> list[Pair]:
        """Return samples in order, in batches."""
        return list(in_order(*pair, size))

    @property
    def blind_loss(self) -> float:
        """Return the held-out loss of the best answer that sees no input: the entropy of the classes, or of the words."""
        counts = torch.bincount(self.held_out[1].reshape(-1)).double()
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * shares.log()).sum())


@dataclass(frozen=True, eq=False)
class Bench:
    """A network, what it sees, and how it is taught."""

    setting: Setting
    model: nn.Module
    material: Material
    asked: Asked
    multipliers: Mapping[str, Scale] | None
    remedy: str | None = None

    @property
    def case(self) -> Case:
        """Return the network with its first batch."""
        inputs, targets = (part[:BATCH_SIZE] for part in self.material.train)
        return make_case(self.model, (inputs, targets), None, self.setting.seed)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimizer that the setting names, over the network's parameters."""
        return make_optimizer(self.model, self.asked, self.multipliers)


def set_up(order: Order) -> Bench:
    """Return the bench of an order: the network is built, and changed by the remedy that the order names."""
    setting = order.setting
    spec = spec_of(setting)
    model = build(spec, seed=setting.seed)
    multipliers = scales(model) if spec.init in WIDTH_AWARE else None
    bench = Bench(setting, model, material_of(setting), asked_of(setting), multipliers)
    return bench if order.remedy is None else _mended(bench, *order.remedy)


def _mended(bench: Bench, place: int, name: str) -> Bench:
    """Return the bench with a remedy applied: the same list is made anew as when it was mended."""
    case = bench.case
    candidates = propose(case, examine(case, optimizer=bench.optimizer()))
    if place >= len(candidates) or candidates[place].remedy.name != name or candidates[place].remedy.is_advice:
        raise ModelError(
            f'Remedy {place + 1}, "{name}", is none of this network',
            f"There are {len(candidates)} for it",
            "Mend it again: a control may have changed since",
        )
    candidate = candidates[place]
    model = candidate.apply(case, bench.setting.seed)
    asked = replace(bench.asked, **candidate.training)
    return replace(bench, model=model, asked=asked, multipliers=None, remedy=candidate.remedy.title)


def material_of(setting: Setting) -> Material:
    """Return the samples of a setting's task, in the shape that its family takes."""
    data = find_dataset(setting.what.data, **setting.what.options)
    pairs = []
    for batches in (_all_training(data), data.held_out(1024)):
        inputs, targets = zip(*batches, strict=True)
        pairs.append((_shaped(torch.cat(inputs), setting), torch.cat(targets)))
    return Material(*pairs)


def _all_training(data: object) -> list[Pair]:
    assert isinstance(data, Samples) or hasattr(data, "train_inputs")
    return list(in_order(data.train_inputs, data.train_targets, 1024))  # pyrefly: ignore[missing-attribute]


def _shaped(inputs: Tensor, setting: Setting) -> Tensor:
    if setting.family == "convnet":
        side, channels = setting.what.side, setting.what.channels
        return inputs.reshape(len(inputs), channels, side, side)
    return inputs.flatten(1) if setting.family == "mlp" else inputs
