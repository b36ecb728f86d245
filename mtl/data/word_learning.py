"""A word rule from training rows: from texts with their words, or from words alone.

Where a text is at hand, it shows where words meet without a space. Words alone show what stands
inside of them; that two of them meet is then a guess, made where one begins or ends with a sign,
and everywhere in scripts without spaces.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mtl.data.scripts import is_spaceless
from mtl.data.word_rule import CHUNK, Cuts, WordRule, classes, contexts
from mtl.data.words import find_words

DISTINCT = 100_000
"""Most different pieces of text that are looked at, the commonest first."""
CONTEXTS = 20_000
EXCEPTIONS = 5_000
VOCABULARY = 20_000
APOSTROPHES = "'’"
_ENDING = 5
"""Most characters of a word with an apostrophe that joins its neighbor."""
_INNER = 0.1
"""Of words alone: the share of a sign between letters or digits that must stand inside words, to be
a part of them; that it stands alone may be a dash with spaces around it."""
_SEGMENTED = 0.05
"""Share of longer words in a script without spaces from which on they are no slip."""
_RATHER = 10
"""Of words alone: how much oftener two words must stand side by side than as one, to be two."""

Piece = tuple[str, Cuts]


@dataclass
class Seen:
    """What training rows show, counted."""

    exact: Counter[Piece] = field(default_factory=Counter)
    """Pieces of texts without white space, and where words begin inside of them."""
    words: Counter[str] = field(default_factory=Counter)
    """Words of rows without a text."""
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Words side by side in these rows."""

    def add(self, words: Sequence[str], text: str | None) -> None:
        """Count a row; a text in which a word is missing does not count."""
        whole = [word for word in words if word.strip()]
        if text is None:
            self.words.update(whole)
            self.pairs.update(pairwise(whole))
            return
        found = find_words(text, whole)
        if found is not None:
            self.exact.update(pieces(text, *(side.tolist() for side in found)))


def pieces(text: str, starts: Sequence[int], ends: Sequence[int]) -> Iterator[Piece]:
    """Yield each piece of a text without white space, if words cover all of it."""
    first = 0
    for chunk in CHUNK.finditer(text):
        at, end = chunk.span()
        last = first
        while last < len(starts) and starts[last] < end:
            last += 1
        inside, first = range(first, last), last
        edges = [at, *(ends[i] for i in inside)]
        if [starts[i] for i in inside] == edges[:-1] and edges[-1] == end and last > inside.start:
            yield chunk[0], tuple(starts[i] - at for i in inside)[1:]


def learn_words(rows: Iterable[tuple[Sequence[str], str | None]]) -> WordRule:
    """Return the rule by which raw texts become words like those of training.

    Args:
        rows: Each row's words, and the text that they were split from if it is at hand.
    """
    seen = Seen()
    for words, text in rows:
        seen.add(words, text)
    exact = dict(_commonest(seen.exact))
    alone: list[tuple[Piece, int]] = [
        ((word, ()), count) for word, count in seen.words.most_common(DISTINCT)
    ]
    joined = _joined(seen)
    evidence = _Evidence()
    for is_exact, shown in ((True, exact.items()), (False, alone)):
        kinds: Counter[Piece] = Counter()  # Many pieces look alike.
        for (piece, cuts), count in shown:
            kinds["".join(classes(piece)), cuts] += count
        for (kind, cuts), count in _broken(kinds).items():
            evidence.piece(kind, cuts, count, exact=is_exact)
    for (piece, cut), count in joined.items():
        evidence.place(classes(piece), cut, count, exact=False, is_cut=True, alone=True)
    endings, beginnings = _clitics(exact, seen.pairs)
    rule = WordRule(
        **evidence.contexts(),
        endings=endings,
        beginnings=beginnings,
        vocabulary=_vocabulary(exact, seen.words),
    )
    known = {**exact}
    known.update((piece, n) for piece, n in alone if _is_one(piece[0], n, seen, joined))
    return rule.model_copy(update={"whole": _exceptions(rule, known)})


def _commonest(exact: Counter[Piece]) -> Iterator[tuple[Piece, int]]:
    """Yield pieces with the cuts that they have most often."""
    done: set[str] = set()
    for (piece, cuts), count in sorted(exact.items(), key=lambda item: (-item[1], item[0])):
        if piece not in done and len(done) < DISTINCT:
            done.add(piece)
            yield (piece, cuts), count


def _broken(kinds: Counter[Piece]) -> Counter[Piece]:
    """Return pieces, broken where two words meet at letters, if most neighboring letters are one's.

    Such places, as in ``do|n't``, are known by the words, and not by what letters are in general.
    """
    cut = sum(
        n * sum(kind[c - 1 : c + 1] == "LL" for c in cuts) for (kind, cuts), n in kinds.items()
    )
    every = sum(
        n * sum(pair == ("L", "L") for pair in pairwise(kind)) for (kind, _), n in kinds.items()
    )
    if not cut or 2 * cut > every:
        return kinds
    found: Counter[Piece] = Counter()
    for (kind, cuts), count in kinds.items():
        edges = [0, *(c for c in cuts if kind[c - 1 : c + 1] == "LL"), len(kind)]
        for start, end in pairwise(edges):
            inside = tuple(c - start for c in cuts if start < c < end)
            found[kind[start:end], inside] += count
    return found


def _joined(seen: Seen) -> dict[tuple[str, int], int]:
    """Return what two words would be without a space, where they may have none, and their cut."""
    letters = [word for word in seen.words if word[0].isalpha()]
    spaceless = sum(seen.words[word] for word in letters if is_spaceless(word[0]))
    everywhere = 2 * spaceless > sum(seen.words[word] for word in letters)
    found: Counter[tuple[str, int]] = Counter()
    for (before, after), count in seen.pairs.most_common(2 * DISTINCT):
        left, right = before[-1], after[0]
        signs = not (left.isalnum() and right.isalnum())
        if signs or everywhere or is_spaceless(left) or is_spaceless(right):
            found[before + after, len(before)] += count
    return found


def _is_one(word: str, count: int, seen: Seen, joined: dict[tuple[str, int], int]) -> bool:
    """Whether words that might be this one without a space do not outnumber it by far."""
    ways = (joined.get((word, cut), 0) for cut in range(1, len(word)))
    apart = (seen.pairs[word[:cut], word[cut:]] for cut in range(1, min(len(word), 2 * _ENDING)))
    clitic = max(apart, default=0) if any(mark in word for mark in APOSTROPHES) else 0
    return max(*ways, 0, 0) + clitic < _RATHER * count


class _Evidence:
    """How often each context is cut and kept, in texts and in words alone."""

    def __init__(self) -> None:
        self.counts: dict[bool, dict[str, list[int]]] = {
            exact: defaultdict(lambda: [0, 0]) for exact in (True, False)
        }

    def piece(self, seen: str, cuts: Cuts, count: int, *, exact: bool) -> None:
        inside = set(cuts)
        for at in range(1, len(seen)):
            self.place(seen, at, count, exact=exact, is_cut=at in inside)

    def place(
        self,
        seen: Sequence[str],
        at: int,
        count: int,
        *,
        exact: bool,
        is_cut: bool,
        alone: bool = False,
    ) -> None:
        """Count a place; whether a sign there is at an end is not known of words `alone`."""
        if seen[at] == "m":
            return
        wide, narrow = contexts(seen, at)
        found = {wide, narrow, *((narrow[:2], narrow[:2] + " ") if alone else ())}
        for context in found:
            self.counts[exact][context][not is_cut] += count

    def contexts(self) -> dict[str, list[str]]:
        """Return the contexts that are cut, and those that are kept; sorted."""
        told: dict[str, bool] = {}
        order: Counter[str] = Counter()
        for exact in (False, True):  # What texts show wins.
            for context, (cut, kept) in self.counts[exact].items():
                least = _INNER if not exact and _is_inner(context) else 0.5
                told[context] = kept <= least * (cut + kept) if cut else False
                order[context] += cut + kept
        chosen = sorted(order, key=lambda context: (-order[context], context))[:CONTEXTS]
        return {
            "cut": sorted(context for context in chosen if told[context]),
            "keep": sorted(context for context in chosen if not told[context]),
        }


def _is_inner(context: str) -> bool:
    """Whether a context is a sign between letters or digits, seen from either side."""
    if len(context) < 4:
        return False
    before, left, right, after = (kind in "LDC" for kind in context)
    return (left and not right and after) or (before and not left and right)


def _clitics(
    exact: dict[Piece, int], pairs: Counter[tuple[str, str]]
) -> tuple[list[str], list[str]]:
    """Return the words with an apostrophe that join the one before, and the one after."""
    near = Counter({(a, b): n for (a, b), n in pairs.items() if _is_usual(a) or _is_usual(b)})
    for (piece, cuts), count in exact.items():
        if any(mark in piece for mark in APOSTROPHES):
            edges = [0, *cuts, len(piece)]
            near.update(
                {
                    (piece[a:b], piece[b:c]): count
                    for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
                }
            )
    endings: Counter[str] = Counter()
    beginnings: Counter[str] = Counter()
    for (before, after), count in near.items():
        if not (before[-1].isalpha() or after[0].isalpha()):
            continue
        if _is_clitic(after) and after[-1] not in APOSTROPHES and before[-1].isalpha():
            endings[after.lower()] += count
        if _is_clitic(before) and before[-1] in APOSTROPHES and after[0].isalpha():
            beginnings[before.lower()] += count
    return sorted(endings), sorted(beginnings)


def _is_clitic(word: str) -> bool:
    marks = sum(c in APOSTROPHES for c in word)
    letters = sum(c.isalpha() for c in word)
    return marks == 1 and 1 <= letters == len(word) - 1 <= _ENDING


def _is_usual(word: str) -> bool:
    """Whether a word has its apostrophe where no name has it: ``'s``, ``l'``, ``n't``."""
    return word[0] in APOSTROPHES or word[-1] in APOSTROPHES or word.lower() in ("n't", "n’t")


def _vocabulary(exact: dict[Piece, int], words: Counter[str]) -> list[str]:
    """Return the longer words of scripts without spaces, if training has such words."""
    found: Counter[str] = Counter(words)
    for (piece, cuts), count in exact.items():
        edges = [0, *cuts, len(piece)]
        found.update({piece[a:b]: count for a, b in pairwise(edges)})
    spaceless = {w: n for w, n in found.items() if all(k in "Cm" for k in classes(w))}
    longer = Counter({w: n for w, n in spaceless.items() if classes(w).count("C") > 1})
    if longer.total() < _SEGMENTED * sum(spaceless.values()):
        return []
    return sorted(word for word, _ in longer.most_common(VOCABULARY))


def _exceptions(rule: WordRule, known: dict[Piece, int]) -> dict[str, list[int]]:
    """Return the pieces that the rule splits otherwise than training, the commonest ones.

    Of a piece of several words, each word and each two of them that are wrong are told too.
    """
    found: Counter[Piece] = Counter()
    for (piece, cuts), count in known.items():
        guess = set(rule.by_contexts(piece))
        if guess == set(cuts):
            continue
        found[piece, cuts] += count
        edges = [0, *cuts, len(piece)]
        for start, end in pairwise(edges):
            if any(start < cut < end for cut in guess):
                found[piece[start:end], ()] += count
        for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False):
            if cut not in guess:
                found[piece[start:end], (cut - start,)] += count
    exact = dict(known.keys())
    chosen = {
        piece: list(cuts)
        for (piece, cuts), _ in sorted(found.items(), key=lambda item: (item[1], item[0]))
        if exact.get(piece, cuts) == cuts
    }
    return dict(sorted(list(chosen.items())[-EXCEPTIONS:]))
