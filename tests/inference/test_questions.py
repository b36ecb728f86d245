"""Questions beside texts: one run with tags and answers, one with answers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.inference.predictor import RowPredictor
from tests import helpers
from tests.inference.conftest import Run, check_error, write_jsonl
from train import main as train

TEXTS = ["Ines Talbot left Brackwater.", "The Lantern was open."]
QUESTIONS = ["Who left?", "Left what?"]
ROWS: list[dict[str, Any]] = [
    {
        "id": f"d{number}",
        "text": TEXTS[0],
        "words": TEXTS[0].removesuffix(".").split(),
        "tags": ["B-PER", "I-PER", "O", "B-LOC"],
        "questions": [
            {"question": QUESTIONS[0], "answer": "Ines Talbot", "start": 0},
            {"question": QUESTIONS[1], "answer": "Brackwater", "start": 17 + (number == 1)},
        ],
    }
    for number in range(4)
]
NER = "tasks.ner.columns={text: text, tokens: words, labels: tags}"
FLAT = [{"id": 7, "text": TEXTS[0], "question": q} for q in QUESTIONS]


@pytest.fixture(scope="module", params=["ner,qa", "qa"])
def answering(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with these tasks; not to be changed."""
    base = tmp_path_factory.mktemp(request.param.replace(",", "-"))
    data = base / "data"
    data.mkdir()
    for split in ("train", "validation", "test"):
        write_jsonl(data / f"{split}.jsonl", ROWS)
    trunk = helpers.save_tiny(base / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    names = request.param.split(",")
    argv = [
        f"task={request.param}",
        *(f"tasks.{name}.data.source={data}" for name in names),
        *([NER] if "ner" in names else []),
        "trunk=hf",
        f"trunk.path={trunk}",
        "trainer.max_steps=2",
        "trainer.threads=1",
        "trainer.progress=false",
        "logger=none",
        f"hydra.run.dir={base / 'run'}",
    ]
    assert train(argv) == 0
    torch.use_deterministic_algorithms(False)
    return base / "run"


def others(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "qa"}


def named(answer: dict[str, Any]) -> list[tuple[str, int, str]]:
    return [(e["text"], e["start"], e["label"]) for e in answer["ner"]["entities"]]


def test_several_questions_of_a_text_are_a_list(mtl: Run, answering: Path) -> None:
    """The answers of the other tasks stand there once; each is what it would be alone."""
    alone = RowPredictor(answering, "cpu")
    asked = [part for question in QUESTIONS for part in ("--question", question)]
    code, out, err = mtl("predict", answering, "--text", TEXTS[0], "--text", TEXTS[1], *asked)
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    for text, answer in zip(TEXTS, found, strict=True):
        assert answer["text"] == text
        assert [one["question"] for one in answer["qa"]] == QUESTIONS
        for one in answer["qa"]:
            (wanted,) = alone.predict([{"text": text, "question": one["question"]}])
            assert (one["answer"], one["start"]) == (
                wanted["qa"]["answer"],
                wanted["qa"]["start"],
            )
            assert one["score"] == pytest.approx(wanted["qa"]["score"], abs=1e-5)
            assert list(others(answer)) == ["text", *others(wanted)]
            if "ner" in wanted:
                assert named(answer) == named(wanted)
            assert one["answer"] == text[one["start"] : one["end"]]


def test_one_question_is_an_object(mtl: Run, answering: Path) -> None:
    code, out, _ = mtl("predict", answering, "--text", TEXTS[0], "--question", QUESTIONS[0])
    assert code == 0
    found = json.loads(out)["qa"]
    assert list(found)[:5] == ["question", "answer", "start", "end", "score"]
    assert len(found["n_best"]) == 5


def test_no_question(mtl: Run, answering: Path) -> None:
    """The task is left out where another can answer; else it is an error."""
    result = mtl("predict", answering, "--text", TEXTS[0])
    if answering.parent.name.startswith("ner"):
        code, out, err = result
        assert (code, list(json.loads(out))) == (0, ["text", "ner"])
        assert err.startswith("qa: 1 text has no `question`")
    else:
        check_error(result, "Expected `--question` beside `--text`", "'qa'")


def test_a_file_with_and_without_questions(mtl: Run, answering: Path, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "in.jsonl", [*FLAT, {"id": 8, "text": TEXTS[1]}])
    result = mtl("predict", answering, "--input", file)
    if answering.parent.name.startswith("ner"):
        code, out, err = result
        found = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [list(answer) for answer in found] == [["id", "text", "ner", "qa"]] * 2 + [
            ["id", "text", "ner"]
        ]
        assert [answer["qa"]["question"] for answer in found[:2]] == QUESTIONS
        assert "qa: 1 text has no `question`" in err
    else:
        code, out, err = result
        assert code == 0
        wrong = "Expected `question` beside the text, because task 'qa' reads it, but got none"
        assert json.loads(out.splitlines()[2]) == {"id": 8, "text": TEXTS[1], "error": wrong}
        assert "1 answer is an `error`" in err
        result = mtl("predict", answering, "--input", file, "--on-bad-row", "error")
        assert result[0] == 2
        assert "in.jsonl:3: Expected `question` beside the text" in result[2]


def test_a_file_as_in_training(mtl: Run, answering: Path, tmp_path: Path) -> None:
    """Lists of questions, SQuAD, and flat rows say the same."""
    squad = {
        "data": [
            {
                "paragraphs": [
                    {
                        "context": TEXTS[0],
                        "qas": [{"id": q, "question": q, "answers": []} for q in QUESTIONS],
                    }
                ]
            }
        ]
    }
    (tmp_path / "a.json").write_text(json.dumps(squad), encoding="utf-8")
    files = [
        write_jsonl(tmp_path / "nested.jsonl", ROWS[:1]),
        write_jsonl(tmp_path / "flat.jsonl", FLAT),
        tmp_path / "a.json",
    ]
    found = []
    for file in files:
        code, out, _ = mtl("predict", answering, "--input", file, "--task", "qa")
        assert code == 0
        found.append([json.loads(line)["qa"] for line in out.splitlines()])
    assert found[0] == found[1] == found[2]
    assert [one["question"] for one in found[0]] == QUESTIONS


def test_evaluation_of_its_own_data_and_of_a_squad_file(
    mtl: Run, answering: Path, tmp_path: Path
) -> None:
    code, out, _ = mtl("evaluate", answering, "--task", "qa", "--json")
    assert code == 0
    report = json.loads(out)["tasks"]["qa"]
    metrics = json.loads((answering / "metrics.json").read_text(encoding="utf-8"))
    assert report["scores"] == pytest.approx(
        {name: metrics[f"test/qa/{name}"] for name in ("f1", "em")}
    )
    table = {row["name"]: row["value"] for row in report["tables"]["SQuAD, %"]}
    assert table == pytest.approx(
        {"f1": 100 * report["scores"]["f1"], "exact": 100 * report["scores"]["em"], "total": 8}
    )
    squad = {
        "data": [
            {
                "paragraphs": [
                    {
                        "context": row["text"],
                        "qas": [
                            {
                                "id": f"{row['id']}-{q['question']}",
                                "question": q["question"],
                                "answers": [{"text": q["answer"], "answer_start": q["start"]}],
                            }
                            for q in row["questions"]
                        ],
                    }
                    for row in ROWS
                ]
            }
        ]
    }
    file = tmp_path / "dev.json"
    file.write_text(json.dumps(squad), encoding="utf-8")
    code, out, _ = mtl("evaluate", answering, "--task", "qa", "--data", file, "--json")
    assert code == 0
    assert json.loads(out)["tasks"]["qa"]["scores"] == report["scores"]
