"""What single tokens, and pairs of them, tell of a text by themselves."""

import numpy as np
from jaxtyping import Float64, Integer


def sequence_facts(
    train: Integer[np.ndarray, " train"], held_out: Integer[np.ndarray, " held_out"], vocabulary: int
) -> dict[str, float]:
    """Return what is known of the held-out tokens without a network, in nats per token.

    `unigram_entropy` and `bigram_entropy` are the held-out text's own: about the lowest loss that any table of tokens, or
    of pairs, can have on it. `unigram_loss` and `bigram_loss` are what such tables reach when the training text fills
    them. Where the vocabulary is large and the text short most pairs occur once: then trust the losses.
    """
    return {
        "unigram_entropy": unigram_entropy(held_out, vocabulary),
        "bigram_entropy": bigram_entropy(held_out, vocabulary),
        "unigram_loss": unigram_loss(train, held_out, vocabulary),
        "bigram_loss": bigram_loss(train, held_out, vocabulary),
    }


def unigram_entropy(tokens: Integer[np.ndarray, " tokens"], vocabulary: int) -> float:
    """Return the entropy of one token in nats, with the correction of Miller 1955 and Madow for a finite text."""
    return _entropy(np.bincount(tokens, minlength=vocabulary))


def bigram_entropy(tokens: Integer[np.ndarray, " tokens"], vocabulary: int) -> float:
    """Return the entropy of a token given the one before it, in nats: that of pairs less that of their first tokens.

    Each with the Miller–Madow correction, (kinds - 1) / (2 counts); without it rare pairs look certain.
    """
    pairs = np.unique(_pairs(tokens, vocabulary), return_counts=True)[1]
    return _entropy(pairs) - unigram_entropy(tokens[:-1], vocabulary)


def unigram_loss(train: Integer[np.ndarray, " train"], held_out: Integer[np.ndarray, " held_out"], vocabulary: int) -> float:
    """Return the held-out loss in nats per token of the training text's frequencies, one added to each.

    The first token is not counted, so that the number stands beside `bigram_loss`.
    """
    return float(-np.log(_frequencies(train, vocabulary)[held_out[1:]]).mean())


def bigram_loss(train: Integer[np.ndarray, " train"], held_out: Integer[np.ndarray, " held_out"], vocabulary: int) -> float:
    """Return the held-out loss in nats per token of the training text's pairs.

    The probability of b after a is (c(ab) + k(a) p(b)) / (c(a) + k(a)), with c the counts, k(a) the number of different
    tokens seen after a, and p the frequencies of `unigram_loss`. Witten & Bell 1991, method C.
    """
    codes, counts = np.unique(_pairs(train, vocabulary), return_counts=True)
    firsts = codes // vocabulary
    seen_after = np.bincount(firsts, weights=counts, minlength=vocabulary)
    kinds_after = np.bincount(firsts, minlength=vocabulary)
    wanted = _pairs(held_out, vocabulary)
    at = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
    pair_counts = np.where(codes[at] == wanted, counts[at], 0)
    first, frequencies = held_out[:-1], _frequencies(train, vocabulary)[held_out[1:]]
    total = seen_after[first] + kinds_after[first]
    mixed = (pair_counts + kinds_after[first] * frequencies) / np.maximum(total, 1)
    return float(-np.log(np.where(total > 0, mixed, frequencies)).mean())


def _entropy(counts: Integer[np.ndarray, " kinds"]) -> float:
    counts = counts[counts > 0]
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum() + (len(counts) - 1) / (2 * counts.sum()))


def _frequencies(tokens: Integer[np.ndarray, " tokens"], vocabulary: int) -> Float64[np.ndarray, " vocabulary"]:
    counts = np.bincount(tokens, minlength=vocabulary) + 1.0
    return counts / counts.sum()


def _pairs(tokens: Integer[np.ndarray, " tokens"], vocabulary: int) -> Integer[np.ndarray, " pairs"]:
    """Return each pair as one number, in the smallest type that holds it: sorting is then several times faster."""
    # Not uint64, which numpy does not count.
    kind = next(kind for kind in (np.uint16, np.uint32, np.int64) if vocabulary * vocabulary - 1 <= np.iinfo(kind).max)
    return tokens[:-1].astype(kind) * kind(vocabulary) + tokens[1:].astype(kind)
