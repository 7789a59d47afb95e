"""What does a network see, and in which order?"""

from fathometer.data.batches import Batches, in_order
from fathometer.data.catalogue import DATASETS, find_dataset
from fathometer.data.digits import Digits, digits

__all__ = ["DATASETS", "Batches", "Digits", "digits", "find_dataset", "in_order"]
