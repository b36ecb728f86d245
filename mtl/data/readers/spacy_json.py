"""spaCy's JSON: examples of training, documents of version 2, and what ``Doc.to_json`` gives.

An example, a document of version 3, and one of version 2::

    ["Ines left.", {"entities": [[0, 4, "PER"]]}]
    {"text": "Ines left.", "ents": [{"start": 0, "end": 4, "label": "PER"}], "tokens": […]}
    {"id": 0, "paragraphs": [{"raw": "Ines left.", "sentences": [{"tokens":
        [{"orth": "Ines", "ner": "U-PER"}, {"orth": "left", "ner": "O"}, …]}]}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mtl.config.section import Values
from mtl.data.readers.annotated import (
    UNLIKE,
    Annotated,
    Fields,
    an_object,
    claims,
    fit_annotated,
    leave_out,
    records,
    text_of,
    unlike,
    write_list,
)
from mtl.data.readers.base import FORMATS, Cells, Format, Source
from mtl.data.value_types import show
from mtl.data.words import find_words, join_words
from mtl.errors import Mismatch
from mtl.labels import spans_of


def read(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each example, document, or paragraph of one."""
    for line, record in records(source):
        if record is None:  # Some annotators write one for a text without spans.
            leave_out(source, line, "empty record")
            continue
        try:
            found = list(_cells(source, record))
        except UNLIKE as problem:
            source.reject(line, unlike(problem, record), record)
            continue
        yield from ((line, cells) for cells in found)


def _cells(source: Source, record: Any) -> Iterator[Cells]:
    """Yield the cells of a record.

    Raises:
        ValueError: If it is none of spaCy's.
    """
    if isinstance(record, list):
        yield _example(record)
        return
    document = an_object(record, "spaCy")
    if isinstance(document.get("paragraphs"), list):
        for paragraph in document["paragraphs"]:
            yield _paragraph(an_object(paragraph, "spaCy"), document.get("id"))
        return
    spans = document.get("ents")
    if spans is None and isinstance(document.get("spans"), dict):
        spans = [span for group in document["spans"].values() for span in group]
    if "spans" in source.columns and not isinstance(spans, list):
        raise Mismatch("`ents` or `spans`, as spaCy writes them", f"got {', '.join(document)}")
    yield {"text": text_of(document, "text"), "spans": spans, "id": document.get("id")}


def _example(record: list[Any]) -> Cells:
    if len(record) != 2 or not isinstance(record[0], str) or not isinstance(record[1], dict):
        raise Mismatch("an example of spaCy ([text, {'entities': […]}])", f"got {show(record)}")
    spans = record[1].get("entities")
    if spans is None and isinstance(record[1].get("spans"), dict):
        spans = [span for group in record[1]["spans"].values() for span in group]
    return {"text": record[0], "spans": [] if spans is None else spans}


def _paragraph(paragraph: Values, name: object) -> Cells:
    """Return a paragraph of version 2; entities are labels of its tokens, in BILUO.

    Raises:
        ValueError: If its tokens do not stand in it.
    """
    tokens = [t for s in paragraph.get("sentences", ()) for t in s.get("tokens", ())]
    words = [str(token.get("orth", "")) for token in tokens]
    text = paragraph.get("raw") or join_words(words)
    places = find_words(text, words)
    if places is None:
        raise Mismatch("the tokens to stand in `raw` in their order", "one does not")
    starts, ends = (side.tolist() for side in places)
    found = spans_of([str(token.get("ner") or "O") for token in tokens])
    spans = [{"start": starts[s.start], "end": ends[s.end - 1], "label": s.type} for s in found]
    given: Fields = {"text": text, "id": name}
    return {**given, "tokens": words, "spans": spans} if words else {**given, "spans": []}


def is_spacy(source: Source, record: object) -> bool:
    """Whether a record is of spaCy, and more than a text that any task reads."""
    if isinstance(record, list):
        return len(record) == 2 and isinstance(record[0], str) and isinstance(record[1], dict)
    if not isinstance(record, dict):
        return False
    if isinstance(record.get("paragraphs"), list):
        return any("sentences" in p for p in record["paragraphs"] if isinstance(p, dict))
    wanted = any(role.name == "spans" for role in source.roles)
    return wanted and isinstance(record.get("ents"), list) and isinstance(record.get("text"), str)


def write(path: Path, documents: Iterable[Annotated]) -> None:
    """Write documents as examples of training."""
    write_list(
        path,
        (
            [d.text, {"entities": [[s["start"], s["end"], s["label"]] for s in d.spans]}]
            for d in documents
        ),
    )


FORMATS.register("spacy-json")(
    Format(read, (), fit_annotated, within=("json", "jsonl"), claims=claims(is_spacy), write=write)
)
