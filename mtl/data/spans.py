"""Character spans of a text: put right, and laid on the words that they cover.

A text with its spans, as :mod:`mtl.data.value_types` hands them on, and what they become::

    "Ines Talbot left."  [{"start": 0, "end": 11, "label": "PER"}]
    Ines|Talbot|left|.   B-PER I-PER O O
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mtl.data.rows import remark
from mtl.data.value_types import show
from mtl.errors import Mismatch
from mtl.labels import Span, write_spans

if TYPE_CHECKING:
    from mtl.types import IntArray

OUTSIDE = remark("span lies", "spans lie", "outside of the text: left out.")
REVERSED = remark("span ends", "spans end", "before the start: left out.")
EMPTY = remark("span holds", "spans hold", "no word: left out.")
OVERLAP = remark(
    "span overlaps",
    "spans overlap",
    "with a longer one: left out; `type: span_classification` reads all of them.",
)
CUTS = remark("span begins or ends", "spans begin or end", "inside a word, which is split there.")
UTF16 = remark(
    "span was", "spans were", "counted in UTF-16, and converted to characters.", harmless=True
)


class CharSpan(NamedTuple):
    """A label, and the characters that have it; `end` is exclusive."""

    start: int
    end: int
    label: str


class Laid(NamedTuple):
    """The words of a text, and the spans over them."""

    starts: IntArray
    ends: IntArray
    spans: list[Span]
    """In words, `end` exclusive."""


def placed(text: str, spans: Sequence[Mapping[str, Any]], counts: Counter[str]) -> list[CharSpan]:
    """Return the spans that lie in a text, each once, in order; others are counted.

    Args:
        text: The text.
        spans: Each with ``start``, ``end`` (exclusive) and ``label``; maybe ``text``, what it holds
            as a tool says, by which offsets in UTF-16 (JavaScript's) are told from characters.
        counts: What was left out or converted is counted here, by :func:`mtl.data.rows.remark`.

    Raises:
        ValueError: If a span holds another text than it says.
    """
    given = [(s["start"], s["end"], s["label"], s.get("text")) for s in spans]
    if _in_utf16(text, given):
        places = utf16_places(text)
        given = [(places(s), places(e), label, held) for s, e, label, held in given]
        counts[UTF16] += len(given)
    found: dict[CharSpan, None] = {}
    for start, end, label, held in given:
        if end < start:
            counts[REVERSED] += 1
        elif start < 0 or end > len(text):
            counts[OUTSIDE] += 1
        elif not text[start:end].strip():
            counts[EMPTY] += 1
        elif not _holds(text, start, end, held):
            raise Mismatch(
                f"the span {start} to {end} ({label}) to hold {show(held)}, as it says",
                f"the text has {show(text[start:end])} there",
            )
        else:
            found[CharSpan(start, end, label)] = None
    return sorted(found)


def _holds(text: str, start: int, end: int, held: str | None) -> bool:
    """Whether a span is where it says; white space, which tools change, does not count."""
    return held is None or text[start:end].split() == held.split()


def _in_utf16(text: str, given: Iterable[tuple[int, int, str, str | None]]) -> bool:
    """Whether what spans say that they hold stands there in UTF-16 units, and not in characters."""
    told = [(start, end, held) for start, end, _, held in given if held is not None]
    if not told or not text or max(text) <= "\uffff":
        return False
    places = utf16_places(text)
    units = [(places(start), places(end), held) for start, end, held in told]
    for same in (_is_exactly, _holds):
        if all(same(text, *span) for span in told):
            return False
        if all(same(text, *span) for span in units):
            return True
    return False


def _is_exactly(text: str, start: int, end: int, held: str) -> bool:
    return text[start:end] == held


def utf16_places(text: str) -> _Places:
    """Return what gives the character at a place in UTF-16; places outside stay outside."""
    sizes = np.fromiter((1 + (c > "\uffff") for c in text), dtype=np.int64, count=len(text))
    return _Places([0, *np.cumsum(sizes).tolist()])


class _Places:
    """Where characters begin in UTF-16: ``places(unit)`` is a character, `units` the reverse."""

    def __init__(self, units: list[int]) -> None:
        self.units = units

    def __call__(self, unit: int) -> int:
        beyond = unit - self.units[-1]
        if unit < 0 or beyond > 0:
            return unit if unit < 0 else len(self.units) - 1 + beyond
        return bisect.bisect_left(self.units, unit)


def apart(spans: Sequence[CharSpan], counts: Counter[str]) -> list[CharSpan]:
    """Return spans that do not overlap, in order: of two that do the longer, else the first."""
    kept: list[CharSpan] = []
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start)):
        at = bisect.bisect_left(kept, span)
        before, after = kept[max(at - 1, 0) : at], kept[at : at + 1]
        if any(b.end > span.start for b in before) or any(a.start < span.end for a in after):
            counts[OVERLAP] += 1
        else:
            kept.insert(at, span)
    return kept


def lay(spans: Sequence[CharSpan], starts: IntArray, ends: IntArray, counts: Counter[str]) -> Laid:
    """Return the words under spans; one that a span begins or ends inside of is split there.

    Args:
        spans: In order of their starts; they may overlap.
        starts: (W,) first characters of the words, ascending.
        ends: (W,) one past their last characters.
        counts: Takes the number of spans that cut a word, or hold none.
    """
    edges = np.unique(np.asarray([e for s in spans for e in (s.start, s.end)], dtype=np.int32))
    word = np.searchsorted(starts, edges, side="left") - 1
    cuts = edges[(word >= 0) & (ends[np.clip(word, 0, None)] > edges)] if len(starts) else edges[:0]
    starts, ends = (np.sort(np.concatenate([side, cuts])) for side in (starts, ends))
    inside = set(cuts.tolist())
    found = []
    for span in spans:
        first = int(np.searchsorted(starts, span.start, side="left"))
        last = int(np.searchsorted(ends, span.end, side="right"))
        counts[CUTS] += span.start in inside or span.end in inside
        if first < last:
            found.append(Span(span.label, first, last))
        else:
            counts[EMPTY] += 1
    return Laid(starts, ends, found)


def tagged(laid: Laid) -> list[str]:
    """Return the words' labels in IOB2; the spans must not overlap."""
    return write_spans(laid.spans, len(laid.starts), "iob2")
