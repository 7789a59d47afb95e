"""A small English grammar that knows what it says of each word."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, TypeVar

from fathometer.data.lexicon import ADJECTIVES, ADVERBS, COMMON_VERBS, NAMES, PLACE_WORDS, PRONOUNS, TOPICS, third_person

Item = TypeVar("Item")

PARTS_OF_SPEECH = (
    *("none", "article", "noun", "name", "pronoun", "verb"),
    *("auxiliary", "adjective", "adverb", "preposition", "conjunction", "mark"),
)
PHRASES = ("none", "noun phrase", "verb phrase", "prepositional phrase")
ROLES = ("none", "subject", "verb", "object", "place")
SENTENCES = ("none", "statement", "denial", "question")
MOST_REFERENTS = 4


class Word(NamedTuple):
    """One word and what it is: `phrase` is the innermost one, `referent` the thing meant, counted in the document from 1."""

    text: str
    part_of_speech: str
    phrase: str = "none"
    role: str = "none"
    referent: int = 0


class Sentence(NamedTuple):
    """The words of one sentence and its kind, one of `SENTENCES`."""

    kind: str
    words: list[Word]


class Document(NamedTuple):
    """A few sentences on one topic about the same people and things."""

    topic: str
    sentences: list[Sentence]


@dataclass
class _Referent:
    """A person or thing of one document: its noun, and its name and pronouns once it has been introduced."""

    noun: str
    gender: str
    name: str = ""
    number: int = 0


@dataclass
class _Story:
    """What has been said so far: who is who, and whom each pronoun would mean."""

    draw: Random
    topic: str
    people: list[_Referent]
    things: list[_Referent]
    meant_by: dict[str, _Referent] = field(default_factory=dict)
    introduced: int = 0


def write_document(draw: Random) -> Document:
    """Return four to eight sentences; the same generator in the same state writes the same ones.

    A new person comes by name and role ("anna the cook"), a new thing with "a"; after that they are "the cook", "anna",
    "she". A pronoun is used only where it means the last person of that gender, or the last thing, that was spoken of.
    """
    topic = _choose(draw, tuple(TOPICS))
    words = TOPICS[topic]
    roles, things = _some(draw, words.roles, 2), _some(draw, words.things, 2)
    people = [_Referent(role, gender, _choose(draw, NAMES[gender])) for role, gender in zip(roles, ("she", "he"), strict=True)]
    story = _Story(draw, topic, people, [_Referent(thing, "it") for thing in things])
    return Document(topic, [_sentence(story) for _ in range(4 + int(draw.random() * 5))])


def _sentence(story: _Story) -> Sentence:
    draw = story.draw
    kind = ("statement", "statement", "statement", "denial", "question")[int(draw.random() * 5)]
    if kind == "question":
        words = [Word("does", "auxiliary", "verb phrase", "verb"), *_subject(story), *_predicate(story, base_form=True)]
        return Sentence(kind, [*words, Word("?", "mark")])
    denied = kind == "denial"
    words = [*_subject(story), *(_not() if denied else ()), *_predicate(story, base_form=denied)]
    if not denied and draw.random() < 0.2:
        words += [Word("and", "conjunction"), *_subject(story), *_predicate(story, base_form=False)]
    return Sentence(kind, [*words, Word(".", "mark")])


def _subject(story: _Story) -> list[Word]:
    return _mention(story, _choose(story.draw, story.people), "subject")


def _not() -> list[Word]:
    return [Word("does", "auxiliary", "verb phrase", "verb"), Word("not", "adverb", "verb phrase", "verb")]


def _predicate(story: _Story, *, base_form: bool) -> list[Word]:
    """Return a verb with its adverb, its object and a place, as chance has it."""
    draw, topic = story.draw, TOPICS[story.topic]
    with_object = draw.random() < 0.6
    verbs = (*topic.verbs_with_object, *COMMON_VERBS) if with_object else topic.verbs_alone
    verb = _choose(draw, verbs)
    words = [Word(verb if base_form else third_person(verb), "verb", "verb phrase", "verb")]
    if with_object:
        words += _mention(story, _choose(draw, story.things), "object")
    elif draw.random() < 0.5:
        words.append(Word(_choose(draw, ADVERBS), "adverb", "verb phrase", "verb"))
    return words + (_place(story) if draw.random() < 0.35 else [])


def _place(story: _Story) -> list[Word]:
    noun = _choose(story.draw, TOPICS[story.topic].places)
    preposition = Word(_choose(story.draw, PLACE_WORDS), "preposition", "prepositional phrase", "place")
    return [preposition, *_with_article("the", noun, "place", 0, _maybe_adjective(story.draw))]


def _mention(story: _Story, who: _Referent, role: str) -> list[Word]:
    """Return the words for a person or thing, and remember that it was spoken of."""
    is_clear, is_new = story.meant_by.get(who.gender) is who, not who.number
    story.meant_by[who.gender] = who
    if is_new:
        story.introduced += 1
        who.number = story.introduced
        return _introduce(story.draw, who, role)
    if is_clear and story.draw.random() < 0.6:
        return [Word(PRONOUNS[who.gender, role], "pronoun", "noun phrase", role, who.number)]
    if who.name and story.draw.random() < 0.4:
        return [Word(who.name, "name", "noun phrase", role, who.number)]
    return _with_article("the", who.noun, role, who.number, _maybe_adjective(story.draw))


def _introduce(draw: Random, who: _Referent, role: str) -> list[Word]:
    if who.name:
        return [Word(who.name, "name", "noun phrase", role, who.number), *_with_article("the", who.noun, role, who.number)]
    return _with_article("a", who.noun, role, who.number, _maybe_adjective(draw))


def _with_article(article: str, noun: str, role: str, referent: int, adjective: str = "") -> list[Word]:
    if article == "a" and (adjective or noun)[0] in "aeiou":
        article = "an"
    middle = [Word(adjective, "adjective", "noun phrase", role, referent)] if adjective else []
    around = Word(article, "article", "noun phrase", role, referent), Word(noun, "noun", "noun phrase", role, referent)
    return [around[0], *middle, around[1]]


def _maybe_adjective(draw: Random) -> str:
    return _choose(draw, ADJECTIVES) if draw.random() < 0.3 else ""


def _choose(draw: Random, items: Sequence[Item]) -> Item:
    # Of Python's generator only `random` is promised to stay the same in all versions.
    return items[int(draw.random() * len(items))]


def _some(draw: Random, items: Sequence[str], count: int) -> list[str]:
    left = list(items)
    return [left.pop(int(draw.random() * len(left))) for _ in range(count)]
