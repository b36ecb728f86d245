"""Exports of annotation tools, as each tool writes them, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import DataConfig
from mtl.data.readers.annotated import Annotated
from mtl.data.readers.base import FORMATS
from mtl.data.sources import Wanted, load_splits
from mtl.errors import ConfigError, DataError
from mtl.tasks.base import remarks
from mtl.training.model import make_task

TEXT = "Rosa Quill sailed to Lyme."
SPANS: list[Any] = [[0, 10, "PER"], [21, 25, "LOC"]]
WORDS = ["Rosa", "Quill", "sailed", "to", "Lyme", "."]
TAGS = ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]
ROW = (WORDS, TAGS)
NER = {"text": "text", "tokens": "tokens", "labels": "ner_tags"}
"""The columns of the task `ner`, as it comes."""


def read(
    path: Path, columns: Mapping[str, Any] = NER, **options: Any
) -> tuple[list[Any], list[str]]:
    """Return words and labels of each row, and what is said."""
    task = make_task("ner", "token_classification", options={}, head={})
    data = DataConfig(train=str(path), test=str(path), **options)
    roles = task.roles(task.options)
    wanted = {"ner": Wanted(data, columns, roles, task.check)}
    splits = load_splits(wanted, 0, only=("test",))["ner"]
    assert splits.test is not None
    rows = [(row["tokens"], row["labels"]) for row in splits.test]
    return rows, [*splits.notes, *remarks(task)]


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
    return path


def write_lines(path: Path, *items: object) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", ["jsonl", "json"])
@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "text": TEXT, "label": SPANS, "Comments": []},
        {"id": 1, "text": TEXT, "labels": SPANS},
        {
            "id": 1, "text": TEXT, "relations": [],
            "entities": [
                {"id": i, "label": n, "start_offset": s, "end_offset": e}
                for i, (s, e, n) in enumerate(SPANS)
            ],
        },
        {
            "id": 1, "text": TEXT, "meta": {}, "annotation_approver": None,
            "annotations": [{"label": n, "start_offset": s, "end_offset": e} for s, e, n in SPANS],
        },
    ],
)  # fmt: skip
def test_doccano(tmp_path: Path, ending: str, record: Any) -> None:
    blank = {**record, "id": 2, "text": "Nobody came.", **{k: [] for k in record if k[0] in "lea"}}
    path = tmp_path / f"all.{ending}"
    write = write_lines if ending == "jsonl" else lambda p, *items: write_json(p, list(items))
    rows, notes = read(write(path, blank, record))
    assert rows[1] == ROW
    assert rows[0] == (["Nobody", "came", "."], ["O"] * 3)
    assert notes == []


def test_doccano_relations_are_counted(tmp_path: Path) -> None:
    spans = [{"id": 1, "label": "PER", "start_offset": 0, "end_offset": 10}]
    record = {"text": TEXT, "entities": spans, "relations": [{"from_id": 1, "to_id": 1}]}
    rows, notes = read(write_lines(tmp_path / "a.jsonl", record))
    assert rows[0][1] == ["B-PER", "I-PER", "O", "O", "O", "O"]
    assert notes == [f"tasks.ner.data: 1 relation left out, at {tmp_path}/a.jsonl:1."]


def prodigy(answer: str = "accept", **more: Any) -> dict[str, Any]:
    places = [(0, 4), (5, 10), (11, 17), (18, 20), (21, 25), (25, 26)]
    return {
        "text": TEXT,
        "_input_hash": 12,
        "_task_hash": -3,
        "tokens": [
            {"text": TEXT[s:e], "start": s, "end": e, "id": i, "ws": e != s + 1}
            for i, (s, e) in enumerate(places)
        ],
        "spans": [
            {"start": 0, "end": 10, "token_start": 0, "token_end": 1, "label": "PER"},
            {"start": 21, "end": 25, "token_start": 4, "token_end": 4, "label": "LOC"},
        ],
        "_view_id": "ner_manual",
        "answer": answer,
        **more,
    }


def test_prodigy(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, prodigy("ignore"), prodigy(), prodigy("reject"), prodigy(spans=[]))
    rows, notes = read(path)
    assert rows == [ROW, (WORDS, ["O"] * 6)]
    assert notes == [
        f"tasks.ner.data: 1 `ignore` answer left out, at {path}:1.",
        f"tasks.ner.data: 1 `reject` answer left out, at {path}:3.",
    ]
    with pytest.raises(DataError, match=r"a.jsonl:1: Expected `answer` .* but got 'maybe'"):
        read(write_lines(path, prodigy("maybe")))


def test_the_words_of_prodigy_are_its_tokens(tmp_path: Path) -> None:
    record = prodigy(
        text="Rosa-Quill  left",
        tokens=[{"text": t} for t in ("Rosa", "-", "Quill", " ", "left")],
        spans=[{"start": 5, "end": 10, "label": "PER"}],
    )
    rows, _ = read(write_lines(tmp_path / "a.jsonl", record))
    assert rows == [(["Rosa", "-", "Quill", "left"], ["O", "O", "B-PER", "O"])]


def region(start: int, end: int, label: str, text: str = TEXT, **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text[start:end], "labels": [label]}
    return {
        "id": "Bd", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual",
        "value": {**value, **more},
    }  # fmt: skip


def annotation(*regions: Any, **more: Any) -> dict[str, Any]:
    return {"id": 5, "was_cancelled": False, "ground_truth": False, "result": [*regions], **more}


def test_label_studio(tmp_path: Path) -> None:
    right = [region(*span) for span in SPANS]
    choice = {"type": "choices", "from_name": "tone", "value": {"choices": ["calm"]}}
    tasks = [
        {"id": 1, "data": {"text": TEXT}, "predictions": [], "annotations": [annotation(*right)]},
        {"id": 2, "data": {"text": TEXT}, "annotations": [annotation(choice, was_cancelled=True)]},
        {"id": 3, "data": {"body": TEXT}, "annotations": [annotation(*right, choice)]},
        {
            "id": 4,
            "data": {"text": TEXT},
            "annotations": [annotation(), annotation(*right, ground_truth=True)],
        },
        {"id": 5, "data": {"text": TEXT}, "annotations": []},
        {"id": 6, "data": {"text": TEXT}, "completions": [{"result": right}]},
    ]
    path = write_json(tmp_path / "export.json", tasks)
    rows, notes = read(path)
    assert rows == [ROW] * 4
    assert [note.partition(", ")[0] for note in notes] == [
        "tasks.ner.data: 2 unannotated or skipped tasks left out",
        "tasks.ner.data: 1 unlabelled region left out",
        "tasks.ner.data: 1 further annotation left out",
    ]


def test_label_studio_counts_in_utf16(tmp_path: Path) -> None:
    text = "👍 Rosa"
    value = {**region(3, 7, "PER")["value"], "text": "Rosa"}
    full = {"data": {"text": text}, "annotations": [annotation({"value": value})]}
    short = {"id": 1, "text": text, "annotator": 1, "label": [value]}
    for task in (full, short):
        rows, notes = read(write_json(tmp_path / "export.json", [task]))
        assert rows == [(["👍", "Rosa"], ["O", "B-PER"])]
        assert notes == ["tasks.ner: 1 span was counted in UTF-16, and converted to characters."]


def test_label_studio_in_its_short_form(tmp_path: Path) -> None:
    short = {
        "id": 1, "text": TEXT, "annotator": 1, "lead_time": 4.2, "created_at": "2026-01-01T00:00",
        "label": [region(*span)["value"] for span in SPANS],
    }  # fmt: skip
    bare = {**{k: v for k, v in short.items() if k != "label"}, "id": 2}
    rows, notes = read(write_json(tmp_path / "min.json", [short, bare]))
    assert rows == [ROW, (WORDS, ["O"] * 6)]
    assert notes == []


def test_an_export_of_another_version_is_a_sentence(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [{"data": {"text": TEXT}, "outcomes": []}])
    with pytest.raises(
        DataError, match=r"a\.json:2: Expected `annotations`, .* has data, outcomes"
    ):
        read(path, format="labelstudio")
    with pytest.raises(DataError, match=r"a\.json:2: Expected a text under 'text', but got data"):
        read(path, format="doccano", on_bad_row="error")


BILUO = [("Rosa", "B-PER"), ("Quill", "L-PER"), *((w, "O") for w in ("sailed", "to")),
         ("Lyme", "U-LOC"), (".", "O")]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        [[TEXT, {"entities": SPANS}]],
        {"classes": ["PER"], "annotations": [None, [TEXT, {"entities": SPANS}]]},
        [{"text": TEXT, "ents": [dict(zip(("start", "end", "label"), s, strict=True))
                                 for s in SPANS], "tokens": [{"id": 0, "start": 0, "end": 4}]}],
        [{"id": 0, "paragraphs": [{"raw": TEXT, "cats": [], "sentences": [
            {"brackets": [], "tokens": [{"id": i, "orth": w, "ner": n}
                                        for i, (w, n) in enumerate(BILUO)]}]}]}],
    ],
    ids=["examples", "with its classes", "version 3", "version 2"],
)  # fmt: skip
def test_json_of_spacy(tmp_path: Path, content: Any) -> None:
    rows, notes = read(write_json(tmp_path / "a.json", content))
    assert rows == [ROW]
    assert len(notes) == isinstance(content, dict)


def test_examples_of_spacy_a_line(tmp_path: Path) -> None:
    example = [TEXT, {"entities": SPANS, "cats": {}}]
    assert read(write_lines(tmp_path / "a.jsonl", example, example))[0] == [ROW, ROW]
    path = write_lines(tmp_path / "a.jsonl", example, [TEXT])
    with pytest.raises(DataError, match=r"a\.jsonl:2: Expected an example of spaCy"):
        read(path)


@pytest.mark.slow
def test_documents_that_spacy_wrote(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    language = spacy.blank("en")
    doc, other = language(TEXT), language("Nobody  came.")
    doc.set_ents([doc.char_span(start, end, label) for start, end, label in SPANS])
    path = tmp_path / "train.spacy"
    spacy.tokens.DocBin(docs=[doc, other]).to_disk(path)
    rows, _ = read(path)
    assert rows == [ROW, (["Nobody", "came", "."], ["O"] * 3)]
    path.write_bytes(b"no documents")
    with pytest.raises(DataError, match="Expected documents as spaCy's DocBin writes them"):
        read(path)


def test_spacy_is_asked_for_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    (tmp_path / "a.spacy").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"pip install 'mtl\[spacy\]'"):
        read(tmp_path / "a.spacy")


MARKS = """\
T1\tPER 0 10\tRosa Quill
T2\tLOC 21 25\tLyme
T3\tX 0 4;11 17\tRosa sailed
R1\tlives Arg1:T1 Arg2:T2
*\tEquiv T1 T3
E1\tLOC:T2 Arg:T1
A1\tSure T1
N1\tReference T1 Wikidata:Q1\tQ1
#1\tAnnotatorNotes T1\tis this right?
"""


@pytest.mark.parametrize("name", ["a.txt", "a.ann", "", "*.txt", "*.ann"])
def test_brat(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text(TEXT + "\n")
    (tmp_path / "a.ann").write_text(MARKS)
    rows, notes = read(tmp_path / name)
    assert rows == [ROW]
    assert [note.partition(", ")[0].removeprefix("tasks.ner.data: ") for note in notes] == [
        "1 discontinuous span left out",
        "2 relations left out",
        "1 event left out",
        "1 attribute left out",
        "1 reference left out",
        "1 note left out",
    ]


def test_line_ends_count_in_brat(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"One\r\ntwo Rosa\r\nQuill\r\n")
    (tmp_path / "a.ann").write_text("T1\tPER 9 20\tRosa  Quill\n")
    assert read(tmp_path)[0] == [(["One", "two", "Rosa", "Quill"], ["O", "O", "B-PER", "I-PER"])]


@pytest.mark.parametrize(
    ("text", "marks", "message"),
    [
        (None, "T1\tPER 0 4\tRosa\n", r"a\.ann: Expected the text beside it, in '.*a\.txt', but"),
        (TEXT, "T1 PER 0 4\n", r"a\.ann:1: Expected a line such as 'T1<tab>PER 0 4<tab>Ines'"),
        (TEXT, "\nT1\tPER 0 x\tRosa\n", r"a\.ann:2: Expected a line such as"),
        (TEXT, "T1\tPER 0 4\tLyme\n", r"a\.ann: Expected the span 0 to 4 \(PER\) to hold 'Lyme'"),
    ],
)
def test_what_brat_did_not_write(tmp_path: Path, text: Any, marks: str, message: str) -> None:
    if text is not None:
        (tmp_path / "a.txt").write_text(text)
    (tmp_path / "a.ann").write_text(marks)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.ann")


def test_columns_of_any_table(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"body": TEXT, "marks": SPANS, "label": "calm"})
    assert read(path, {"text": "body", "spans": "marks"})[0] == [ROW]
    assert read(path, {**NER, "text": "body", "spans": "marks"})[0] == [ROW]
    table = tmp_path / "a.csv"
    table.write_text('body,marks\n"{}","{}"\n'.format(TEXT, json.dumps(SPANS).replace('"', '""')))
    assert read(table, {"text": "body", "spans": "marks"})[0] == [ROW]


def test_what_is_missing_beside_spans(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"body": TEXT, "marks": SPANS})
    with pytest.raises(ConfigError, match=r"tasks\.ner\.columns\.text` to be the column"):
        read(path, {"spans": "marks"})
    with pytest.raises(DataError, match="Expected a column 'spans', but found body, marks"):
        read(path, {"text": "body", "spans": "spans"})
    with pytest.raises(ConfigError, match=r"tasks\.ner\.columns\.tokens` to be the column"):
        read(path, {"text": "body"})


def test_spans_that_hold_another_text_are_bad_rows(tmp_path: Path) -> None:
    bad = {"text": TEXT, "marks": [{"start": 0, "end": 4, "label": "PER", "text": "Lyme"}]}
    path = write_lines(tmp_path / "a.jsonl", bad, {"text": TEXT, "marks": SPANS})
    with pytest.raises(DataError, match=r"a\.jsonl:1: Expected the span 0 to 4 \(PER\) to hold"):
        read(path, {"text": "text", "spans": "marks"})
    rows, notes = read(path, {"text": "text", "spans": "marks"}, on_bad_row="skip")
    assert rows == [ROW]
    assert "1 row was skipped" in notes[0]


def test_files_of_words_and_labels_are_read_as_before(tmp_path: Path) -> None:
    record = {"text": TEXT, "tokens": WORDS, "ner_tags": TAGS, "entities": [], "label": SPANS}
    path = write_lines(tmp_path / "a.jsonl", {**record, "label": "calm"}, record)
    assert read(path)[0] == [ROW, ROW]


DOCUMENTS = [
    Annotated("👍 Rosa Quill\r\nsailed to Lyme.", [
        {"start": 2, "end": 12, "label": "PER", "score": 0.9},
        {"start": 24, "end": 28, "label": "LOC", "score": 0.5},
    ], "d-1"),
    Annotated("Nobody  came.", [], "d-2"),
    Annotated("王木兰到了松林县", [{"start": 0, "end": 3, "label": "PER"}]),
]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "spacy" else ())
        for name in FORMATS
        if FORMATS.get(name).write
    ],
)
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    if name == "spacy":
        pytest.importorskip("spacy")
    layout = FORMATS.get(name)
    assert layout.write is not None
    path = tmp_path / f"out{'' if layout.folders else (layout.endings or ('.jsonl',))[0]}"
    layout.write(path, iter(DOCUMENTS))
    task = make_task("ner", "token_classification", options={}, head={})
    roles = [*task.roles(task.options)]
    wanted = {"ner": Wanted(DataConfig(train=str(path), test=str(path), format=name), {}, roles)}
    splits = load_splits(wanted, 0, only=("test",))["ner"]
    assert splits.test is not None
    found = {}
    for row in splits.test:
        units = [row["text"][s["start"] : s["end"]] for s in row["spans"]]
        if name == "labelstudio":
            units = [s["text"] for s in row["spans"]]
        found[row["text"]] = [(u, s["label"]) for u, s in zip(units, row["spans"], strict=True)]
    assert found == {
        d.text: [(d.text[s["start"] : s["end"]], s["label"]) for s in d.spans] for d in DOCUMENTS
    }
