"""The words of the generated English, by topic."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """The words of one topic; some serve as noun and as verb, so that only the sentence tells which."""

    roles: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    verbs_with_object: tuple[str, ...]
    verbs_alone: tuple[str, ...]


TOPICS: Mapping[str, Topic] = {
    "kitchen": Topic(
        ("cook", "baker", "guest", "waiter"),
        ("soup", "drink", "pepper", "butter", "roast", "oven"),
        ("kitchen", "table", "cellar"),
        ("cook", "roast", "butter", "pepper", "taste"),
        ("cook", "drink", "taste", "rest"),
    ),
    "sea": Topic(
        ("sailor", "pilot", "captain", "diver"),
        ("ship", "anchor", "sail", "net", "fish", "harpoon"),
        ("harbour", "deck", "island"),
        ("sail", "anchor", "ship", "steer", "net"),
        ("sail", "fish", "dive", "drift"),
    ),
    "farm": Topic(
        ("farmer", "shepherd", "miller", "hunter"),
        ("plant", "plough", "sheep", "hedge", "fence", "egg"),
        ("field", "barn", "meadow"),
        ("plant", "plough", "fence", "feed", "water"),
        ("plough", "hunt", "farm", "rest"),
    ),
    "school": Topic(
        ("teacher", "pupil", "writer", "guide"),
        ("book", "question", "letter", "map", "test", "essay"),
        ("school", "library", "garden"),
        ("question", "map", "test", "read", "copy"),
        ("read", "study", "guess", "listen"),
    ),
    "music": Topic(
        ("singer", "dancer", "drummer", "fiddler"),
        ("drum", "dance", "song", "record", "tune", "organ"),
        ("stage", "hall", "studio"),
        ("record", "tune", "drum", "practise", "play"),
        ("dance", "drum", "sing", "listen"),
    ),
    "building": Topic(
        ("builder", "painter", "smith", "carpenter"),
        ("hammer", "paint", "brick", "nail", "saw", "arch"),
        ("workshop", "roof", "bridge"),
        ("hammer", "paint", "nail", "saw", "measure"),
        ("paint", "hammer", "climb", "rest"),
    ),
}
COMMON_VERBS = ("see", "like", "find", "need")
ADJECTIVES = ("old", "new", "small", "heavy", "light", "empty", "fine", "strange")
ADVERBS = ("slowly", "often", "quietly", "again", "early")
PLACE_WORDS = ("in", "near", "behind", "beside")
NAMES: Mapping[str, tuple[str, ...]] = {
    "she": ("anna", "ruth", "clara", "irene", "nora"),
    "he": ("karl", "paul", "simon", "oscar", "hugo"),
}
PRONOUNS: Mapping[tuple[str, str], str] = {
    ("she", "subject"): "she",
    ("she", "object"): "her",
    ("he", "subject"): "he",
    ("he", "object"): "him",
    ("it", "subject"): "it",
    ("it", "object"): "it",
}
SMALL_WORDS = ("a", "an", "the", "does", "not", "and", ".", "?")


def third_person(verb: str) -> str:
    """Return the form after he, she and it.

    >>> [third_person(verb) for verb in ("fish", "study", "play", "see")]
    ['fishes', 'studies', 'plays', 'sees']
    """
    if verb.endswith(("s", "sh", "ch", "x", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2] not in "aeiou" else verb + "s"


def all_words() -> tuple[str, ...]:
    """Return every word that can be written, in the order of the alphabet."""
    found = {*SMALL_WORDS, *ADJECTIVES, *ADVERBS, *PLACE_WORDS, *PRONOUNS.values(), *NAMES["she"], *NAMES["he"]}
    verbs = {*COMMON_VERBS}
    for topic in TOPICS.values():
        found |= {*topic.roles, *topic.things, *topic.places}
        verbs |= {*topic.verbs_with_object, *topic.verbs_alone}
    return tuple(sorted(found | verbs | {third_person(verb) for verb in verbs}))
