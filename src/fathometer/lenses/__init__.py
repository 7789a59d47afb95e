"""What did each layer learn?"""

from fathometer.lenses.attention_distance import AttentionDistance, attention_distance
from fathometer.lenses.expected_layer import Expected, expected_layer
from fathometer.lenses.features import Features, features
from fathometer.lenses.ground_truth import GroundTruth, Level, code_truth, english_truth, hierarchy_truth, own_truth, scene_truth
from fathometer.lenses.hugging_face import load_folder
from fathometer.lenses.lesions import Lesions, lesion
from fathometer.lenses.levels import LevelProbes, probe_levels
from fathometer.lenses.logit_lens import LogitLens, logit_lens
from fathometer.lenses.look import Look, look
from fathometer.lenses.probes import Probes, probe
from fathometer.lenses.references import REFERENCES, Reference, look_at_reference, train_reference, untrained_reference
from fathometer.lenses.representations import Representations, represent, represent_places
from fathometer.lenses.shrink import Shrunk, shrink
from fathometer.lenses.similarity import Similarity, linear_cka, similarity
from fathometer.lenses.synonyms import Synonyms, synonym_sensitivity

__all__ = [
    "REFERENCES",
    "AttentionDistance",
    "Expected",
    "Features",
    "GroundTruth",
    "Lesions",
    "Level",
    "LevelProbes",
    "LogitLens",
    "Look",
    "Probes",
    "Reference",
    "Representations",
    "Shrunk",
    "Similarity",
    "Synonyms",
    "attention_distance",
    "code_truth",
    "english_truth",
    "expected_layer",
    "features",
    "hierarchy_truth",
    "lesion",
    "linear_cka",
    "load_folder",
    "logit_lens",
    "look",
    "look_at_reference",
    "own_truth",
    "probe",
    "probe_levels",
    "represent",
    "represent_places",
    "scene_truth",
    "shrink",
    "similarity",
    "synonym_sensitivity",
    "train_reference",
    "untrained_reference",
]
