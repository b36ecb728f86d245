"""Files near to right ones, for every reader: what tests and ``scripts/fuzz_readers.py`` feed."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from mtl.data.readers import FORMATS, read_split
from mtl.data.rows import BadRows, Role, write_rejects
from mtl.errors import MtlError

TEXTS = (Role("text", "text"), Role("label", "label", target=True))
WORDS = (Role("tokens", "tokens"), Role("labels", "tags", target=True))
ANSWERS = (
    Role("text", "text"),
    Role("question", "text"),
    Role("answers", "answers", target=True),
    Role("start", "record", required=False),
)
SPANS = (Role("text", "text"), Role("spans", "spans", target=True))
ROWS = [{"text": "Ines left.", "label": "a"}, {"text": "«Déjà», she said", "label": "b"}]
SQUAD = {
    "version": "2.0",
    "data": [
        {
            "title": "Ash",
            "paragraphs": [
                {
                    "context": "The Ash is short.",
                    "qas": [
                        {
                            "id": "q1",
                            "question": "What is short?",
                            "answers": [{"text": "The Ash", "answer_start": 0}],
                            "is_impossible": False,
                        }
                    ],
                }
            ],
        }
    ],
}
NESTED = {"text": "Ines left.", "qs": [{"q": "Who?", "a": "Ines"}, {"q": "How?", "a": []}]}


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Return a small Parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def arrow(rows: list[dict[str, Any]]) -> bytes:
    """Return a small Arrow file."""
    sink, table = io.BytesIO(), pa.Table.from_pylist(rows)
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    return sink.getvalue()


def workbook(rows: list[dict[str, Any]]) -> bytes:
    """Return a small Excel workbook."""
    sink, book = io.BytesIO(), openpyxl.Workbook()
    for cells in [list(rows[0]), *(list(row.values()) for row in rows)]:
        book.active.append(cells)
    book.save(sink)
    return sink.getvalue()


@dataclass(frozen=True)
class Target:
    """A reader, what is wanted of it, and a file that it can read."""

    format: str
    roles: tuple[Role, ...]
    columns: dict[str, Any]
    seed: bytes
    header: bool | None = None
    beside: bytes = b""
    """The text beside a file that only marks it."""


MARKED = {"text": "text", "spans": "spans"}
REGION = {"start": 0, "end": 4, "text": "Ines", "labels": ["PER"]}
NAMED = {"text": "text", "label": "label"}
NUMBERED = {"text": 0, "label": -1}
IN_LISTS = {"text": "text", "question": "qs[].q", "answers": "qs[].a"}
TARGETS = {
    "conll": Target(
        "conll", WORDS, {"tokens": 0, "labels": -1}, b"-DOCSTART- O\n\nEU B-ORG\nsaid O\n\nYes O\n"
    ),
    "csv": Target("csv", TEXTS, NAMED, b'text,label\n"a, b",x\n"c ""d""\ne",y\n'),
    "csv-numbers": Target("csv", TEXTS, NUMBERED, b"a,x\nb,y\n"),
    "tsv": Target("tsv", TEXTS, NAMED, b'text\tlabel\n"a\tb"\tx\n"c\nd"\ty\n'),
    "tsv-numbers": Target("tsv", TEXTS, NUMBERED, b'a\tx\n5" tall\ty\n'),
    "jsonl": Target("jsonl", TEXTS, NAMED, "\n".join(map(json.dumps, ROWS)).encode()),
    "json": Target("json", TEXTS, NAMED, json.dumps({"data": ROWS}, ensure_ascii=False).encode()),
    "nested": Target("json", ANSWERS, IN_LISTS, json.dumps([NESTED, NESTED]).encode()),
    "squad": Target(
        "squad",
        ANSWERS,
        {"text": "text", "question": "question", "answers": "answers"},
        json.dumps(SQUAD, indent=1).encode(),
    ),
    "cluener": Target(
        "cluener", SPANS, MARKED, b'{"text": "Ines left.", "label": {"PER": {"Ines": [[0, 3]]}}}\n'
    ),
    "doccano": Target(
        "doccano", SPANS, MARKED, b'{"text": "Ines left.", "label": [[0, 4, "PER"]]}\n'
    ),
    "prodigy": Target(
        "prodigy",
        SPANS,
        MARKED,
        b'{"text": "Ines left.", "tokens": [{"text": "Ines"}, {"text": "left."}], "spans": '
        b'[{"start": 0, "end": 4, "label": "PER"}], "meta": {"id": 3}, "answer": "accept"}\n',
    ),
    "labelstudio": Target(
        "labelstudio",
        SPANS,
        MARKED,
        json.dumps(
            [
                {"data": {"text": "Ines left."}, "annotations": [{"result": [{"value": REGION}]}]},
                {"id": 2, "text": "Ines left.", "label": [REGION]},
            ],
            indent=1,
        ).encode(),
    ),
    "spacy-json": Target(
        "spacy-json",
        SPANS,
        MARKED,
        b'[["Ines left.", {"entities": [[0, 4, "PER"]]}],\n{"id": 0, "paragraphs": [{"raw": "Ines",'
        b'"sentences": [{"tokens": [{"orth": "Ines", "ner": "U-PER"}]}]}]}]',
    ),
    "brat": Target(
        "brat",
        SPANS,
        MARKED,
        b"T1\tPER 0 4\tInes\nR1\tlives Arg1:T1 Arg2:T1\n",
        beside=b"Ines left.\n",
    ),
    "text": Target("text", TEXTS[:1], {"text": "text"}, b"One.\nTwo.\n\nThree.\n"),
    "folders": Target("folders", TEXTS, NAMED, b"One.\n\nTwo."),
    "parquet": Target("parquet", TEXTS, NAMED, parquet(ROWS)),
    "xlsx": Target("xlsx", TEXTS, NAMED, workbook(ROWS)),
    "arrow": Target("arrow", TEXTS, NAMED, arrow(ROWS)),
}
OTHERS = {"spacy"}  # Its files are spaCy's to read.
assert {target.format for target in TARGETS.values()} == set(FORMATS) - OTHERS


def read(target: Target, content: bytes, folder: Path, policy: str, guess: bool = False) -> None:
    """Read a file; every error but the project's own is let through.

    Args:
        target: How.
        content: What stands in the file.
        folder: Where it is written.
        policy: ``error`` or ``skip``, for bad rows.
        guess: Whether its format is to be found out.
    """
    ending = FORMATS.get(target.format).endings
    file = folder / f"fuzzed{ending[0] if ending and not guess else '.json'}"
    file.write_bytes(content)
    if target.beside:
        file.with_suffix(".txt").write_bytes(target.beside)
    bad = BadRows(policy, "tasks.x.data")
    try:
        rows = read_split(
            file,
            columns=target.columns,
            roles=target.roles,
            bad_rows=bad,
            format=None if guess else target.format,
            header=target.header,
        )
    except MtlError as error:
        message = str(error)
        assert "\n" not in message, message
        assert message.endswith((".", "?")), message
        return
    names = {role.name for role in target.roles if role.required}
    for row in rows:
        assert names <= row.keys()
    write_rejects(folder / "rejected.jsonl", [bad])
