"""What is odd about a corpus: findings of checks, which are found by registration."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np

from mtl.config.section import Values
from mtl.errors import few
from mtl.inspection.corpus import Corpus, Part
from mtl.registry import Registry

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")
RARE = 5
"""Training rows below which a label counts as rare."""
SHOWN, LARGE = 3, 200_000
"""How many findings a run begins with, and beyond how many rows with none."""
LOOKED_AT = 2_000
"""Rows whose characters are looked up one by one."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check found."""

    level: Level
    check: str
    where: str
    """The task and split."""
    text: str
    """A sentence, without the place."""
    count: int
    """How many rows, labels or texts it is about."""
    places: list[str] = field(default_factory=list)
    """Files and lines of the first few."""

    def __str__(self) -> str:
        at = f" ({', '.join(self.places)})" if self.places else ""
        return f"{self.where}: {self.text}{at}"

    def as_dict(self) -> Values:
        """Return plain JSON values."""
        return asdict(self)


Check = Callable[[Corpus], Iterator[Finding]]
CHECKS: Registry[Check] = Registry("check", "mtl.checks")
"""Name to a function that yields what it finds in a corpus."""


def inspect(corpus: Corpus) -> list[Finding]:
    """Return what all checks find, the gravest and then the most frequent first."""
    found = [finding for name in CHECKS for finding in CHECKS.get(name)(corpus)]
    return sorted(found, key=lambda f: (LEVELS.index(f.level), -f.count, f.where))


def most_important(corpus: Corpus) -> list[Finding]:
    """Return the few findings that a run begins with; of a large corpus none, which takes time."""
    if sum(len(part.rows) for part in corpus.parts) > LARGE:
        return []
    # What splits share has been noted when they were read.
    grave = [f for f in inspect(corpus) if f.level != "info" and f.check != "overlap"]
    return grave[:SHOWN]


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / max(whole, 1):.1f}%"


@CHECKS.register("rare_labels")
def rare_labels(corpus: Corpus) -> Iterator[Finding]:
    """Labels with very few training rows, or with none."""
    for task in corpus.tasks:
        parts = corpus.of(task)
        train = parts["train"].label_counts
        rare = [label for label, count in train.items() if count < RARE]
        if rare and len(parts["train"].rows) >= RARE * 10:
            text = f"{len(rare):,} labels have fewer than {RARE} training rows: {few(rare)}."
            yield Finding("warning", "rare_labels", parts["train"].name, text, len(rare))
        for split in parts.keys() - {"train"}:
            unseen = [label for label in parts[split].label_counts if label not in train]
            if unseen:
                text = f"{len(unseen):,} labels have no training row: {few(unseen)}."
                yield Finding("error", "unseen_labels", parts[split].name, text, len(unseen))


@CHECKS.register("contradictions")
def contradictions(corpus: Corpus) -> Iterator[Finding]:
    """Equal texts with different labels."""
    for part in corpus.parts:
        if part.labels is None:
            continue
        given: dict[int, dict[tuple[str, ...], int]] = defaultdict(dict)
        for number, (key, labels) in enumerate(zip(part.keys.tolist(), part.labels, strict=True)):
            given[key].setdefault(labels, number)
        odd = [numbers for numbers in given.values() if len(numbers) > 1]
        if odd:
            places = [part.place(number) for number in list(odd[0].values())[:2]]
            text = f"{len(odd):,} texts have different labels in different rows"
            yield Finding("warning", "contradictions", part.name, text, len(odd), places)


@CHECKS.register("repeated")
def repeated(corpus: Corpus) -> Iterator[Finding]:
    """Rows that are in a split more than once."""
    for part in corpus.parts:
        if part.labels is None:
            continue
        counts = Counter(zip(part.keys.tolist(), part.labels, strict=True))
        more = sum(counts.values()) - len(counts)
        if more:
            share = _percent(more, len(part.rows))
            level: Level = "warning" if more > len(part.rows) / 100 else "info"
            text = f"{more:,} rows ({share}) are there before, with the same labels."
            yield Finding(level, "repeated", part.name, text, more)


@CHECKS.register("overlap")
def overlap(corpus: Corpus) -> Iterator[Finding]:
    """Texts of validation or test that training has too."""
    for part in corpus.parts:
        if part.split == "train":
            continue
        train = corpus.of(part.task)["train"]
        shared = np.flatnonzero(np.isin(part.keys, train.keys))
        if len(shared):
            share = _percent(len(shared), len(part.rows))
            text = f"{len(shared):,} rows ({share}) have a text that train has too"
            places = [part.place(int(number)) for number in shared[:2]]
            yield Finding("warning", "overlap", part.name, text, len(shared), places)


@CHECKS.register("shared_texts")
def shared_texts(corpus: Corpus) -> Iterator[Finding]:
    """What two tasks read in common, and what one pass for both saves."""
    for one, other in corpus.pairs():
        first, second = corpus.of(one)["train"], corpus.of(other)["train"]
        both = np.isin(second.store.keys, first.store.keys)
        if both.any():
            tokens = int(second.store.lengths[both].sum())
            total = int(first.store.lengths.sum() + second.store.lengths.sum())
            text = (
                f"shares {int(both.sum()):,} of {len(both):,} documents with {one.name}; one pass "
                f"for both saves {_percent(tokens, total)} of the two tasks' tokens."
            )
            yield Finding("info", "shared_texts", second.name, text, int(both.sum()))


@CHECKS.register("long_documents")
def long_documents(corpus: Corpus) -> Iterator[Finding]:
    """Documents that are read in several windows."""
    for part in corpus.parts:
        several = part.windows > 1
        if not several.any():
            continue
        count, lengths = int(several.sum()), part.store.lengths
        longest = int(lengths.argmax())
        text = (
            f"{count:,} documents ({_percent(count, len(several))}) are longer than a window of "
            f"{corpus.encoder.max_length:,} tokens and are "
            f"{_percent(lengths[several].sum(), lengths.sum())} of the work; the longest has "
            f"{int(lengths[longest]):,} tokens in {int(part.windows[longest]):,} windows."
        )
        yield Finding("info", "long_documents", part.name, text, count)


@CHECKS.register("unknown_characters")
def unknown_characters(corpus: Corpus) -> Iterator[Finding]:
    """Characters that the tokenizer has no token for."""
    unknown = corpus.encoder.tokenizer.unk_token_id
    if unknown is None:
        return
    for part in corpus.parts:
        characters = _unknown(part, corpus, unknown)
        if characters:
            most = few([repr(c) for c, _ in characters.most_common(5)])
            count = sum(characters.values())
            text = f"{count:,} characters are unknown to the tokenizer, such as {most}."
            yield Finding("warning", "unknown_characters", part.name, text, count)


def _unknown(part: Part, corpus: Corpus, unknown: int) -> Counter[str]:
    from mtl.tasks.base import document

    found: Counter[str] = Counter()
    for number in range(min(len(part.rows), LOOKED_AT)):
        text = document(part.rows[number])
        tokens = corpus.encoder.tokenize([text])[0]
        for at in np.flatnonzero(tokens.ids == unknown):
            found.update(text[tokens.starts[at] : tokens.ends[at]])
    corpus.encoder.forget()
    return found


@CHECKS.register("no_tokens")
def no_tokens(corpus: Corpus) -> Iterator[Finding]:
    """Documents without any token of their own."""
    special = len(corpus.encoder.prefix) + len(corpus.encoder.suffix)
    for part in corpus.parts:
        bare = np.flatnonzero(part.store.lengths <= special)
        if len(bare):
            text = f"{len(bare):,} documents have no token that the trunk could read."
            yield Finding("warning", "no_tokens", part.name, text, len(bare))
