"""Parse the authored documents of the corpus "newsroom".

One document, as it stands in a source file::

    ## a-003 | domain: court report | sentiment: neutral
    A driver was given a discharge at [LOC Wendmoor]. [PER Teodor Halvaksz], 58, admitted it.
    = A lorry driver who moved beehives without papers is discharged.
    ? Where was the hearing? => Wendmoor
    ? Who spoke second? => he @2

An answer is a piece of the text; ``@2`` means its second occurrence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEADER = re.compile(
    r"## (?P<id>\S+) \| domain: (?P<domain>[^|]+?) \| sentiment: (?P<sentiment>\S+)"
)
ENTITY = re.compile(r"\[(?P<label>[A-Z]+) (?P<surface>[^\[\]]+)\]")
QUESTION = re.compile(r"\? (?P<question>.+?) => (?P<answer>.+?)(?: @(?P<nth>\d+))?")


@dataclass(frozen=True)
class Finding:
    """Something wrong in a source file."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Entity:
    """A span of the text, in characters, and its type."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Question:
    """A question, its answer, and where that begins in the text."""

    question: str
    answer: str
    start: int


@dataclass
class Document:
    """One document with its four annotations, and where it stands."""

    file: Path
    line: int
    id: str
    domain: str
    sentiment: str
    text: str = ""
    summary: str = ""
    entities: list[Entity] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def finding(self, message: str, offset: int = 1) -> Finding:
        """Return a finding about the line `offset` below the header."""
        return Finding(self.file, self.line + offset, message)

    def surface(self, entity: Entity) -> str:
        """Return the text of an entity."""
        return self.text[entity.start : entity.end]


def parse(path: Path, findings: list[Finding]) -> list[Document]:
    """Return the documents of a source file; add what is wrong with it to `findings`."""
    documents = []
    for start, block in _blocks(path):
        header = HEADER.fullmatch(block[0])
        if header is None:
            message = f"Expected '## id | domain: … | sentiment: …', but got {block[0][:60]!r}"
            findings.append(Finding(path, start, message))
            continue
        document = Document(path, start, **header.groupdict())
        findings.extend(_fill(document, block[1:]))
        documents.append(document)
    return documents


def _blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    block: list[str] = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _fill(document: Document, lines: list[str]) -> Iterator[Finding]:
    """Read the lines below the header into `document`."""
    if not lines or lines[0][0] in "=?#":
        yield document.finding("Expected the text on one line, but found none", 0)
        return
    document.text, document.entities = strip_brackets(lines[0])
    for offset, line in enumerate(lines[1:], start=2):
        question = QUESTION.fullmatch(line)
        if line.startswith("= ") and not document.summary:
            document.summary = line[2:]
        elif question is None:
            wanted = "'= summary' (once) or '? question => answer'"
            yield document.finding(f"Expected {wanted}, but got {line[:60]!r}", offset)
        else:
            start = _nth(document.text, question["answer"], int(question["nth"] or 1))
            if start < 0:
                message = f"Expected an answer from the text, but got {question['answer']!r}"
                yield document.finding(message, offset)
            document.questions.append(Question(question["question"], question["answer"], start))
    if re.search(r"[\[\]]", document.text):
        yield document.finding("Expected brackets around entities only, as in [PER Ada Bell]")


def strip_brackets(marked: str) -> tuple[str, list[Entity]]:
    """Return the text of ``[LOC Wendmoor] is shut``, and its entities as spans."""
    text = ""
    entities = []
    end = 0
    for match in ENTITY.finditer(marked):
        text += marked[end : match.start()]
        entities.append(Entity(len(text), len(text) + len(match["surface"]), match["label"]))
        text += match["surface"]
        end = match.end()
    return text + marked[end:], entities


def _nth(text: str, part: str, nth: int) -> int:
    at = -1
    for _ in range(nth):
        at = text.find(part, at + 1)
        if at < 0:
            return -1
    return at
