"""Labelling schemes of entities: which one a corpus is in, and from each to each other.

The sentence "[Ada Bell] met [Bo] [Carol] in [Rome]", Bo and Carol being two people, in each
scheme::

    scheme  Ada     Bell    met  Bo      Carol   in  Rome
    iob1    I-PER   I-PER   O    I-PER   B-PER   O   I-LOC     B only between two of one type
    iob2    B-PER   I-PER   O    B-PER   B-PER   O   B-LOC     B at every beginning
    bioes   B-PER   E-PER   O    S-PER   S-PER   O   S-LOC     E at the end, S for a single word
    io      I-PER   I-PER   O    I-PER   I-PER   O   I-LOC     neighbours of one type run together

BILOU, BMES and BMEWO are ``bioes`` with other letters: L is E, U and W are S, M is I. Labels
without a type (``B``, ``I``, ``O``) are read too; their type is empty. Where all labels of a corpus
are spelled ``B_PER``, ``b-PER`` or ``PER-B``, they are read as ``B-PER``.

Spans are read as ``conlleval`` reads them, which accepts every sequence: one begins at B and S,
after O, E and S, and where the type changes; one ends before the next begins, before O, and after
E and S. For sequences that their scheme allows, that is the scheme's own meaning; so the scheme
need not be known to convert from it.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtl.errors import ConfigError, DataError, Place, Problem, one_of

Bools = npt.NDArray[np.bool_]

NONE = "none"
"""What :func:`detect_scheme` says of labels that mark no spans, such as parts of speech."""
OUTSIDE = "O"
_SPELLINGS = (
    re.compile(r"(?P<letter>[BIMELSUWbimelsuw])[-_](?P<type>.+)"),
    re.compile(r"(?P<type>.+)[-_](?P<letter>[BIMELSUWbimelsuw])"),
)
_LIKE_ENTITIES = re.compile(r"(?P<letter>[BI])[^A-Za-z0-9]?(?P<type>.+)", re.IGNORECASE)
_LETTERS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}


class Span(NamedTuple):
    """An entity: its type and its words, `end` exclusive."""

    type: str
    start: int
    end: int


class Tag(NamedTuple):
    """A label's two halves: ``L-PER`` is ("E", "PER"), ``O`` is ("O", "")."""

    letter: str
    """One of B, I, E, S and O."""
    type: str


@functools.lru_cache(maxsize=4096)
def tag_of(label: str) -> Tag | None:
    """Return a label's letter and type; ``None`` if it is of no scheme. Types may hold hyphens."""
    if label == OUTSIDE:
        return Tag(OUTSIDE, "")
    letter, dash, type_ = label.partition("-")
    if letter not in _LETTERS or (dash and not type_):
        return None
    return Tag(_LETTERS[letter], type_)


@functools.lru_cache(maxsize=4096)
def read_tag(label: str) -> Tag | None:
    """Return a label's letter and type, also of ``B_PER``, ``b-PER`` and ``PER-B``."""
    usual = tag_of(label)
    if usual is not None or label == OUTSIDE.lower():
        return usual or Tag(OUTSIDE, "")
    for spelling in _SPELLINGS:
        if match := spelling.fullmatch(label):
            return Tag(_LETTERS[match["letter"].upper()], match["type"])
    return None


def usual_spelling(labels: Iterable[str]) -> dict[str, str]:
    """Return each label of a set as it is usually spelled; nothing if the set is of no scheme."""
    names = list(labels)
    if not _spelled_otherwise(names):
        return {}
    tags = {name: read_tag(name) for name in names}
    return {n: f"{t.letter}-{t.type}".removesuffix("-") for n, t in tags.items() if t is not None}


def _spelled_otherwise(labels: Iterable[str]) -> bool:
    """Whether labels mark spans, all of them spelled in another way than ``B-PER``."""
    names = set(labels)
    tags = [read_tag(name) for name in names]
    if None in tags or names.isdisjoint({OUTSIDE, OUTSIDE.lower()}):
        return False
    spelled = [match for n in names for s in _SPELLINGS if (match := s.fullmatch(n)) is not None]
    begun = any(match["letter"] in "BIbi" for match in spelled)
    return begun and not any((tag := tag_of(name)) is not None and tag.type for name in names)


def _invalid(label: str, place: Place | str) -> DataError:
    where = f"{place}: " if place else ""
    return DataError(
        f"{where}Expected a label such as B-PER, I-PER or O, but got '{label}'. "
        "Labels of one column are either all of this form, or none is."
    )


def spans_of(labels: Sequence[str], place: Place | str = "") -> list[Span]:
    """Return the spans of one sentence, in order, whichever scheme it is in.

    Args:
        labels: One label a word.
        place: Where the sentence stands, for the message.

    Raises:
        DataError: If a label is of no scheme.
    """
    found: list[Span] = []
    before, start = Tag(OUTSIDE, ""), 0
    for position, label in enumerate(labels):
        tag = read_tag(label)
        if tag is None:
            raise _invalid(label, place)
        begins = tag.letter != OUTSIDE and (
            tag.letter in "BS" or before.letter in "OES" or tag.type != before.type
        )
        if before.letter != OUTSIDE and (begins or tag.letter == OUTSIDE):
            found.append(Span(before.type, start, position))
        if begins:
            start = position
        before = tag
    if before.letter != OUTSIDE:
        found.append(Span(before.type, start, len(labels)))
    return found


def _iob1(size: int, touches: bool) -> str:
    return "BI"[not touches] + "I" * (size - 1)


def _iob2(size: int, touches: bool) -> str:
    return "B" + "I" * (size - 1)


def _bioes(size: int, touches: bool) -> str:
    return "S" if size == 1 else "B" + "I" * (size - 2) + "E"


def _io(size: int, touches: bool) -> str:
    return "I" * size


_WRITE: dict[str, Callable[[int, bool], str]] = {
    "iob1": _iob1,
    "iob2": _iob2,
    "bioes": _bioes,
    "io": _io,
}
SCHEMES = tuple(_WRITE)


def write_spans(found: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Return one sentence's labels in a scheme.

    Args:
        found: Spans in order, without overlap.
        length: Number of words.
        scheme: ``iob1``, ``iob2``, ``bioes`` or ``io``; the last loses the border between
            neighbours of one type.

    Raises:
        ConfigError: If the scheme is unknown.
    """
    if scheme not in _WRITE:
        raise ConfigError(one_of("scheme", scheme, _WRITE))
    labels = [OUTSIDE] * length
    before = Span("", -1, -1)
    for span in found:
        touches = before.end == span.start and before.type == span.type
        letters = _WRITE[scheme](span.end - span.start, touches)
        dash = "-" if span.type else ""
        labels[span.start : span.end] = [f"{letter}{dash}{span.type}" for letter in letters]
        before = span
    return labels


def convert(labels: Sequence[str], to: str = "iob2", place: Place | str = "") -> list[str]:
    """Return one sentence's labels in another scheme; the spans stay the same.

    Example:
        >>> convert(["I-ORG", "O", "I-PER", "B-PER"])
        ['B-ORG', 'O', 'B-PER', 'B-PER']
        >>> convert(["B-PER", "I-PER", "O"], to="bioes")
        ['B-PER', 'E-PER', 'O']

    Raises:
        DataError: If a label is of no scheme.
        ConfigError: If the scheme `to` is unknown.
    """
    return write_spans(spans_of(labels, place), len(labels), to)


def to_iob2(labels: Sequence[str], scheme: str, place: Place | str = "") -> list[str]:
    """Return one sentence's labels in IOB2, the scheme that heads and metrics work in.

    Args:
        labels: One label a word.
        scheme: What :func:`detect_scheme` said of the corpus; not ``none``.
        place: Where the sentence stands, for the message.

    Raises:
        DataError: If a label is of no scheme, or has a letter that `scheme` does not know.
        ConfigError: If the scheme is unknown.
    """
    if scheme not in SCHEMES:
        raise ConfigError(one_of("scheme", scheme, SCHEMES))
    if scheme != "bioes":
        for label in labels:
            tag = read_tag(label)
            if tag is not None and tag.letter in "ES":
                where = f"{place}: " if place else ""
                raise DataError(
                    f"{where}Expected labels in {scheme}, as in training, but got '{label}', "
                    "which is in bioes. Give all splits in one scheme."
                )
    return convert(labels, place=place)


def detect_scheme(sentences: Iterable[Sequence[str]], places: Sequence[Place | str] = ()) -> str:
    """Return the scheme of a corpus: ``iob1``, ``iob2``, ``bioes``, ``io`` or ``none``.

    Where some sequences break each scheme, as noisy corpora do, the one that fewer labels break
    is returned. Without any B, I, E or S the labels are ``none``; labels that are all O are
    ``iob2``. A corpus in ``iob1`` without neighbours of one type cannot be told from ``io``, and
    means the same.

    Args:
        sentences: One label a word for each sentence.
        places: Where each sentence stands, for the message.

    Raises:
        DataError: If some labels are of a scheme and others of none, or if they look like labels
            of entities that are spelled in a way that is not read.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    first: dict[str, int] = {}
    for number, labels in enumerate(sentences):
        pairs.update(pairwise([OUTSIDE, *labels]))
        for label in set(labels) - first.keys():
            first[label] = number
    if not _marks_spans(first):
        if _spelled_otherwise(first):
            return _scheme(pairs)
        _check_unread(first, places)
        return NONE
    for label, number in first.items():
        if tag_of(label) is None:
            raise _invalid(label, places[number] if places else "")
    return _scheme(pairs)


def _marks_spans(labels: Iterable[str]) -> bool:
    """Whether labels are of a scheme: some with a letter and a type, or nothing but letters."""
    inside = set(labels) - {OUTSIDE}
    tags = {label: tag_of(label) for label in inside}
    if any(tag is not None and tag.type for tag in tags.values()):
        return True
    return not inside or (None not in tags.values() and not inside.isdisjoint({"B", "I"}))


def _check_unread(first: Mapping[str, int], places: Sequence[Place | str]) -> None:
    """Refuse labels such as ``B:PER`` and ``I:PER`` beside ``O``."""
    if first.keys().isdisjoint({OUTSIDE, OUTSIDE.lower()}):
        return
    halves = {name: _LIKE_ENTITIES.fullmatch(name) for name in first}
    letters: dict[str, set[str]] = {}
    for match in halves.values():
        if match:
            letters.setdefault(match["type"], set()).add(match["letter"].upper())
    alike = next((n for n in sorted(halves) if _both(halves[n], letters)), None)
    if alike is None:
        return
    match = halves[alike]
    assert match is not None
    place = places[first[alike]] if places else "labels"
    raise DataError(
        Problem(
            place if isinstance(place, Place) else Place(place),
            "labels of entities to be spelled as in B-PER",
            f"got '{alike}'",
            f"Write {match['letter'].upper()}-{match['type']}, or set the task's "
            "`options.scheme=none` if it marks no entity.",
        )
    )


def _both(match: re.Match[str] | None, letters: Mapping[str, set[str]]) -> bool:
    return match is not None and letters[match["type"]] == {"B", "I"}


def _scheme(pairs: Counter[tuple[str, str]]) -> str:
    """Return the scheme that fewest labels break, given how often one follows another."""
    letters: Counter[str] = Counter()
    lonely: Counter[str] = Counter()  # Without a word of the same type before.
    for (before, label), count in pairs.items():
        tag, previous = read_tag(label), read_tag(before)
        assert tag is not None
        assert previous is not None
        letters[tag.letter] += count
        if previous.letter == OUTSIDE or previous.type != tag.type:
            lonely[tag.letter] += count
    if letters["E"] or letters["S"]:
        return "bioes"
    if letters["I"] and not letters["B"]:
        return "io"
    return "iob1" if lonely["B"] < lonely["I"] else "iob2"


class Transitions(NamedTuple):
    """Which labels may begin a sentence, follow each other, and end it."""

    start: Bools
    """Shape (C,)."""
    allowed: Bools
    """Shape (C, C); rows are the earlier label."""
    end: Bools
    """Shape (C,); all true but in BIOES, where an open entity must be closed."""


def _after_iob1(before: str, letter: str, same: bool) -> bool:
    """``B`` only divides neighbours of one type; ``I`` begins entities too."""
    return letter != "B" or (same and before in "BI")


def _after_iob2(before: str, letter: str, same: bool) -> bool:
    """``I`` only continues an entity of its type."""
    return letter != "I" or (same and before in "BI")


def _after_bioes(before: str, letter: str, same: bool) -> bool:
    """An entity is ``S``, or ``B I* E`` of one type."""
    if before in "BI":
        return same and letter in "IE"
    return letter in "BOS"


_FOLLOW: dict[str, tuple[str, Callable[[str, str, bool], bool]]] = {
    "iob1": ("BIO", _after_iob1),
    "iob2": ("BIO", _after_iob2),
    "bioes": ("BIOES", _after_bioes),
}


@functools.lru_cache(maxsize=16)
def transitions(labels: tuple[str, ...], scheme: str = "iob2") -> Transitions:
    """Return the transitions that a scheme allows between labels.

    Args:
        labels: The label set, in the order of the scores' columns.
        scheme: ``iob1``, ``iob2`` or ``bioes``.

    Raises:
        ConfigError: If the scheme is unknown, a label is none of its labels, or no sentence could
            be labelled at all.
    """
    if scheme not in _FOLLOW:
        raise ConfigError(one_of("scheme", scheme, _FOLLOW))
    letters, rule = _FOLLOW[scheme]
    tags = [_tag_in(label, letters, scheme) for label in labels]

    def may(before: Tag, tag: Tag) -> bool:
        return rule(before.letter, tag.letter, before.type == tag.type)

    edge = Tag(OUTSIDE, "")
    start = np.asarray([may(edge, tag) for tag in tags], dtype=bool)
    allowed = np.asarray([[may(a, b) for b in tags] for a in tags], dtype=bool)
    end = np.asarray([may(tag, edge) for tag in tags], dtype=bool)
    if not (start & end).any():
        raise ConfigError(
            f"Expected a label set in which one token can be labelled under '{scheme}', "
            f"but got {{{', '.join(labels)}}}."
        )
    return Transitions(start, allowed, end)


def _tag_in(label: str, letters: str, scheme: str) -> Tag:
    tag = tag_of(label)
    if tag is None or tag.letter not in letters:
        raise ConfigError(
            f"Expected labels of '{scheme}' to be O or one of {{{', '.join(letters)}}} and a "
            f"type, such as B-PER, but got '{label}'. Decode with `decoding: plain` instead."
        )
    return tag
