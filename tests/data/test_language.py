"""Generated English is grammatical, and its labels are right at every token."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fathometer.data import Language, language, write_language
from fathometer.data.language import CHARACTERS, LEVELS, WORDS
from fathometer.data.lexicon import COMMON_VERBS, PRONOUNS, TOPICS, third_person
from fathometer.errors import DataError

THIRD_PERSON = {
    third_person(verb) for topic in TOPICS.values() for verb in (*topic.verbs_with_object, *topic.verbs_alone, *COMMON_VERBS)
}
GENDERS = {word: gender for (gender, _), word in PRONOUNS.items()}


@pytest.fixture(scope="module")
def written() -> Language:
    """Return some hundred documents as words."""
    return write_language(10_000, seed=1)


def names(text: Language, level: str) -> list[str]:
    """Return the name of each token's label."""
    return [LEVELS[level][number] for number in text.labels[level].tolist()]


def test_words_and_characters_are_one_text() -> None:
    """The same seed writes the same documents in both units, apart from the spaces before marks."""
    words, characters = write_language(500, seed=4), write_language(5000, unit="character", seed=4)
    as_words = words.text.replace(" .", ".").replace(" ?", "?").replace(" \n ", "\n").replace(" \n", "\n")

    shorter = min(len(as_words), len(characters.text))
    assert as_words[:shorter] == characters.text[:shorter]
    assert shorter > 1000


def test_a_character_has_the_labels_of_its_word() -> None:
    """Read word by word, the characters' labels are the words' labels; a space and an end have no word."""
    words, characters = write_language(300, seed=2), write_language(300, unit="character", seed=2)
    text, last = characters.text, None
    found = []
    for at, character in enumerate(text):
        labels = tuple(int(characters.labels[level][at]) for level in LEVELS)
        is_new = at == 0 or text[at - 1] in " \n" or character in ".?\n"
        if character != " " and is_new:
            found.append(labels)
        elif character != " ":
            assert labels == last
        last = labels
    expected = list(zip(*(words.labels[level].tolist() for level in LEVELS), strict=True))

    assert found == expected[: len(found)]
    assert len(found) > 40


def test_the_word_is_the_token(written: Language) -> None:
    """At the level of words a word token labels itself, and the text reads back."""
    assert (written.labels["word"] == written.tokens).all()
    assert written.text.split(" ") == [WORDS[token] for token in written.tokens]
    assert set(CHARACTERS) >= set(write_language(3000, unit="character").text)


def test_a_pronoun_means_the_last_of_its_gender(written: Language) -> None:
    """Reading from the left, "she" is always the woman, and "it" the thing, that was last spoken of."""
    last: dict[tuple[int, str], int] = {}
    genders: dict[tuple[int, int], str] = {}
    checked = 0
    words, parts, referents = names(written, "word"), names(written, "part of speech"), written.labels["referent"]
    roles = {role for topic in TOPICS.values() for role in topic.roles}
    women = {"anna", "ruth", "clara", "irene", "nora"}
    for word, part, referent, document in zip(words, parts, referents.tolist(), written.documents.tolist(), strict=True):
        if part == "pronoun":
            assert last[document, GENDERS[word]] == referent
            checked += 1
        elif referent and part == "name":
            genders[document, referent] = "she" if word in women else "he"
        elif referent and part == "noun" and word not in roles:
            genders[document, referent] = "it"
        if referent and (document, referent) in genders:
            last[document, genders[document, referent]] = referent
    assert checked > 300


def test_a_person_is_introduced_before_it_is_known(written: Language) -> None:
    """The first word about a person is the name, about a thing "a" or "an"; referents count up from 1 in each document."""
    seen: dict[int, int] = {}
    for word, part, referent, document in zip(
        names(written, "word"),
        names(written, "part of speech"),
        written.labels["referent"].tolist(),
        written.documents.tolist(),
        strict=True,
    ):
        if referent > seen.get(document, 0):
            assert referent == seen.get(document, 0) + 1
            assert part == "name" or word in ("a", "an")
            seen[document] = referent
    assert max(seen.values()) == 4


def test_words_are_of_more_than_one_part_of_speech(written: Language) -> None:
    """Some words are noun and verb, so that the word alone does not tell; most are of one."""
    found: dict[str, set[str]] = {}
    for word, part in zip(names(written, "word"), names(written, "part of speech"), strict=True):
        found.setdefault(word, set()).add(part)

    both = {word for word, parts in found.items() if parts == {"noun", "verb"}}
    assert {"cook", "plant", "sail", "drum", "paint"} <= both
    assert sum(len(parts) == 1 for parts in found.values()) > 100


def test_a_sentence_has_one_subject_side_and_the_mark_of_its_kind(written: Language) -> None:
    """Questions begin with "does" and end with "?"; denials hold "not"; the verb agrees."""
    words, kinds, parts = names(written, "word"), names(written, "sentence"), names(written, "part of speech")
    start = 0
    for at, word in enumerate(words):
        if word == "\n":
            start = at + 1
        if word not in ".?":
            continue
        sentence, kind = words[start : at + 1], kinds[start]
        assert len(set(kinds[start : at + 1])) == 1
        assert (word == "?") == (kind == "question") == (sentence[0] == "does")
        assert ("not" in sentence) == (kind == "denial")
        verbs = [each for each, part in zip(sentence, parts[start : at + 1], strict=True) if part == "verb"]
        assert all((verb in THIRD_PERSON) == (kind == "statement") for verb in verbs)
        start = at + 1


def test_a_document_keeps_to_its_topic(written: Language) -> None:
    """Each document has one topic, all topics come, and nouns are of the document's topic."""
    topics = names(written, "topic")
    by_document: dict[int, set[str]] = {}
    for topic, document in zip(topics, written.documents.tolist(), strict=True):
        by_document.setdefault(document, set()).add(topic)
    nouns = {name: {*topic.roles, *topic.things, *topic.places} for name, topic in TOPICS.items()}

    assert all(len(found) == 1 for found in by_document.values())
    assert set.union(*by_document.values()) == set(TOPICS)
    for word, part, topic in zip(names(written, "word"), names(written, "part of speech"), topics, strict=True):
        assert part != "noun" or word in nouns[topic]


def test_an_article_fits_the_word_after_it(written: Language) -> None:
    """It is "an" before a vowel and "a" before anything else."""
    words = names(written, "word")
    for word, after in pairwise(words):
        if word in ("a", "an"):
            assert (word == "an") == (after[0] in "aeiou")


def test_labels_that_are_shifted_by_one_are_wrong(written: Language) -> None:
    """The checks above can fail: labels of the next token break the simplest of them."""
    shifted = np.roll(written.labels["part of speech"], 1)
    articles = [
        LEVELS["part of speech"][number] for number, word in zip(shifted, names(written, "word"), strict=True) if word == "the"
    ]

    assert "article" not in articles


def test_the_parts_are_other_documents() -> None:
    """What is held out is not what is trained on; one seed and part always write the same."""
    train, again, held = (write_language(2000, held_out=held_out) for held_out in (False, False, True))

    assert train.text == again.text
    assert not set(train.text.split("\n")) & set(held.text.split("\n")) - {"", " "}


@pytest.mark.parametrize("unit", ["word", "character"])
def test_the_data_set_is_the_written_text(unit: str) -> None:
    """Windows put together are the tokens of `write_language`, so that labels can be set beside them."""
    data = language(unit=unit, context=32, tokens=3000, seed=5)
    written = write_language(3000, unit=unit, seed=5)
    tokens = data.train_inputs[:].flatten().tolist()

    assert tokens == written.tokens.tolist()[: len(tokens)]
    assert data.facts["vocabulary"] == len(written.vocabulary)


def test_there_is_more_to_know_than_pairs() -> None:
    """A pair tells a good part of the next word, and not all: the text is neither noise nor a list."""
    facts = language(tokens=20_000).facts

    assert 1 < facts["bigram_entropy"] < 0.7 * facts["unigram_entropy"]


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"unit": "letter"}, 'no unit of language named "letter"'),
        ({"tokens": 0}, "`tokens` is 0"),
        ({"context": 10**6, "tokens": 100}, "`context` is 1000000"),
        ({"context": 0, "tokens": 100}, "`context` is 0"),
    ],
)
def test_language_that_cannot_be_written_is_an_error(options: dict[str, Any], given: str) -> None:
    """A wrong unit or size is named."""
    with pytest.raises(DataError, match=given):
        language(**options)
