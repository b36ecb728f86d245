"""What must hold for the corpus "newsroom", document by document and over its splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from newsroom_source import Document, Entity, Finding

LABELS = ("PER", "ORG", "LOC", "MISC")
SENTIMENTS = ("negative", "neutral", "positive")
WORDS = (40, 150)
SUMMARY_WORDS = (6, 25)
QUESTIONS = (2, 4)


def check_all(splits: dict[str, list[Document]]) -> list[Finding]:
    """Return everything that is wrong, in the order of the source files."""
    documents = [document for split in splits.values() for document in split]
    findings = [finding for document in documents for finding in check(document)]
    findings.extend(_repeats(documents))
    findings.extend(_leaks(splits["train"], splits["validation"] + splits["test"]))
    return findings


def check(document: Document) -> Iterator[Finding]:
    """Yield what is wrong inside one document."""
    if document.sentiment not in SENTIMENTS:
        yield document.finding(f"Expected one of {SENTIMENTS}, but got {document.sentiment}", 0)
    yield from _sizes(document)
    for entity in document.entities:
        yield from _entity(document, entity)
    yield from _untagged(document)
    if re.search(r"\s{2}|^\s|\s$", document.text):
        yield document.finding("Expected single blanks inside the text and none around it")
    for question in document.questions:
        if not _whole(document.text, question.start, question.start + len(question.answer)):
            yield document.finding(f"Expected whole words, but the answer is {question.answer!r}")


def _sizes(document: Document) -> Iterator[Finding]:
    for name, size, (low, high), offset in (
        ("words", len(document.text.split()), WORDS, 1),
        ("words of summary", len(document.summary.split()), SUMMARY_WORDS, 2),
        ("questions", len(document.questions), QUESTIONS, 3),
    ):
        if not low <= size <= high:
            yield document.finding(f"Expected {low} to {high} {name}, but got {size}", offset)


def _entity(document: Document, entity: Entity) -> Iterator[Finding]:
    surface = document.surface(entity)
    if entity.label not in LABELS:
        yield document.finding(f"Expected one of {LABELS}, but got '{entity.label}'")
    if surface != surface.strip() or not _whole(document.text, entity.start, entity.end):
        yield document.finding(f"Expected an entity of whole words, but got '{surface}'")


def _whole(text: str, start: int, end: int) -> bool:
    """Whether neither end of a span is inside a word."""
    return not any(
        0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum() for at in (start, end)
    )


def _untagged(document: Document) -> Iterator[Finding]:
    """Yield mentions of a document's own entities that carry no brackets."""
    inside = [(e.start, e.end) for e in document.entities]
    for surface in sorted({document.surface(e) for e in document.entities}):
        for match in re.finditer(rf"(?<!\w){re.escape(surface)}(?!\w)", document.text):
            if not any(start <= match.start() < end for start, end in inside):
                yield document.finding(f"Expected every '{surface}' in brackets, but one is not")


def _repeats(documents: Iterable[Document]) -> Iterator[Finding]:
    ids: set[str] = set()
    texts: set[str] = set()
    for document in documents:
        if document.id in ids:
            yield document.finding(f"Expected a new id, but '{document.id}' is taken", 0)
        if document.text in texts:
            yield document.finding("Expected a new text, but it is there already")
        ids.add(document.id)
        texts.add(document.text)


def _leaks(train: list[Document], held: list[Document]) -> Iterator[Finding]:
    """Yield names of held-out documents that training texts hold, in any case, as whole words."""
    text = "\n".join(document.text for document in train)
    tokens = dict.fromkeys(re.findall(r"\w+", text.casefold()))
    lowered = text.casefold()
    for document in held:
        for name in sorted(_names(document)):
            parts = re.findall(r"\w+", name.casefold())
            pattern = rf"(?<!\w){re.escape(name.casefold())}(?!\w)"
            if all(part in tokens for part in parts) and re.search(pattern, lowered):
                place = next(d for d in train if re.search(pattern, d.text.casefold()))
                message = f"Expected a name that training does not have, but '{name}' is in"
                yield document.finding(f"{message} {place.file.name}:{place.line + 1}")


def _names(document: Document) -> set[str]:
    """Return the entities of a document, and the longer words of its people's names."""
    names = {document.surface(entity) for entity in document.entities}
    people = [document.surface(e) for e in document.entities if e.label == "PER"]
    return names | {word for name in people for word in re.findall(r"\w{3,}", name)}
