"""Longest common subsequences of token lists, as ROUGE-L and ROUGE-Lsum need them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Bit-parallel: a row of the dynamic programme is one integer, a bit for each token of `a`
    (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).
    """
    places: dict[str, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for token in b:
        match = row & places.get(token, 0)
        row = ((row + match) | (row - match)) & full
    return len(a) - row.bit_count()


def lcs_positions(reference: Sequence[str], candidate: Sequence[str]) -> list[int]:
    """Return the places in `reference` of one longest common subsequence.

    Where several are equally long, the one that ``rouge-score`` finds: it walks back from both
    ends and drops a token of the candidate only when that is strictly better.
    """
    table = _table(reference, candidate)
    found: list[int] = []
    i, j = len(reference), len(candidate)
    while i and j:
        if reference[i - 1] == candidate[j - 1]:
            i, j = i - 1, j - 1
            found.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return found[::-1]


def _table(a: Sequence[str], b: Sequence[str]) -> list[list[int]]:
    """Return the LCS length of every prefix of `a` with every prefix of `b`."""
    table = [[0] * (len(b) + 1)]
    for x in a:
        above, row = table[-1], [0]
        for j, y in enumerate(b):
            row.append(above[j] + 1 if x == y else max(above[j + 1], row[j]))
        table.append(row)
    return table


def union_hits(reference: Sequence[Sequence[str]], candidate: Sequence[Sequence[str]]) -> int:
    """Return how many tokens of a text's sentences are covered by another text's (ROUGE-Lsum).

    Lin, "ROUGE: A package for automatic evaluation of summaries" (2004), section 3.2: each
    reference sentence's common subsequences with all candidate sentences are united; a token
    counts as often as both texts have it.
    """
    left = _counts(reference) & _counts(candidate)
    hits = 0
    for sentence in reference:
        united = {i for other in candidate for i in lcs_positions(sentence, other)}
        for token in (sentence[i] for i in sorted(united)):
            if left[token] > 0:
                left[token] -= 1
                hits += 1
    return hits


def _counts(sentences: Iterable[Sequence[str]]) -> Counter[str]:
    """Return how often each token occurs."""
    return Counter(token for sentence in sentences for token in sentence)
