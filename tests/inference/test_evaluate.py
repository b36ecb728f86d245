import json
import re
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, classification_report

from mtl.cli.verbs.evaluate import render
from mtl.inference.evaluator import evaluate
from mtl.inference.predictor import RowPredictor
from mtl.metrics.tables import EntityRow, LabelRow, ValueRow
from tests.inference.conftest import Run, check_error, rows, write_jsonl

TEST = rows(8, 4)


def metrics_of(run: Path, stage: str) -> dict[str, float]:
    found = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in found.items() if name.startswith(f"{stage}/")}


def by_full_name(found: dict[str, Any], stage: str) -> dict[str, float]:
    flat = {
        f"{stage}/{task}/{metric}": value
        for task, report in found["tasks"].items()
        for metric, value in report["scores"].items()
    }
    return {**flat, f"{stage}/score": found["score"]}


@pytest.mark.parametrize(("split", "stage"), [("test", "test"), ("validation", "val")])
def test_the_numbers_are_those_of_training(mtl: Run, run: Path, split: str, stage: str) -> None:
    code, out, err = mtl("evaluate", run, "--split", split, "--json")
    name = {"test": "evaluation.json", "validation": "evaluation-validation.json"}[split]
    assert (code, err) == (0, f"Report: {run / name}\n")
    found = json.loads(out)
    assert by_full_name(found, stage) == metrics_of(run, stage)
    assert json.loads((run / name).read_text()) == found
    assert (found["data"], found["tasks"]["ner"]["examples"]) == (
        split,
        8 if stage == "test" else 6,
    )


def test_the_numbers_equal_those_of_predictions(trained: Path) -> None:
    reports = evaluate(trained, ["sentiment"], device="cpu").tasks
    predictor = RowPredictor(trained, "cpu")
    given = [{"text": row["body"]} for row in TEST]
    guesses = [a["sentiment"]["label"] for a in predictor.predict(given, ["sentiment"])]
    gold = [row["sentiment"] for row in TEST]
    assert reports["sentiment"].value == accuracy_score(gold, guesses)
    wanted = classification_report(gold, guesses, output_dict=True, zero_division=0)
    for row in reports["sentiment"].tables["labels"]:
        if row.label in wanted:
            other = wanted[row.label]
            assert row.precision == pytest.approx(other["precision"])
            assert (row.f1, row.support) == (pytest.approx(other["f1-score"]), other["support"])


def test_tables_for_people(mtl: Run, run: Path) -> None:
    code, out, err = mtl("evaluate", run)
    assert (code, err) == (0, f"Report: {run / 'evaluation.json'}\n")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    cells = [line.split() for line in lines]
    assert ["label", "precision", "recall", "f1-score", "support"] in cells
    for label in ("B-LOC", "I-PER", "O", "micro", "macro", "weighted", "positive"):
        assert any(row[:1] == [label] for row in cells), label
    assert ["entity", "precision", "recall", "F1", "correct", "found", "gold"] in cells
    assert "The micro average flatters" in out
    found = metrics_of(run, "test")
    for task, metric in (("ner", "f1"), ("sentiment", "accuracy"), ("rating", "pearson")):
        value = f"{found[f'test/{task}/{metric}']:.4f}"
        assert any(row[:3] == [task, metric, value] for row in cells)
    assert ["score", f"{found['test/score']:.4f}"] in cells
    assert ["rmse", f"{found['test/rating/rmse']:.4f}"] in cells


def test_a_file_of_the_same_rows_gives_the_same_numbers(
    mtl: Run, run: Path, tmp_path: Path
) -> None:
    file = write_jsonl(tmp_path / "again.jsonl", TEST)
    code, out, err = mtl("evaluate", run, "--task", "ner", "--data", file, "--json")
    assert code == 0
    assert "8 of 8 rows" in err.splitlines()[0]
    assert err.endswith(f"Report: {run / 'evaluation-ner.json'}\n")
    found = json.loads(out)
    assert "score" not in found
    assert found["data"] == str(file)
    wanted = {k: v for k, v in metrics_of(run, "test").items() if k.startswith("test/ner/")}
    assert {f"test/ner/{k}": v for k, v in found["tasks"]["ner"]["scores"].items()} == wanted


def test_a_file_of_conll_columns(mtl: Run, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "again.conll"
    sentences = [zip(row["words"], row["ner_tags"], strict=True) for row in TEST]
    file.write_text("\n\n".join("\n".join(f"{w} {t}" for w, t in s) for s in sentences))
    found = json.loads(mtl("evaluate", run, "--task", "ner", "--data", file, "--json")[1])
    assert found["tasks"]["ner"]["scores"]["f1"] == metrics_of(run, "test")["test/ner/f1"]


def test_a_file_with_columns_named_like_roles_and_a_model_without_its_run(
    mtl: Run, run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("label,text\n" + "".join(f'{r["sentiment"]},"{r["body"]}"\n' for r in TEST))
    model = (run / "model").rename(tmp_path / "model-of-it")
    about = json.loads((model / "mtl.json").read_text())
    about["tasks"] = {"sentiment": about["tasks"]["sentiment"]}
    (model / "mtl.json").write_text(json.dumps(about))
    code, out, _ = mtl("evaluate", model, "--data", file, "--json")
    assert code == 0
    scores = json.loads(out)["tasks"]["sentiment"]["scores"]
    assert scores["accuracy"] == metrics_of(run, "test")["test/sentiment/accuracy"]
    check_error(mtl("evaluate", model), ".hydra/config.yaml", "`--task NAME --data FILE`")


def test_the_folder_model_of_a_run_stands_for_the_run(mtl: Run, run: Path) -> None:
    assert mtl("evaluate", run / "model", "--task", "rating")[0] == 0
    assert (run / "evaluation-rating.json").is_file()


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("ner", {"ner_tags": ["B-ORGG", "O"]}, "… 7 in all)"),
        ("sentiment", {"sentiment": "positve"}, "but got 'positve'. Did you mean 'positive'?"),
        ("rating", {"stars": "many"}, "Expected a finite number, but got 'many'"),
        ("ner", {"ner_tags": ["O"]}, "Expected one of `labels` for each of 2 tokens, but got 1"),
        ("sentiment", {"sentiment": ""}, "Expected label in column 'sentiment', but got ''"),
    ],
)
def test_targets_that_training_never_had(
    mtl: Run, run: Path, tmp_path: Path, task: str, row: dict[str, Any], message: str
) -> None:
    good: dict[str, Any] = {"body": "a b", "words": ["a", "b"], "ner_tags": ["O", "O"]}
    good |= {"sentiment": "neutral", "stars": 1}
    file = write_jsonl(tmp_path / "bad.jsonl", [good, {**good, **row}])
    result = mtl("evaluate", run, "--task", task, "--data", file)
    check_error(result, f"{file}:2: ", message)
    assert not list(run.glob("evaluation*"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "`--data` to have rows, but the file"),
        ("a.jsonl", '{"body": "a", "words": "a"}', "a.jsonl:1: Expected a column 'ner_tags', but"),
        ("a.csv", "body\na\n", "a.csv:1: Expected a column 'words', but found body."),
        ("a.conll", "a O\nb\n", "a.conll:2: Expected 2 columns, but got 1"),
        ("a.jsonl", b"\xff", "Set `--encoding` to the file's encoding"),
    ],
)
def test_bad_files(
    mtl: Run, run: Path, tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    check_error(mtl("evaluate", run, "--task", "ner", "--data", file), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "qa"], "Expected `--task` to be one of {ner, rating, sentiment}, but got 'qa'"),
        (["--split", "train"], "Expected `--split` to be one of {test, validation}, but got"),
        (["--data", "a.conll"], "to be for one task, chosen with `--task`, but got ner, sent"),
        (["--data", "a.conll", "--task", "ner,rating"], "but got ner, rating."),
        (["--data", "a.conll", "--task", "qa"], "Expected `--task` to be one of {ner, rating"),
        (["--data", "a.conll", "--task", "ner"], "`--data` to name a file, but there is none"),
        (["--data", "a.conll", "--split", "test"], "Expected either `--data` or `--split`"),
        (["--device", "gpu"], "Expected `--device` to be one of {auto, "),
    ],
)
def test_bad_options(mtl: Run, trained: Path, options: list[str], message: str) -> None:
    check_error(mtl("evaluate", trained, *options), message)


def test_data_that_is_gone(mtl: Run, run: Path) -> None:
    config = run / ".hydra" / "config.yaml"
    base = config.read_text().partition("source: ")[2].partition("\n")[0]
    config.write_text(config.read_text().replace(base, "gone"))
    check_error(mtl("evaluate", run), "`tasks.ner.data.source` to be a folder", "'gone'")


def test_a_task_without_the_split(mtl: Run, run: Path, tmp_path: Path) -> None:
    config = run / ".hydra" / "config.yaml"
    train = write_jsonl(tmp_path / "only.jsonl", rows(6))
    text = config.read_text()
    base = text.partition("source: ")[2].partition("\n")[0]
    text = re.sub(rf"source: {re.escape(base)}\n(\s+)train: null", f"train: {train}", text, count=1)
    config.write_text(text)
    code, out, err = mtl("evaluate", run, "--json")
    assert code == 0, err
    assert "tasks.ner.data has no test split: it is left out." in err
    assert list(json.loads(out)["tasks"]) == ["sentiment", "rating"]
    check_error(mtl("evaluate", run, "--task", "ner"), "tasks.ner.data to have a test split")
    code, _, err = mtl("evaluate", run, "--task", "ner", "--split", "validation")
    assert code == 0
    assert "no validation split" in err
    assert (run / "evaluation-ner-validation.json").is_file()


def test_relative_paths_start_where_the_run_was_started(
    mtl: Run, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run / ".hydra" / "config.yaml"
    text = config.read_text()
    base = text.partition("source: ")[2].partition("\n")[0]
    config.write_text(text.replace(base, f"./{Path(base).name}"))
    hydra = run / ".hydra" / "hydra.yaml"
    hydra.write_text(f"hydra:\n  runtime:\n    cwd: {Path(base).parent}\n")
    monkeypatch.chdir(tmp_path)
    assert mtl("evaluate", run)[0] == 0
    hydra.unlink()
    check_error(mtl("evaluate", run), "to be a folder")


def test_a_report_that_cannot_be_written(mtl: Run, run: Path) -> None:
    (run / "evaluation.json").mkdir()
    code, out, err = mtl("evaluate", run, "--json")
    assert code == 2
    assert json.loads(out)["score"]
    expected = "error: Expected `--output` to be a file that can be written"
    assert err == f"{expected}, but '{run}/evaluation.json' is none.\n"


@pytest.mark.parametrize("text", ["tasks: [", "- a", "tasks: {ner: {typ: x}}\n", "trunk: {lrr: 1}"])
def test_a_damaged_configuration(mtl: Run, run: Path, text: str) -> None:
    file = run / ".hydra" / "config.yaml"
    file.write_text(text)
    code, out, err = mtl("evaluate", run)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {file}:")
    assert err.count(str(file)) == 1


def test_each_kind_of_row_has_its_table() -> None:
    labels = [LabelRow("a", 1, 1, 1, 1)]
    assert render(labels, "x").title == "x (0 to 1)"
    assert render([EntityRow("a", 1, 1, 1, 1, 1, 1)], "x").title == "x (percent)"
    assert render([ValueRow("a", 1.0)], "x").title == "x"


def test_a_tools_export_is_scored_and_what_was_left_out_is_said(
    mtl: Run, run: Path, tmp_path: Path
) -> None:
    text = "Ines Talbot left."
    file = write_jsonl(
        tmp_path / "a.jsonl", [{"text": text, "label": [[0, 11, "PER"], [4, 90, "LOC"]]}]
    )
    code, out, err = mtl("evaluate", run, "--task", "ner", "--data", file, "--json")
    assert code == 0
    assert "tasks.ner: 1 span lies outside of the text: left out." in err
    table = json.loads(out)["tasks"]["ner"]["tables"]["entities"]
    assert table[0]["gold"] == 1
