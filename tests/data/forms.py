"""A small file of every form that docs/data.md names, as the tool that makes it writes it."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Row = dict[str, Any]

WORDS: list[Row] = [
    {"tokens": ["Ada", "met", "Bo", "."], "labels": ["B-PER", "O", "B-PER", "O"]},
    {"tokens": ["Rome", "slept", "."], "labels": ["B-LOC", "O", "O"]},
    {"tokens": ["Bo", "left", "Rome", "."], "labels": ["B-PER", "O", "B-LOC", "O"]},
]
MARKED: list[tuple[str, list[Any]]] = [
    ("Ada met Bo.", [[0, 3, "PER"], [8, 10, "PER"]]),
    ("Rome slept.", [[0, 4, "LOC"]]),
    ("Bo left Rome.", [[0, 2, "PER"], [8, 12, "LOC"]]),
]
"""The same sentences with spans of characters."""
CLASSES: list[Row] = [
    {"text": "The soup was warm and good.", "label": "pos"},
    {"text": 'A cold room, and a "view".', "label": "neg"},
    {"text": "They smiled all the evening.", "label": "pos"},
    {"text": "Nobody told us of the bill.", "label": "neg"},
]
TEXTS: list[Row] = [{"text": "The pump ran.\nIt ran all night."}, {"text": "Then it broke."}]
WRITTEN: list[Row] = [
    {"text": "The pump ran for two hours.", "target": ["It ran."]},
    {"text": "The mill was sold in spring.", "target": ["It was sold."]},
]
ASKED: list[Row] = [
    {
        "text": "The Ash is short.",
        "question": "What is short?",
        "answers": [{"text": "The Ash", "start": 0}],
    },
    {"text": "The Ash is short.", "question": "What is long?", "answers": []},
]
CHOSEN: list[Row] = [
    {"text": "Why did it stop?", "choices": ["It ran dry.", "It rained."], "label": "0"},
    {"text": "Who sold it?", "choices": ["Ada", "Bo", "Nobody"], "label": "2"},
]
NESTED: list[Row] = [{"tokens": ["Bank", "of", "Rome"], "spans": [[0, 3, "ORG"], [2, 3, "LOC"]]}]


@dataclass(frozen=True)
class Form:
    """A form of files.

    Args:
        proves: What stands in the row of the page's tables that it proves, in no other row.
        write: Writes the files into a folder; returns the task's ``data`` section.
        rows: What training reads of it.
        type: The task's type.
        columns: The task's columns.
        options: The task's options.
    """

    proves: str
    write: Callable[[Path], Mapping[str, Any]]
    rows: list[Row]
    type: str = "text_classification"
    columns: Mapping[str, Any] = field(default_factory=lambda: {"text": "text", "label": "label"})
    options: Mapping[str, Any] = field(default_factory=dict)


def train(path: Path) -> dict[str, str]:
    return {"train": str(path)}


def text_file(name: str, content: str) -> Callable[[Path], Mapping[str, Any]]:
    def write(folder: Path) -> Mapping[str, Any]:
        (folder / name).write_text(content, encoding="utf-8")
        return train(folder / name)

    return write


def bytes_file(name: str, pack: Callable[[bytes], bytes]) -> Callable[[Path], Mapping[str, Any]]:
    def write(folder: Path) -> Mapping[str, Any]:
        (folder / name).write_bytes(pack(lines(CLASSES).encode()))
        return train(folder / name)

    return write


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def cells(name: str, delimiter: str) -> Callable[[Path], Mapping[str, Any]]:
    def write(folder: Path) -> Mapping[str, Any]:
        with (folder / name).open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, ["text", "label"], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(CLASSES)
        return train(folder / name)

    return write


def conll(rows: list[Row] = WORDS) -> str:
    blocks = (zip(row["tokens"], row["labels"], strict=True) for row in rows)
    return "\n".join("".join(f"{word} {label}\n" for word, label in block) for block in blocks)


def conllu() -> str:
    blocks = []
    for row in WORDS:
        found = ["# text = as it stands"]
        for number, (word, label) in enumerate(zip(row["tokens"], row["labels"], strict=True), 1):
            found.append(f"{number}\t{word}\t{word.lower()}\t{label}\t_\t_\t0\tdep\t_\t_")
        blocks.append("\n".join(found) + "\n")
    return "\n".join(blocks)


def zipped(content: bytes) -> bytes:
    import io

    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.jsonl", content)
    return held.getvalue()


def zstandard(content: bytes) -> bytes:
    packed: bytes = pytest.importorskip("zstandard").ZstdCompressor().compress(content)
    return packed


def workbook(folder: Path) -> Mapping[str, Any]:
    book = pytest.importorskip("openpyxl").Workbook()
    for row in [("text", "label"), *((row["text"], row["label"]) for row in CLASSES)]:
        book.active.append(row)
    book.save(folder / "train.xlsx")
    return train(folder / "train.xlsx")


def parquet(folder: Path) -> Mapping[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(CLASSES), folder / "train.parquet")
    return train(folder / "train.parquet")


def arrow(folder: Path) -> Mapping[str, Any]:
    import pyarrow as pa

    table = pa.Table.from_pylist(CLASSES)
    with pa.ipc.new_file(str(folder / "train.arrow"), table.schema) as out:
        out.write_table(table)
    return train(folder / "train.arrow")


def splits(folder: Path) -> Mapping[str, Any]:
    for name in ("train.jsonl", "dev.jsonl", "testb.jsonl"):
        (folder / name).write_text(lines(CLASSES), encoding="utf-8")
    return {"source": str(folder)}


def classes(folder: Path) -> Mapping[str, Any]:
    for number, row in enumerate(CLASSES):
        home = folder / "train" / row["label"]
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{number}.txt").write_text(row["text"], encoding="utf-8")
    return {"source": str(folder)}


def saved(folder: Path) -> Mapping[str, Any]:
    import datasets

    named = datasets.ClassLabel(names=["neg", "pos"])
    features = datasets.Features({"text": datasets.Value("string"), "label": named})
    data = datasets.Dataset.from_list(CLASSES, features=features)
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(folder / "saved")
    return {"source": str(folder / "saved")}


def hub(folder: Path) -> Mapping[str, Any]:
    """What `datasets` loads by a name, which here is a folder."""
    parquet(folder)
    return {"source": f"hub:{folder}"}


def parallel(folder: Path) -> Mapping[str, Any]:
    (folder / "train").mkdir()
    for name, role in (("seq.in", "tokens"), ("seq.out", "labels")):
        content = "".join(" ".join(row[role]) + "\n" for row in WORDS)
        (folder / "train" / name).write_text(content, encoding="utf-8")
    return {"source": str(folder)}


def squad(folder: Path) -> Mapping[str, Any]:
    asked = [
        {"id": f"q{number}", "question": row["question"], "is_impossible": not row["answers"],
         "answers": [{"text": a["text"], "answer_start": a["start"]} for a in row["answers"]]}
        for number, row in enumerate(ASKED)
    ]  # fmt: skip
    article = {"title": "Rivers", "paragraphs": [{"context": ASKED[0]["text"], "qas": asked}]}
    path = folder / "train-v2.0.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [article]}), encoding="utf-8")
    return train(path)


def doccano(folder: Path) -> Mapping[str, Any]:
    rows = [{"id": n, "text": t, "label": s, "Comments": []} for n, (t, s) in enumerate(MARKED)]
    return text_file("all.jsonl", lines(rows))(folder)


def cluener(folder: Path) -> Mapping[str, Any]:
    def label(text: str, spans: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for start, end, name in spans:
            found.setdefault(name, {}).setdefault(text[start:end], []).append([start, end - 1])
        return found

    rows = [{"text": text, "label": label(text, spans)} for text, spans in MARKED]
    return text_file("all.jsonl", lines(rows))(folder)


def prodigy(folder: Path) -> Mapping[str, Any]:
    rows = [
        {"text": t, "_input_hash": n, "_task_hash": n, "answer": "accept", "_view_id": "ner_manual",
         "spans": [{"start": s, "end": e, "label": name} for s, e, name in spans]}
        for n, (t, spans) in enumerate(MARKED)
    ]  # fmt: skip
    return text_file("out.jsonl", lines(rows))(folder)


def label_studio(folder: Path) -> Mapping[str, Any]:
    tasks = [
        {"id": n, "data": {"text": text}, "annotations": [{"id": n, "was_cancelled": False,
         "result": [{"from_name": "label", "to_name": "text", "type": "labels",
                     "value": {"start": s, "end": e, "text": text[s:e], "labels": [name]}}
                    for s, e, name in spans]}]}
        for n, (text, spans) in enumerate(MARKED)
    ]  # fmt: skip
    return text_file("project-1-at-2026-01-01.json", json.dumps(tasks))(folder)


def spacy_documents(folder: Path) -> Mapping[str, Any]:
    spacy = pytest.importorskip("spacy")
    language = spacy.blank("en")
    documents = []
    for text, spans in MARKED:
        document = language(text)
        document.ents = [document.char_span(s, e, label=name) for s, e, name in spans]
        documents.append(document)
    spacy.tokens.DocBin(docs=documents).to_disk(folder / "train.spacy")
    return train(folder / "train.spacy")


def brat(folder: Path) -> Mapping[str, Any]:
    for number, (text, spans) in enumerate(MARKED):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
        marks = [
            f"T{n}\t{name} {s} {e}\t{text[s:e]}\n" for n, (s, e, name) in enumerate(spans, start=1)
        ]
        (folder / f"{number}.ann").write_text("".join(marks), encoding="utf-8")
    return train(folder)


def bundled(folder: Path) -> Mapping[str, Any]:
    return {"source": "bundled:newsroom"}


_NER: dict[str, Any] = {"type": "token_classification", "columns": {"tokens": 0, "labels": -1}}
_MARKED: dict[str, Any] = {
    "type": "token_classification",
    "columns": {"text": "text", "tokens": "tokens", "labels": "ner_tags"},
}
_WRITTEN: dict[str, Any] = {"type": "generation", "columns": {"text": "text", "target": "target"}}
_QA: dict[str, Any] = {
    "type": "span_extraction",
    "columns": {"text": "text", "question": "question", "answers": "answers", "start": "start"},
}
_GERMEVAL = "# source\n1\tBank\tB-ORG\tO\n2\tof\tI-ORG\tO\n3\tRome\tI-ORG\tB-LOC\n\n" * 2
_PLAIN = "The pump ran.\nIt ran all night.\n\nThen it broke.\n"
_BY_CLASS = sorted(CLASSES, key=lambda row: str(row["label"]))
_OBJECTS = "| `.jsonl`, `.json` | an object"

FORMS = {
    "bundled": Form("`bundled:newsroom`", bundled, []),
    "hub": Form("`hub:<dataset>", hub, CLASSES),
    "splits": Form("files called `train.*`", splits, CLASSES),
    "classes": Form("a folder for each class with", classes, _BY_CLASS),
    "saved": Form("what `save_to_disk`", saved, CLASSES),
    "parallel": Form("parallel files: `train/seq.in`", parallel, WORDS, **_NER),
    "conll": Form("| `.conll`, `.conllu`", text_file("eng.train.conll", conll()), WORDS, **_NER),
    "conllu": Form(
        "| `.conll`, `.conllu`", text_file("en-ud-train.conllu", conllu()), WORDS,
        "token_classification", {"tokens": "form", "labels": "upos"},
    ),
    "words": Form("| `.conll`, `.conllu`", text_file("train.txt", conll()), WORDS, **_NER),
    "text": Form(
        "a text and nothing else", text_file("train.txt", _PLAIN), TEXTS,
        "language_modeling", {"text": "text"},
    ),
    "tsv": Form("| `.tsv`, and `.txt`", cells("train.tsv", "\t"), CLASSES),
    "csv": Form("| `.csv` |", cells("train.csv", ","), CLASSES),
    "semicolons": Form("| `.csv` |", cells("train.csv", ";"), CLASSES),
    "jsonl": Form(_OBJECTS, text_file("train.jsonl", lines(CLASSES)), CLASSES),
    "json": Form(_OBJECTS, text_file("train.json", json.dumps(CLASSES)), CLASSES),
    "squad": Form("`data[].paragraphs[]`", squad, ASKED, **_QA),
    "xlsx": Form("| `.xlsx` |", workbook, CLASSES),
    "parquet": Form("| `.parquet` |", parquet, CLASSES),
    "arrow": Form("| `.arrow`", arrow, CLASSES),
    "gzip": Form("", bytes_file("train.jsonl.gz", gzip.compress), CLASSES),
    "bzip2": Form("", bytes_file("train.jsonl.bz2", bz2.compress), CLASSES),
    "xz": Form("", bytes_file("train.jsonl.xz", lzma.compress), CLASSES),
    "zstd": Form("", bytes_file("train.jsonl.zst", zstandard), CLASSES),
    "zip": Form("", bytes_file("train.jsonl.zip", zipped), CLASSES),
    "cluener": Form("| CLUENER2020 |", cluener, WORDS, **_MARKED),
    "doccano": Form("| doccano |", doccano, WORDS, **_MARKED),
    "prodigy": Form("| Prodigy |", prodigy, WORDS, **_MARKED),
    "labelstudio": Form("| Label Studio |", label_studio, WORDS, **_MARKED),
    "spacy": Form("| spaCy |", spacy_documents, WORDS, **_MARKED),
    "brat": Form("| brat |", brat, WORDS, **_MARKED),
    "generation": Form(
        "| `generation` |", text_file("train.jsonl", lines(WRITTEN)), WRITTEN, **_WRITTEN
    ),
    "choices": Form(
        "| `multiple_choice` |", text_file("train.jsonl", lines(CHOSEN)), CHOSEN,
        "multiple_choice", {"text": "text", "choices": "choices", "label": "label"},
    ),
    "germeval": Form(
        "| `span_classification` |", text_file("train.conll", _GERMEVAL), NESTED * 2,
        "span_classification", {"tokens": 1, "labels": [2, 3]},
    ),
}  # fmt: skip
"""By a name: every form."""
