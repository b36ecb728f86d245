import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer

from mtl.cli import main

Run = Callable[..., tuple[int, str, str]]
Write = Callable[[str, Any], str]

COLUMNS = """\
John NNP B-PER B-PER
lives VBZ O O
in IN O B-LOC
New NNP B-LOC B-LOC
York NNP I-LOC I-LOC

Acme NNP B-ORG O
. . O O
"""
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "paragraphs": [
                {
                    "context": "A cat sat in 1999.",
                    "qas": [
                        {"id": "a", "answers": [{"text": "A cat", "answer_start": 0}]},
                        {"id": "b", "answers": [{"text": "in 1999", "answer_start": 10}]},
                        {"id": "c", "answers": [], "is_impossible": True},
                    ],
                }
            ]
        }
    ],
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `mtl score` and return exit code, standard output and standard error."""

    def go(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["score", *arguments])
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return go


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write text, JSON, or a list as JSON lines, and return the path."""

    def go(name: str, content: Any) -> str:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
            return str(path)
        if isinstance(content, list):
            content = "\n".join(json.dumps(row) for row in content)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return go


def test_labels_as_json(run: Run, write: Write) -> None:
    code, out, err = run("token_classification", write("a.txt", COLUMNS), "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    score = json.loads(out)
    assert (score["sentences"], score["tokens"]) == (2, 7)
    assert score["accuracy"] == pytest.approx(500 / 7)
    # gold PER(0,1) LOC(3,5) ORG(0,1); predicted PER(0,1) LOC(2,3) LOC(3,5)
    assert score["precision"] == pytest.approx(200 / 3)
    assert score["recall"] == pytest.approx(200 / 3)
    assert score["types"]["LOC"] == pytest.approx(
        {"precision": 50, "recall": 100, "f1": 200 / 3, "correct": 1, "predicted": 2, "gold": 1}
    )
    assert score["labels"]["O"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}
    )


def test_labels_as_tables_fit_80_columns(run: Run, write: Write) -> None:
    code, out, _ = run("token_classification", write("a.txt", COLUMNS))
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for part in ("B-LOC", "micro avg", "weighted avg", "overall", "flatters", "66.67"):
        assert part in out


@pytest.mark.parametrize(
    "same",
    [
        COLUMNS.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + COLUMNS.encode(),
        COLUMNS.replace(" ", "\t").encode(),
        COLUMNS.replace("\n\n", "\n \t\n\n").encode(),
        COLUMNS.replace("John", "Jo\u2028hn\u00a0").encode(),
    ],
)
def test_line_ends_marks_and_blanks_do_not_matter(run: Run, write: Write, same: bytes) -> None:
    plain = run("token_classification", write("a.txt", COLUMNS), "--json")
    assert run("token_classification", write("b.txt", same), "--json") == plain


def test_labels_without_entities_give_the_report_alone(run: Run, write: Write) -> None:
    path = write("a.txt", "a DT DT\nb NN VB\n")
    score = json.loads(run("token_classification", path, "--json")[1])
    assert score["accuracy"] == 50.0
    assert "f1" not in score
    assert "weighted avg" in score["labels"]
    assert "Entities" not in run("token_classification", path)[1]


@pytest.mark.parametrize("name", ["conll-mild.txt", "conll-wild.txt"])
def test_conformity(run: Run, name: str) -> None:
    folder = Path(os.environ.get("MTL_DATA", "")) / ".." / "conformity"
    if "MTL_DATA" not in os.environ or not (folder / name).is_file():
        pytest.skip("needs $MTL_DATA/../conformity")
    score = json.loads(run("token_classification", str(folder / name), "--json")[1])
    overall = json.loads((folder / "expected.json").read_text())[name][1]
    assert overall == (
        f"accuracy: {score['accuracy']:6.2f}%; precision: {score['precision']:6.2f}%; "
        f"recall: {score['recall']:6.2f}%; FB1: {score['f1']:6.2f}"
    )


def test_spans(run: Run, write: Write) -> None:
    gold, pred = write("g.json", SQUAD), write("p.json", {"a": "cat", "b": "1998", "c": ""})
    score = json.loads(run("span_extraction", gold, pred, "--json")[1])
    assert score["exact"] == pytest.approx(200 / 3)
    assert score["NoAns_total"] == 1
    assert "best_f1" not in score
    probs = write("n.json", {"a": 0.1, "b": 0.9, "c": 0.5})
    score = json.loads(run("span_extraction", gold, pred, "--na-prob", probs, "--json")[1])
    assert score["best_exact_thresh"] == 0.1
    code, out, _ = run("span_extraction", gold, pred)
    assert (code, max(map(len, out.splitlines())) <= 80) == (0, True)
    assert "HasAns_exact" in out


def test_a_missing_answer_counts_as_wrong_and_is_said(run: Run, write: Write) -> None:
    gold = write("g.json", SQUAD)
    code, out, err = run("span_extraction", gold, write("p.json", {"a": "cat", "c": ""}), "--json")
    assert (code, json.loads(out)["missing"]) == (0, 1)
    assert json.loads(out)["exact"] == pytest.approx(200 / 3)
    assert err == "warning: 1 of 3 questions have no prediction and count as wrong.\n"


def test_texts(run: Run, write: Write) -> None:
    gold = [
        {"id": 1, "text": "the cat sat"},
        {"id": "2", "references": ["dogs ran home", "a dog runs"]},
    ]
    pred = [{"id": "1", "text": "a cat sat"}, {"id": 2, "text": "the dog runs home"}]
    score = json.loads(
        run("generation", write("g.jsonl", gold), write("p.jsonl", pred), "--json")[1]
    )
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    one = scorer.score("the cat sat", "a cat sat")
    two = scorer.score_multi(["dogs ran home", "a dog runs"], "the dog runs home")
    for kind in ("rouge1", "rougeL"):
        assert score[kind] == pytest.approx((one[kind].fmeasure + two[kind].fmeasure) / 2)
    assert (score["total"], score["missing"]) == (2, 0)
    half = run("generation", write("g.jsonl", gold), write("p.jsonl", pred[:1]), "--json")
    assert json.loads(half[1])["rouge1"] == pytest.approx(one["rouge1"].fmeasure / 2)
    assert "1 of 2 texts" in half[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Expected lines that end in a gold and a predicted label, but it is empty"),
        ("a O O\nb\n", ":2: Expected at least 2 columns"),
        ("a O O\n\nb X O O\n", ":3: Expected 3 columns, as in the first line, but got 4"),
        ("a B-X O\nb NN O\n", ":2: Expected an entity label"),
        (b"a \xff O O\n", "Expected UTF-8 text, but byte 2 is not"),
    ],
)
def test_bad_columns(run: Run, write: Write, content: Any, message: str) -> None:
    check_error(run("token_classification", write("a.txt", content)), message)


def without(part: str) -> Any:
    """A copy of the SQuAD file in which one name is misspelt."""
    return json.loads(json.dumps(SQUAD).replace(f'"{part}"', '"misspelt"'))


@pytest.mark.parametrize(
    ("gold", "pred", "message"),
    [
        ("{", {}, "g.json: Expected JSON, but got"),
        ("[" * 100_000, {}, "g.json: Expected JSON, but"),
        ('{"data": 1' + "0" * 5_000 + "}", {}, "g.json: Expected JSON, but"),
        ("[1]", {}, "g.json: Expected JSON to be an object, but got a list"),
        ({"data": []}, {}, "g.json: Expected questions at data[].paragraphs[].qas[]"),
        (without("data"), {}, "g.json: Expected the object to have 'data'"),
        (without("qas"), {}, "g.json: Expected data[0].paragraphs[0] to have 'qas'"),
        (without("text"), {}, "Expected data[0].paragraphs[0].qas[0].answers[0] to have 'text'"),
        (SQUAD, "[]", "p.json: Expected JSON to be an object, but got a list"),
        (SQUAD, {"a": None}, "p.json: Expected an answer for id 'a', but got null"),
        (SQUAD, {"x": ""}, "such as id 'a', but none of its 1 ids is among them"),
    ],
)
def test_bad_spans(run: Run, write: Write, gold: Any, pred: Any, message: str) -> None:
    check_error(run("span_extraction", write("g.json", gold), write("p.json", pred)), message)


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        ({"a": 0.5, "b": 0.5}, "Expected a number for question 'c', but there is none"),
        ({"a": "0.5"}, "Expected a number for id 'a', but got a string"),
        ('{"a": NaN}', "Expected a finite number for id 'a', but got nan"),
    ],
)
def test_bad_probabilities(run: Run, write: Write, probs: Any, message: str) -> None:
    files = write("g.json", SQUAD), write("p.json", {"a": ""})
    check_error(run("span_extraction", *files, "--na-prob", write("n.json", probs)), message)


def test_version_1_takes_no_probabilities_and_needs_answers(run: Run, write: Write) -> None:
    question = {"id": "a", "answers": [{"text": "x"}]}
    old = {"version": "1.1", "data": [{"paragraphs": [{"qas": [question]}]}]}
    gold, pred = write("g.json", old), write("p.json", {"a": "x"})
    score = {"exact": 100.0, "f1": 100.0, "total": 1, "missing": 0}
    assert json.loads(run("span_extraction", gold, pred, "--json")[1]) == score
    check_error(
        run("span_extraction", gold, pred, "--na-prob", pred), "to be unset with version 1.1"
    )
    question["answers"] = []
    check_error(run("span_extraction", write("g.json", old), pred), "at least one answer for")


@pytest.mark.parametrize(
    ("gold", "pred", "message"),
    [
        ("", [], "g.jsonl: Expected lines of JSON, but it is empty"),
        ("\n{]", [], "g.jsonl:2: Expected JSON, but got"),
        ("[]", [], "g.jsonl:1: Expected JSON to be an object"),
        ([{"text": "x"}], [], "g.jsonl:1: Expected the object to have 'id'"),
        ([{"id": 0.5}], [], "Expected id to be a string or a whole number, but got the number 0.5"),
        ([{"id": 1}], [], "Expected 'text' or 'references', but it has neither"),
        ([{"id": 1, "references": []}], [], "Expected at least one text in references"),
        ([{"id": 1, "references": [1]}], [], "Expected references[0] to be a string"),
        ([{"id": 1, "text": "x"}] * 2, [], "g.jsonl:2: Expected ids that differ, but '1' stands"),
        ([{"id": 1, "text": "x"}], [{"id": 1}], "p.jsonl:1: Expected the object to have 'text'"),
        ([{"id": 1, "text": "x"}], [{"id": 2, "text": "x"}], "such as id '1', but none of"),
    ],
)
def test_bad_texts(run: Run, write: Write, gold: Any, pred: Any, message: str) -> None:
    check_error(run("generation", write("g.jsonl", gold), write("p.jsonl", pred)), message)


@pytest.mark.parametrize("command", ["token_classification", "span_extraction", "generation"])
def test_missing_files_and_folders(run: Run, tmp_path: Path, command: str) -> None:
    count = 1 if command == "token_classification" else 2
    check_error(run(command, *[str(tmp_path / "no.txt")] * count), "but there is none")
    check_error(run(command, *[str(tmp_path)] * count), "but it is a folder")


def check_error(result: tuple[int, str, str], message: str) -> None:
    """Exit code 2, nothing on standard output, one sentence on standard error."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys, mtl.cli\n"
        "try: mtl.cli.main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'lightning', 'wandb'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_scripts_without_spaces_are_compared_by_character(run: Run, write: Write) -> None:
    question = {"id": "a", "answers": [{"text": "周五"}]}
    gold = {"version": "1.1", "data": [{"paragraphs": [{"qas": [question]}]}]}
    files = write("g.json", gold), write("p.json", {"a": "在周五"})
    code, out, err = run("span_extraction", *files, "--json")
    assert json.loads(out)["f1"] == pytest.approx(80.0)
    assert "1 of 1 right texts are in a script without spaces" in err
    code, out, err = run("span_extraction", *files, "--json", "--language", "en")
    assert (code, json.loads(out)["f1"], err) == (0, 0.0, "")
    check_error(run("span_extraction", *files, "--language", "Chinese"), "`--language`")
    code, out, err = run("span_extraction", *files, "--json", "--language", "char")
    assert (json.loads(out)["f1"], err) == (pytest.approx(80.0), "")


def test_equal_texts_of_any_script_score_1(run: Run, write: Write) -> None:
    file = write("g.jsonl", json.dumps({"id": 1, "text": "河水退了"}))
    assert json.loads(run("generation", file, file, "--json")[1])["rouge2"] == 1.0
