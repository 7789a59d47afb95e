"""How is any module called, and what does its answer mean?"""

from fathometer.contract.batches import LossFunction, batch_size, known_targets, loss_of, split_batch, take_samples
from fathometer.contract.calling import arguments_for, call
from fathometer.contract.losses import IGNORED, are_classes, class_rows, default_loss, output_tensor
from fathometer.contract.values import loss_in, main_tensor, map_tensors, tensors_in
from fathometer.contract.wrappers import unwrapped

__all__ = [
    "IGNORED",
    "LossFunction",
    "are_classes",
    "arguments_for",
    "batch_size",
    "call",
    "class_rows",
    "default_loss",
    "known_targets",
    "loss_in",
    "loss_of",
    "main_tensor",
    "map_tensors",
    "output_tensor",
    "split_batch",
    "take_samples",
    "tensors_in",
    "unwrapped",
]
