"""Texts that are nearly the same: in a split, in two splits, in two tasks (SemHash, an extra)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from mtl.inspection.corpus import Corpus, Part
from mtl.inspection.findings import CHECKS, Finding, percent
from mtl.inspection.ngrams import Ngrams
from mtl.tasks.base import document

ALIKE = 0.9
"""Cosine of two texts' n-grams of characters from which on they are nearly the same."""
MOST = 20_000
"""Texts of which all pairs are compared; time grows with their square."""
CHARACTERS = 2_000
"""Of each text that are looked at."""

Place = tuple[Part, int]
"""A split and the number of one of its rows."""


@CHECKS.register("near_duplicates")
def near_duplicates(corpus: Corpus) -> Iterator[Finding]:
    """Texts that differ from another one by a few characters."""
    if find_spec("semhash") is None:
        text = "texts that are nearly the same are not looked for: pip install 'mtl[duplicates]'."
        yield Finding("info", "near_duplicates", "all tasks", text, 0)
        return
    places = _places(corpus)
    count = len(np.unique(np.concatenate([part.keys for part in corpus.parts])))
    if len(places) < count:
        text = (
            f"texts that are nearly the same are looked for among {len(places):,} of {count:,} "
            "texts, those of validation and test first."
        )
        yield Finding("info", "near_duplicates", "all tasks", text, len(places))
    alike = _Alike.of(places)
    for part in corpus.parts:
        yield from _inside(part, alike)
    for part in corpus.parts:
        if part.split != "train":
            yield from _of_training(part, corpus, alike)


def _places(corpus: Corpus) -> dict[int, Place]:
    """Return where `MOST` texts stand: those of validation and test first, then train's."""
    places: dict[int, Place] = {}
    for part in sorted(corpus.parts, key=lambda part: part.split == "train"):
        order = np.arange(len(part.rows))
        if len(order) > MOST:
            order = np.argsort(part.keys)  # Hashes: a draw that is the same each time.
        for number in order.tolist():
            if len(places) == MOST:
                return places
            places.setdefault(int(part.keys[number]), (part, number))
    return places


@dataclass(frozen=True)
class _Alike:
    """Groups of texts that are nearly the same as one of them."""

    group: Mapping[int, int]
    """The key of a text to that of the text that its group is like; those without others are not
    there."""

    @classmethod
    def of(cls, places: Mapping[int, Place]) -> _Alike:
        """Compare the texts at some places."""
        from semhash import SemHash

        texts: dict[str, int] = {}
        for key, (part, number) in places.items():
            text = document(part.rows[number])[:CHARACTERS]
            if text.strip():
                texts.setdefault(text, key)
        if not texts:
            return cls({})
        model, listed = Ngrams(), list(texts)
        vectors = model.encode(listed)
        index = SemHash.from_embeddings(vectors, listed, model, ann_backend="basic")
        group: dict[int, int] = {}
        for found in index.self_deduplicate(threshold=ALIKE).filtered:
            like = texts[found.duplicate_of]
            group[texts[found.record]] = group[like] = like
        return cls(group)

    def groups(self, part: Part) -> npt.NDArray[np.uint64]:
        """Return the group of each row of a split, (n,); 0 for those without any."""
        found = (self.group.get(key, 0) for key in part.keys.tolist())
        return np.fromiter(found, dtype=np.uint64, count=len(part.rows))


def _inside(part: Part, alike: _Alike) -> Iterator[Finding]:
    groups = alike.groups(part)
    inside = np.flatnonzero(groups)
    pairs = np.unique(np.column_stack([groups[inside], part.keys[inside]]), axis=0)
    _, firsts, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    several = firsts[counts > 1]
    if len(several):
        count = int(counts[counts > 1].sum())
        first = pairs[several[0] : several[0] + 2, 1]
        rows = [part.sample(int(np.flatnonzero(part.keys == key)[0])) for key in first]
        text = f"{count:,} texts are nearly the same as another one"
        yield Finding("info", "near_duplicates", part.name, text, count, rows)


def _of_training(part: Part, corpus: Corpus, alike: _Alike) -> Iterator[Finding]:
    """Compare a split with what any task trains on; equal texts are another check's."""
    groups = alike.groups(part)
    for task in corpus.tasks:
        train = corpus.of(task)["train"]
        theirs = alike.groups(train)
        near = (groups > 0) & np.isin(groups, theirs) & ~np.isin(part.keys, train.keys)
        if near.any():
            first = int(np.flatnonzero(near)[0])
            other = int(np.flatnonzero(theirs == groups[first])[0])
            whose = "train" if task is part.task else f"train of tasks.{task.name}"
            text = (
                f"{int(near.sum()):,} rows ({percent(int(near.sum()), len(near))}) have a text "
                f"that is nearly the same as one of {whose}"
            )
            rows = [part.sample(first), train.sample(other)]
            yield Finding("warning", "near_duplicates", part.name, text, int(near.sum()), rows)
