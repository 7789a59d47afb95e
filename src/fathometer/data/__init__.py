"""What does a network see, and in which order?"""

from fathometer.data.batches import Batches, in_order
from fathometer.data.catalogue import DATASETS, check_options, find_dataset
from fathometer.data.code import Code, write_code
from fathometer.data.columns import Column, Converted
from fathometer.data.dataset import Dataset, Samples, Stream
from fathometer.data.digits import Digits, digits
from fathometer.data.folding import parity, sawtooth, tent
from fathometer.data.hierarchy import Hierarchy, expand, hierarchy, parse, random_hierarchy
from fathometer.data.images import images
from fathometer.data.language import Language, language, write_language
from fathometer.data.scenes import Scenes, draw_scenes, scenes
from fathometer.data.text import text

__all__ = [
    "DATASETS",
    "Batches",
    "Code",
    "Column",
    "Converted",
    "Dataset",
    "Digits",
    "Hierarchy",
    "Language",
    "Samples",
    "Scenes",
    "Stream",
    "check_options",
    "digits",
    "draw_scenes",
    "expand",
    "find_dataset",
    "hierarchy",
    "images",
    "in_order",
    "language",
    "parity",
    "parse",
    "random_hierarchy",
    "sawtooth",
    "scenes",
    "tent",
    "text",
    "write_code",
    "write_language",
]
