"""What did each layer learn?"""

from fathometer.lenses.expected_layer import Expected, expected_layer
from fathometer.lenses.ground_truth import GroundTruth, Level, code_truth, english_truth, scene_truth
from fathometer.lenses.levels import LevelProbes, probe_levels
from fathometer.lenses.probes import Probes, probe
from fathometer.lenses.references import REFERENCES, Reference, train_reference, untrained_reference
from fathometer.lenses.representations import Representations, represent, represent_places
from fathometer.lenses.similarity import Similarity, linear_cka, similarity

__all__ = [
    "REFERENCES",
    "Expected",
    "GroundTruth",
    "Level",
    "LevelProbes",
    "Probes",
    "Reference",
    "Representations",
    "Similarity",
    "code_truth",
    "english_truth",
    "expected_layer",
    "linear_cka",
    "probe",
    "probe_levels",
    "represent",
    "represent_places",
    "scene_truth",
    "similarity",
    "train_reference",
    "untrained_reference",
]
