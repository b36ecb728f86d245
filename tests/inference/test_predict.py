import csv
import io
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import DataConfig
from mtl.data.sources import Wanted, load_splits
from mtl.data.spans import placed
from mtl.inference.predictor import RowPredictor
from mtl.inference.writing import likeliest
from mtl.training.model import make_task
from tests.inference.conftest import Run, check_error, rows, write_jsonl

TEXTS = ["Ines Talbot liked the soup.", "Nobody at the Lantern asked why, “Zoë” said."]


def answers(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def wanted(trained: Path) -> list[dict[str, Any]]:
    found = RowPredictor(trained, "cpu").predict([{"text": text} for text in TEXTS])
    return [{"text": t, **answer} for t, answer in zip(TEXTS, found, strict=True)]


def test_one_text_is_one_object_for_people(
    mtl: Run, trained: Path, wanted: list[dict[str, Any]]
) -> None:
    code, out, err = mtl("predict", trained, "--text", TEXTS[1])
    assert (code, err) == (0, "")
    found, expected = json.loads(out), dict(wanted[1])
    # A text read beside others may differ in the last digit.
    assert found.pop("rating")["value"] == pytest.approx(expected.pop("rating")["value"], abs=1e-5)
    assert found == expected
    assert out.startswith('{\n  "text": ')
    assert "“Zoë”" in out


def test_several_texts_are_a_line_each(
    mtl: Run, trained: Path, wanted: list[dict[str, Any]]
) -> None:
    code, out, _ = mtl("predict", trained, "--text", TEXTS[0], "--text", TEXTS[1])
    assert code == 0
    assert answers(out) == wanted


def test_some_tasks_in_the_order_asked_for(mtl: Run, trained: Path) -> None:
    code, out, _ = mtl("predict", trained, "--text", "a", "--task", "rating, ner")
    assert code == 0
    assert list(json.loads(out)) == ["text", "rating", "ner"]


def test_the_model_folder_alone_will_do(mtl: Run, trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained / "model", tmp_path / "exported")
    assert mtl("predict", folder, "--text", "a") == mtl("predict", trained, "--text", "a")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "\n".join(TEXTS)),
        ("a.txt", "\ufeff" + "\r\n".join(TEXTS) + "\r\n"),
        ("a.jsonl", "".join(json.dumps({"text": t, "label": "?"}) + "\n" for t in TEXTS)),
        ("a.jsonl", "".join(json.dumps({"body": t}) + "\n" for t in TEXTS)),
        ("a.json", json.dumps([{"text": t} for t in TEXTS], indent=1)),
        ("a.tsv", "n\tbody\n" + "".join(f"{i}\t{t}\n" for i, t in enumerate(TEXTS))),
        ("a.csv", "text,n\n" + "".join(f'"{t}",1\n' for t in TEXTS)),
    ],
)
def test_files_of_all_kinds(
    mtl: Run, trained: Path, tmp_path: Path, wanted: list[dict[str, Any]], name: str, content: str
) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8", newline="")
    code, out, err = mtl("predict", trained, "--input", file)
    assert (code, err) == (0, "")
    assert answers(out) == wanted


def test_columns_of_words_and_the_runs_own_columns(mtl: Run, trained: Path, tmp_path: Path) -> None:
    part = rows(4)
    own = mtl("predict", trained, "--input", write_jsonl(tmp_path / "own.jsonl", part))[1]
    assert [a["id"] for a in answers(own)] == ["r0", "r1", "r2", "r3"]
    conll = tmp_path / "words.conll"
    conll.write_text("\n\n".join("\n".join(f"{w} X" for w in row["words"]) for row in part))
    code, out, _ = mtl("predict", trained, "--input", conll)
    assert code == 0
    for one, other in zip(answers(own), answers(out), strict=True):
        assert one == {"id": one["id"], **other}


def test_both_columns_and_the_runs_own_wins(mtl: Run, trained: Path, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"id": 7, "text": "no", "body": "yes"}])
    answer = json.loads(mtl("predict", trained, "--input", file)[1])
    assert (answer["id"], answer["text"]) == (7, "yes")


@pytest.mark.parametrize("as_json", [False, True])
def test_standard_input(
    mtl: Run,
    trained: Path,
    wanted: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,
) -> None:
    texts = [json.dumps({"text": t}) for t in TEXTS] if as_json else TEXTS
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(texts).encode())))
    code, out, _ = mtl("predict", trained, "--input", "-")
    assert code == 0
    assert answers(out) == wanted


def test_a_fault_in_standard_input_is_said_of_it(
    mtl: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a"}\n{"b": 1}')))
    arguments = ["predict", trained, "--input", "-"]
    code, out, err = mtl(*arguments)
    assert code == 0
    assert "1 row has an `error` for an answer (`--on-bad-row=mark`), the first at standard" in err
    assert answers(out)[1] == {"text": None, "error": "Expected a column 'text', but found b"}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "a"}\n{"b": 1}')))
    result = mtl(*arguments, "--on-bad-row", "error")
    check_error(result, "standard input:2: Expected a column 'text'")


def test_a_text_of_digits_in_standard_input(
    mtl: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("7" * 5000, "[" * 5000):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        code, out, err = mtl("predict", trained, "--input", "-", "--task", "sentiment")
        assert (code, err) == (0, "")
        assert json.loads(out)["text"] == text


def test_an_output_file(
    mtl: Run, trained: Path, tmp_path: Path, wanted: list[dict[str, Any]]
) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("\n".join([TEXTS[0], "", TEXTS[1], ""]), encoding="utf-8")
    target.write_text("old")
    arguments = ["predict", trained, "--input", source, "--output", target]
    message = f"`--output` to be a new file, but '{target}' exists. Add `--overwrite` to replace it"
    check_error(mtl(*arguments), message)
    assert target.read_text() == "old"
    code, out, err = mtl(*arguments, "--overwrite")
    assert (code, out) == (0, "")
    assert f"the first at {source}:2: Expected a text, but the line is blank." in err
    found = answers(target.read_text(encoding="utf-8"))
    assert found == [
        wanted[0],
        {"text": None, "error": "Expected a text, but the line is blank"},
        wanted[1],
    ]
    code, _, err = mtl(*arguments, "--overwrite", "--on-bad-row", "skip")
    assert code == 0
    assert "1 row left out (`--on-bad-row=skip`)" in err
    assert answers(target.read_text(encoding="utf-8")) == wanted
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.txt", "out.jsonl"]


def test_an_error_leaves_the_output_as_it_was(mtl: Run, trained: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "a b", "words": ["c"]}\n')
    arguments = ["predict", trained, "--input", source, "--output", target]
    strict = [*arguments, "--on-bad-row", "error"]
    check_error(mtl(*strict), f"{source}:1: Expected the tokens of task 'ner' to stand in")
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]
    target.write_text("old")
    assert mtl(*strict, "--overwrite")[0] == 2
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    assert mtl(*arguments, "--overwrite")[0] == 0
    (found,) = answers(target.read_text())
    assert found["ner"]["error"].startswith(f"{source}:1: Expected the tokens of task 'ner'")
    assert "label" in found["sentiment"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "`--input` to have rows, but the file "),
        ("a.txt", "\n \n", "a.txt: Expected a text a line, but got empty lines only"),
        ("a.jsonl", "", "`--input` to have rows, but the file "),
        ("a.jsonl", "\n\n", "`--input` to have rows, but found none"),
        ("a.jsonl", '{"text": ""}', "a.jsonl:1: Expected text in column 'text', but got ''"),
        ("a.jsonl", '{"text": 3}', "a.jsonl:1: Expected text, but got 3 in column 'text'"),
        ("a.jsonl", '{"text": "a"}\n{"text"', "a.jsonl:2: Expected a JSON object"),
        ("a.jsonl", '{"txt": "a"}', "a.jsonl:1: Expected a column 'text', but found txt (did you"),
        ("a.csv", "review\nfine\n", "a.csv:1: Expected a column 'text', but found review"),
        ("a.tsv", "a b\n", "a.tsv:1: Expected a column 'text', but found a b"),
        ("a.dat", "a\n", "Expected `--input` to end in one of {.ann, .arrow, .conll, "),
        (
            "a.txt",
            b"a\n\xff\n",
            "a.txt:2: Expected utf-8 text, but found bytes that are not. Set `--enc",
        ),
    ],
)
def test_bad_inputs(
    mtl: Run, trained: Path, tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = mtl("predict", trained, "--input", file, "--on-bad-row", "error")
    check_error(result, message)


def test_an_encoding_and_a_format(mtl: Run, trained: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.dat"
    file.write_bytes("Zoë".encode("latin-1"))
    arguments = ["predict", trained, "--input", file, "--encoding", "latin-1", "--format"]
    assert json.loads(mtl(*arguments, "txt")[1])["text"] == "Zoë"
    check_error(mtl(*arguments, "texts"), "Expected `--format` to be one of {", "'texts'")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Expected `--text` or `--input` to be given, one of the two, but got neither."),
        (["--text", "a", "--input", "b.txt"], "but got both."),
        (["--text", ""], "--text: Expected a text, but got an empty one."),
        (["--text", "a", "--task", "qa"], "`--task` to be one of {ner, rating, sentiment}"),
        (["--text", "a", "--task", " ,"], "Expected `--task` to name a task, but got nothing."),
        (["--text", "a", "--device", "gpu"], "Expected `--device` to be one of {auto"),
        (["--text", "a", "--output", "x.dat"], "to be a file that ends in one of {.csv, .jsonl"),
        (["--input", "no.txt"], "`--input` to name a file, but there is none at 'no.txt' in "),
        (["--input", "a.jsonl", "--output", "a.jsonl"], "to be another file than `--input`"),
        (["--text", "a", "--output", "no/such/x.jsonl"], "'no/such/x.jsonl': No such file"),
    ],
)
def test_bad_options(mtl: Run, trained: Path, options: list[str], message: str) -> None:
    check_error(mtl("predict", trained, *options), message)


def test_an_output_that_is_no_file(mtl: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").mkdir()
    result = mtl("predict", trained, "--text", "a", "--output", tmp_path / "x.jsonl")
    check_error(result, "Expected `--output` to be a file, but")
    assert [p.name for p in tmp_path.iterdir()] == ["x.jsonl"]


def test_tasks_that_read_different_columns(mtl: Run, run: Path, tmp_path: Path) -> None:
    file = run / "model" / "mtl.json"
    about = json.loads(file.read_text())
    about["tasks"]["rating"]["columns"]["text"] = "title"
    file.write_text(json.dumps(about))
    source = write_jsonl(tmp_path / "a.jsonl", [{"body": "a", "title": "b"}])
    message = "read one column for `text`, but they read 'body' (ner) and 'title' (rating)"
    check_error(mtl("predict", run, "--input", source, "--task", "ner,rating"), message)
    answer = json.loads(mtl("predict", run, "--input", source, "--task", "rating")[1])
    assert answer["text"] == "b"


def test_a_run_on_numbered_columns_reads_texts_by_name(mtl: Run, run: Path, tmp_path: Path) -> None:
    file = run / "model" / "mtl.json"
    about = json.loads(file.read_text())
    about["tasks"]["ner"]["columns"] = {"tokens": 0, "labels": -1}
    about["tasks"]["rating"]["columns"] = {"text": 1, "label": 0}
    file.write_text(json.dumps(about))
    source = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ines Talbot"}])
    named = json.loads(mtl("predict", run, "--input", source)[1])
    assert named == json.loads(mtl("predict", run, "--text", "Ines Talbot")[1])
    table = tmp_path / "a.tsv"
    table.write_text("4.5\tInes Talbot\n")
    code, out, _ = mtl("predict", run, "--input", table, "--task", "rating")
    assert code == 0
    assert json.loads(out)["rating"] == named["rating"]


def test_a_terminal_that_knows_ascii_alone(
    mtl: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    assert mtl("predict", trained, "--text", "Zoë", "--task", "ner")[0] == 0
    assert b"Zo\\u00eb" in raw.getvalue()
    assert json.loads(raw.getvalue())["text"] == "Zoë"


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        ("a.txt", "one\n\n \ntwo\n\n", [1, 2]),
        ("a.jsonl", '{"text": "one"}\n\n{"text": " "}\n{"text": "two"}\n', [1, 2]),
        ("a.jsonl", '{"text": null}\n{"text": "two"}\n{"text": ["a", 3]}\n{"text": "b', [0, 2, 3]),
        ("a.json", '[{"text": "one"}, 3, {"text": "two"}, {"n": 3}]', [1, 3]),
        ("a.csv", 'text\none\n""\n" "\ntwo\n', [1, 2]),
        ("a.csv", "text,id\none,1\n,\n,3\ntwo,4\n", [1, 2]),
        ("a.tsv", "text\none\n\ntwo\n", [1]),
        ("a.txt", "\x00x\n".replace("\x00", "") + "\n" * 3 + "y\n", [1, 2, 3]),
    ],
)
def test_each_row_has_an_answer_at_its_place(
    mtl: Run, trained: Path, tmp_path: Path, name: str, content: str, bad: list[int]
) -> None:
    file = tmp_path / name
    file.write_text(content)
    code, out, err = mtl("predict", trained, "--input", file, "--task", "sentiment")
    found = answers(out)
    assert code == 0
    assert [n for n, answer in enumerate(found) if "error" in answer] == bad
    assert all(("sentiment" in answer) != ("error" in answer) for answer in found)
    assert f"{len(bad)} row" in err
    if "id" in content:
        assert [answer.get("id") for answer in found] == ["1", "", "3", "4"]
    code, out, _ = mtl(
        "predict", trained, "--input", file, "--task", "sentiment", "--on-bad-row", "skip"
    )
    assert code == 0
    assert answers(out) == [answer for answer in found if "error" not in answer]
    check_error(mtl("predict", trained, "--input", file, "--on-bad-row", "error"), f"{file}")


def test_answers_as_a_table(mtl: Run, trained: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"id": 1, "text": TEXTS[0]}, {"text": ""}])
    target = tmp_path / "out.csv"
    assert mtl("predict", trained, "--input", source, "--output", target)[0] == 0
    lines = answers(mtl("predict", trained, "--input", source)[1])
    with target.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == ["1", ""]
    assert table[0]["sentiment.label"] == lines[0]["sentiment"]["label"]
    assert float(table[0]["rating.value"]) == lines[0]["rating"]["value"]
    assert json.loads(table[0]["ner.entities"]) == lines[0]["ner"]["entities"]
    assert table[1]["error"] == lines[1]["error"]
    assert table[0]["error"] == table[1]["sentiment.label"] == ""


@pytest.mark.parametrize("name", ["doccano", "prodigy", "labelstudio", "spacy-json", "brat"])
def test_answers_for_a_tool_are_read_back(
    mtl: Run, trained: Path, tmp_path: Path, name: str
) -> None:
    """What is predicted and corrected nowhere is what a task then learns from."""
    blank = tmp_path / "blank.jsonl"
    write_jsonl(blank, [{"text": "Ines left."}, {"text": " "}])
    code, _, err = mtl(
        "predict", trained, "--input", blank, "--output", tmp_path / "b", "--output-format", name
    )
    assert code == 0
    assert f"1 row without an answer is not in '{tmp_path / 'b'}': {name} has no place" in err
    source = write_jsonl(
        tmp_path / "in.jsonl",
        [{"id": f"r{n}", "text": t} for n, t in enumerate([*TEXTS, "👍 Ines Talbot"])],
    )
    target = tmp_path / ("folder" if name == "brat" else "out.jsonl")
    arguments = ["predict", trained, "--input", source, "--output", target]
    message = "Expected `--task` to leave one task that marks spans"
    check_error(mtl(*arguments, "--output-format", name, "--task", "rating"), message)
    chosen = [*arguments, "--output-format", name]
    assert mtl(*chosen) == (0, "", "")
    check_error(mtl(*chosen), "Expected `--output` to be a new file, but")
    assert mtl(*chosen, "--overwrite")[0] == 0
    wanted = {
        answer["text"]: {(e["start"], e["end"], e["label"]) for e in answer["ner"]["entities"]}
        for answer in answers(mtl("predict", trained, "--input", source)[1])
    }
    task = make_task("ner", "token_classification", options={}, head={})
    data = DataConfig(train=str(target), test=str(target), format=name)
    read = load_splits({"ner": Wanted(data, {}, task.roles())}, 0, only=("test",))["ner"].test
    assert read is not None
    found = {}
    for row in read:
        spans = placed(row["text"], row["spans"], Counter())
        found[row["text"]] = {(s.start, s.end, s.label) for s in spans}
    assert found == wanted


def test_a_folder_of_other_files_is_not_replaced(mtl: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.doc").write_text("dear")
    result = mtl(
        "predict", trained, "--text", "a", "--output", tmp_path, "--output-format", "brat",
        "--overwrite",
    )  # fmt: skip
    check_error(result, "to be a new folder, or one of brat's files alone, but", "mine.doc")


def test_exports_are_inputs_too(
    mtl: Run, trained: Path, tmp_path: Path, wanted: list[dict[str, Any]]
) -> None:
    tasks = [{"id": n, "data": {"text": text}, "annotations": []} for n, text in enumerate(TEXTS)]
    source = tmp_path / "tasks.json"
    source.write_text(json.dumps(tasks), encoding="utf-8")
    code, out, err = mtl("predict", trained, "--input", source)
    assert (code, err) == (0, "")
    assert answers(out) == [{"id": n, **answer} for n, answer in enumerate(wanted)]


def test_probabilities_of_the_likeliest_labels() -> None:
    many = {f"l{n}": n / 100 for n in range(12)}
    shown = likeliest({"label": "l11", "probabilities": many})
    assert list(shown["probabilities"]) == ["l11", "l10", "l9", "l8", "l7"]
    several = likeliest({"labels": ["l1", "l11"], "probabilities": many})
    assert list(several["probabilities"]) == ["l11", "l10", "l9", "l8", "l7", "l1"]
    few = {"label": "l1", "probabilities": {"l1": 1.0}}
    assert likeliest(few) is few
