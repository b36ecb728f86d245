"""Lengths and tokens: long documents, and characters that the tokenizer does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mtl.errors import few
from mtl.inspection.corpus import Corpus, Part
from mtl.inspection.findings import CHECKS, Finding, percent
from mtl.tasks.base import document

LOOKED_AT = 2_000
"""Rows whose characters are looked up one by one."""


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
            f"{count:,} documents ({percent(count, len(several))}) are longer than a window of "
            f"{corpus.encoder.max_length:,} tokens and are "
            f"{percent(lengths[several].sum(), lengths.sum())} of the work; the longest has "
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
