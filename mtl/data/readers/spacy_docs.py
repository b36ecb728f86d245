"""spaCy's binary documents (``DocBin``), files that end in ``.spacy``; needs the extra `spacy`.

A row has the document's text, its tokens as words, and its entities, or the spans of all groups
where it has no entities.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.data.readers.annotated import Annotated, Fields, fit_annotated
from mtl.data.readers.base import FORMATS, Cells, Format, Source
from mtl.data.readers.compressed import check_unpacked
from mtl.data.word_rule import WordRule
from mtl.errors import ConfigError, Place, Problem

if TYPE_CHECKING:
    from spacy.tokens import Doc


def read(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each document; their numbers, counted from 1, stand for lines.

    Raises:
        ConfigError: If spaCy is not installed.
        DataError: If the file is no ``DocBin``.
    """
    tokens, vocab = _spacy(source.name)
    check_unpacked(source.path)
    collects = gc.isenabled()
    try:
        found = list(tokens.DocBin().from_disk(source.path).get_docs(vocab))
    except Exception as error:  # Whatever a damaged file makes it raise.
        what = f"it has no {error}" if isinstance(error, KeyError) else f"got: {error}".rstrip(".")
        raise source.fail(
            0,
            "documents as spaCy's DocBin writes them",
            what,
            "If another version of spaCy wrote it, load it there and export JSON.",
        ) from error
    finally:  # Where unpacking fails, srsly leaves the garbage collector off.
        if collects:
            gc.enable()
    for number, doc in enumerate(found, start=1):
        yield number, _cells(doc)


def _spacy(where: str) -> tuple[Any, Any]:
    try:
        from spacy import tokens
        from spacy.vocab import Vocab
    except ImportError as error:
        advice = "Install it: pip install 'mtl[spacy]'; or export JSON from it."
        problem = Problem(Place(where), "spaCy, which reads .spacy files", f"got: {error}", advice)
        raise ConfigError(problem) from None
    return tokens, Vocab()


def _cells(doc: Doc) -> Cells:
    given = doc.ents or [span for group in doc.spans.values() for span in group]
    spans = [{"start": s.start_char, "end": s.end_char, "label": s.label_} for s in given]
    words = [token.text for token in doc if token.text.strip()]
    cells: Fields = {"text": doc.text, "spans": spans, "id": doc.user_data.get("id")}
    return {**cells, "tokens": words} if words else cells


def write(path: Path, documents: Iterable[Annotated]) -> None:
    """Write documents with their entities, or as the group ``sc`` where those overlap.

    Raises:
        ConfigError: If spaCy is not installed.
    """
    from mtl.files import open_whole

    tokens, vocab = _spacy(str(path))
    docs = tokens.DocBin(store_user_data=True)
    for document in documents:
        docs.add(_doc(document, tokens, vocab))
    with open_whole(path, "wb") as out:
        out.write(docs.to_bytes())


def _doc(document: Annotated, tokens: Any, vocab: Any) -> Doc:
    from spacy.util import filter_spans, get_words_and_spaces

    text = document.text
    edges = {e for s in document.spans for e in (s["start"], s["end"])}
    words = []
    starts, ends = (side.tolist() for side in WordRule().split(text))
    for start, end in document.words or zip(starts, ends, strict=True):
        inside = sorted({start, end, *(e for e in edges if start < e < end)})
        words += [text[a:b] for a, b in pairwise(inside)]
    doc: Doc = tokens.Doc(vocab, *get_words_and_spaces(words, text))
    marked = (doc.char_span(s["start"], s["end"], label=s["label"]) for s in document.spans)
    spans = [span for span in marked if span is not None]  # All are: words end where they do.
    if len(filter_spans(spans)) == len(spans):
        doc.set_ents(spans)
    else:
        doc.spans["sc"] = spans
    if document.id is not None:
        doc.user_data["id"] = document.id
    return doc


FORMATS.register("spacy")(Format(read, (".spacy",), fit=fit_annotated, write=write))
