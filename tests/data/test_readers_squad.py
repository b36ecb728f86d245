"""SQuAD files, nested columns, and answers in every form that flat columns have them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from mtl.data.readers import read_split
from mtl.data.readers.base import Source
from mtl.data.readers.files import format_of
from mtl.data.rows import BadRows, Role, Rows
from mtl.data.value_types import to_answers
from mtl.errors import ConfigError, DataError

from .roles import CLASSES, plain, write

QA = (
    Role("text", "text"),
    Role("question", "text"),
    Role("answers", "answers", target=True),
    Role("start", "record", required=False, target=True),
)
FLAT = {"text": "text", "question": "question", "answers": "answers", "start": "start"}
NESTED = {
    "text": "text",
    "question": "questions[].question",
    "answers": "questions[].answer",
    "start": "questions[].start",
}
DOCUMENT = {
    "version": "v2.0",
    "data": [
        {
            "title": "Rivers",
            "paragraphs": [
                {
                    "context": "The Ash is short. It is cold.",
                    "qas": [
                        {
                            "id": "q1",
                            "question": "What is short?",
                            "answers": [
                                {"text": "The Ash", "answer_start": 0},
                                {"text": "Ash", "answer_start": 4},
                            ],
                        },
                        {
                            "id": "q2",
                            "question": "What is long?",
                            "is_impossible": True,
                            "plausible_answers": [{"text": "The Ash", "answer_start": 0}],
                            "answers": [],
                        },
                    ],
                }
            ],
        },
        {
            "title": "Towns",
            "paragraphs": [
                {
                    "context": "Ürz “lies” there.",
                    "qas": [
                        {
                            "id": "q3",
                            "question": "Where?",
                            "answers": [{"text": "there", "answer_start": 11}],
                        }
                    ],
                }
            ],
        },
    ],
}
WANTED: list[dict[str, Any]] = [
    {
        "text": "The Ash is short. It is cold.",
        "question": "What is short?",
        "answers": [{"text": "The Ash", "start": 0}, {"text": "Ash", "start": 4}],
        "start": [0, 4],
    },
    {
        "text": "The Ash is short. It is cold.",
        "question": "What is long?",
        "answers": [],
        "start": [],
    },
    {
        "text": "Ürz “lies” there.",
        "question": "Where?",
        "answers": [{"text": "there", "start": 11}],
        "start": [11],
    },
]


def read(path: Path, columns: dict[str, Any], **options: Any) -> Rows:
    return read_split(path, columns=columns, roles=QA, **options)


@pytest.mark.parametrize("columns", [FLAT, NESTED], ids=["flat", "nested"])
@pytest.mark.parametrize("indent", [None, 1])
def test_squad_whatever_the_columns_are_called(
    tmp_path: Path, columns: dict[str, Any], indent: int | None
) -> None:
    text = json.dumps(DOCUMENT, indent=indent, ensure_ascii=indent is None)
    rows = read(write(tmp_path / "train.json", text), columns)
    assert plain(rows) == WANTED
    opens = [text.rindex("{", 0, text.index(json.dumps(row["question"]))) for row in WANTED]
    assert [row["_line"] for row in rows] == [text.count("\n", 0, at) + 1 for at in opens]
    assert (rows[1]["_line"] > rows[0]["_line"]) is bool(indent)


def test_ids_and_titles_are_cells_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps(DOCUMENT))
    roles = (*QA[:2], Role("topic", "text"))
    columns = {"text": "text", "question": "question", "topic": "title", "id": "id"}
    rows = read_split(path, columns=columns, roles=roles)
    assert [(row["_id"], row["topic"]) for row in rows] == [
        ("q1", "Rivers"),
        ("q2", "Rivers"),
        ("q3", "Towns"),
    ]


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (json.dumps(DOCUMENT), "squad"),
        (json.dumps(DOCUMENT, indent=2), "squad"),
        ('{"data": [{"text": "a"}]}', "json"),
        ('[{"paragraphs": []}]', "json"),
        ('{"text": "paragraphs", "data": 1}', "json"),
        ('{"paragraphs": ', "json"),
    ],
)
def test_squad_is_recognised(tmp_path: Path, content: str, format: str) -> None:
    path = write(tmp_path / "a.json", content)
    assert format_of(Source(path, QA, dict(FLAT)), None) == format


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda d: d["data"][1]["paragraphs"][0].pop("context"),
            "data[1].paragraphs[0] to have 'context'",
        ),
        (
            lambda d: d["data"][0]["paragraphs"][0]["qas"][0]["answers"][1].pop("text"),
            "data[0].paragraphs[0].qas[0].answers[1] to have 'text'",
        ),
        (
            lambda d: d["data"][0]["paragraphs"][0]["qas"][0]["answers"][1].update(text=5),
            "data[0].paragraphs[0].qas[0].answers[1].text to be a string, but got the number 5",
        ),
        (
            lambda d: d["data"][1]["paragraphs"][0]["qas"][0]["answers"][0].update(
                answer_start="11"
            ),
            "data[1].paragraphs[0].qas[0].answers[0].answer_start to be a whole number",
        ),
        (
            lambda d: d["data"][1]["paragraphs"][0]["qas"][0].update(answers={}),
            "data[1].paragraphs[0].qas[0].answers to be a list, but got an object",
        ),
        (lambda d: d["data"].insert(1, "x"), "data[1] to be an object, but got a string"),
        (lambda d: d["data"][0].update(paragraphs=None), "data[0].paragraphs to be a list"),
        (lambda d: d.update(data={}), "an object with a list of articles under `data`"),
    ],
)
def test_a_malformed_file_is_said_with_the_path_inside(
    tmp_path: Path, damage: Callable[[Any], object], message: str
) -> None:
    document = deepcopy(DOCUMENT)
    damage(document)
    path = write(tmp_path / "a.json", json.dumps(document))
    with pytest.raises(DataError) as error:
        read(path, FLAT, format="squad")
    assert str(error.value).startswith(f"{path}")
    assert message in str(error.value)


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps(DOCUMENT, indent=1)[:-40])
    with pytest.raises(DataError, match=r"a\.json:\d+: Expected JSON, but found broken JSON"):
        read(path, FLAT)


def test_an_empty_question_is_a_bad_row_with_its_place(tmp_path: Path) -> None:
    document: Any = deepcopy(DOCUMENT)
    document["data"][0]["paragraphs"][0]["qas"][1]["question"] = " "
    path = write(tmp_path / "a.json", json.dumps(document))
    with pytest.raises(DataError, match=r"data\[0\]\.paragraphs\[0\]\.qas\[1\]"):
        read(path, FLAT)
    bad_rows = BadRows("skip", "tasks.qa.data")
    assert plain(read(path, FLAT, bad_rows=bad_rows)) == [WANTED[0], WANTED[2]]
    assert len(bad_rows) == 1


def test_squad_has_no_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps(DOCUMENT))
    with pytest.raises(ConfigError, match=r"columns\.label` to be one of \{text, question"):
        read_split(path, columns={"text": "text", "label": "label"}, roles=CLASSES)


# Flat columns


ONE = [{"text": "a b", "start": None}]
PLACED = [{"text": "a b", "start": 3}]


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ({"text": ["a b"], "answer_start": [3]}, PLACED),
        ({"text": ["a b", "a b"], "answer_start": [3, 3]}, PLACED * 2),
        ({"text": ["a b"]}, ONE),
        ({"text": "a b", "answer_start": 3}, PLACED),
        ({"text": [], "answer_start": []}, []),
        ([{"text": "a b", "answer_start": 3}], PLACED),
        ([{"text": "a b", "start": 3.0}], PLACED),
        (["a b"], ONE),
        ([], []),
        ("a b", ONE),
        ("  ", []),
        ([""], []),
        ("[]", []),
        ('["a b"]', ONE),
        ('[{"text": "a b", "start": "3"}]', PLACED),
        ('{"text": ["a b"], "answer_start": [3]}', PLACED),
        ("[sic] a", [{"text": "[sic] a", "start": None}]),
    ],
)
def test_answers_in_every_form(cell: Any, wanted: list[dict[str, Any]]) -> None:
    assert to_answers(cell) == wanted


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (5, "Expected answers, but got 5"),
        ([5], "an answer .* but got 5"),
        ([{"start": 1}], "an answer"),
        ({"start": [1]}, "answers with `text`"),
        ({"text": ["a"], "answer_start": [1, 2]}, "as many answer starts as texts"),
        ([{"text": "a", "start": 1.5}], "whole number of 0 or more, but got 1.5"),
        ([{"text": "\ud83d"}], "half a character"),
    ],
)
def test_cells_that_are_no_answers(cell: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_answers(cell)


def test_csv_with_an_answer_and_its_start(tmp_path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([FLAT, ["Ines left.", "Who?", "Ines", "0"], ["It rained.", "Who?", "", ""]])
    found = plain(read(write(tmp_path / "a.csv", text.getvalue()), FLAT))
    assert [row["answers"] for row in found] == [[{"text": "Ines", "start": None}], []]
    assert [row.get("start") for row in found] == ["0", ""]


def test_parquet_as_the_hub_has_it(tmp_path: Path) -> None:
    import datasets

    cells = [{"text": ["Ines"], "answer_start": [0]}, {"text": [], "answer_start": []}]
    table = {"text": ["Ines left."] * 2, "question": ["Who?", "When?"], "answers": cells}
    datasets.Dataset.from_dict(table).to_parquet(tmp_path / "a.parquet")
    found = plain(read(tmp_path / "a.parquet", FLAT))
    assert [row["answers"] for row in found] == [[{"text": "Ines", "start": 0}], []]


# Nested columns


ASKED = {
    "text": "Ines left.",
    "questions": [
        {"question": "Who?", "answer": "Ines", "start": 0},
        {"question": "When?", "answer": []},
    ],
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_row_for_each_element_of_a_list(tmp_path: Path, name: str) -> None:
    other = {"text": "It rained.", "questions": []}
    content = [json.dumps(ASKED), json.dumps(other), json.dumps(ASKED)]
    rows = read(write(tmp_path / name, "\n".join(content)), NESTED)
    assert [(row["question"], row["_line"]) for row in rows] == [
        ("Who?", 1),
        ("When?", 1),
        ("Who?", 3),
        ("When?", 3),
    ]
    assert rows[0]["start"] == 0
    assert rows[1]["answers"] == []


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ("Who?", "Expected a list in column 'questions', but got 'Who?'"),
        (None, "Expected a list in column 'questions', but got None"),
        (["Who?"], "Expected questions[0] to be an object, but got 'Who?'"),
        (
            [*ASKED["questions"], {"answer": "x"}],
            "Expected questions[2].question, but questions[2] has answer",
        ),
        ([{"question": "", "answer": "Ines"}], "but got '' (questions[0])"),
    ],
)
def test_elements_that_are_no_rows(tmp_path: Path, questions: Any, message: str) -> None:
    bad = {"text": "Ines left.", "questions": questions}
    path = write(tmp_path / "a.jsonl", json.dumps(ASKED) + "\n" + json.dumps(bad))
    with pytest.raises(DataError) as error:
        read(path, NESTED)
    assert f"{path}:2: " in str(error.value)
    assert message in str(error.value)
    bad_rows = BadRows("skip", "tasks.qa.data")
    assert len(read(path, NESTED, bad_rows=bad_rows)) >= 2
    assert len(bad_rows) == 1


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a"}')
    with pytest.raises(DataError, match=r"a list in column 'questions', but got no such column"):
        read(path, NESTED)


def test_an_optional_nested_column_of_a_flat_row_is_nothing(tmp_path: Path) -> None:
    row = {"text": "Ines left.", "question": "Who?", "answers": "Ines"}
    path = write(tmp_path / "a.jsonl", json.dumps(row))
    found = plain(read(path, {**FLAT, "start": "questions[].start"}))
    assert found == [{**row, "answers": [{"text": "Ines", "start": None}]}]


def test_columns_of_two_lists_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", json.dumps(ASKED))
    columns = {**NESTED, "answers": "replies[].answer"}
    with pytest.raises(ConfigError, match=r"columns\.answers` .*'questions'.*'replies\[\]\.answer"):
        read(path, columns)


def test_blank_answers_are_none(tmp_path: Path) -> None:
    document: Any = deepcopy(DOCUMENT)
    document["data"][1]["paragraphs"][0]["qas"][0]["answers"].append(
        {"text": "", "answer_start": 0}
    )
    path = write(tmp_path / "a.json", json.dumps(document))
    assert plain(read(path, FLAT)) == WANTED


def test_a_cell_that_is_nested_too_deeply_is_text() -> None:
    deep = '["' + "[" * 99_999
    assert to_answers(deep) == [{"text": deep, "start": None}]


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"answers": None}, 0),
        ({"question": ""}, 0),
        ({"question": 7}, 0),
        ({"answers": [{"text": "Ash", "answer_start": 4.5}]}, 0),
        ({"answers": [{"text": "Ash", "answer_start": 4.0}]}, 1),
        ({"answers": [{"text": None, "answer_start": 4}]}, 0),
        ({"answers": "Ash"}, 0),
    ],
)
def test_one_bad_question_may_be_left_out(
    tmp_path: Path, change: dict[str, Any], kept: int
) -> None:
    document: Any = deepcopy(DOCUMENT)
    asked = document["data"][0]["paragraphs"][0]["qas"]
    others = sum(len(p["qas"]) for a in document["data"] for p in a["paragraphs"])
    asked.insert(1, {"id": "bad", "question": "Which?", "answers": [], **change})
    file = write(tmp_path / "d.json", json.dumps(document))
    bad = BadRows("skip")
    found = read_split(file, columns=FLAT, roles=QA, bad_rows=bad)
    assert len(found) == others + kept
    assert len(bad.rejects) == 1 - kept
    if not kept:
        with pytest.raises(DataError, match=r"d\.json"):
            read_split(file, columns=FLAT, roles=QA)
