"""`mtl init` on files of every form: what it guesses, and that the command it prints trains."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtl.cli import main
from mtl.cli.train import CONF, parse_arguments
from mtl.config.compose import compose_checked
from mtl.config.groups import Groups
from mtl.config.overrides import join_tasks
from mtl.config.schema import Config
from mtl.tasks import TASK_TYPES
from mtl.training.model import build_task
from mtl.training.setup import read_splits
from tests import helpers
from tests.data.forms import ASKED, CLASSES, FORMS, WRITTEN, Row, lines
from train import main as train

Init = Callable[..., tuple[int, str, str]]
Specs = dict[str, dict[str, Any]]


@pytest.fixture
def init(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Init:
    """Run `mtl init` in an empty folder; returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments: Any) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["init", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return go


def command(out: str) -> list[str]:
    """The arguments of the command that trains, as a shell reads them."""
    line = next(line for line in out.splitlines() if re.match(r"\s+python .*train\.py ", line))
    return shlex.split(line)[2:]


def composed(out: str) -> Config:
    """The configuration of the command that is printed."""
    given = parse_arguments(command(out))
    folders = [CONF, *given.config_dir]
    typed = join_tasks(given.overrides, False, Groups(folders).choices("task"))
    return compose_checked(typed, folders, False, TASK_TYPES).config


def specs(folder: Path) -> Specs:
    return {
        file.stem: yaml.safe_load(file.read_text("utf-8")) for file in (folder / "task").iterdir()
    }


KNOWN = {name: form for name, form in FORMS.items() if name not in ("bundled", "hub")}


@pytest.mark.parametrize("name", KNOWN)
def test_a_form_becomes_the_task_that_it_is(
    init: Init, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    form = KNOWN[name]
    (tmp_path / "my data").mkdir()
    data = form.write(tmp_path / "my data")
    capsys.readouterr()  # What the writing library said.
    given = data.get("train") or data["source"]
    code, out, err = init(given)
    assert (code, err) == (0, "")
    cfg = composed(out)
    assert [task.type for task in cfg.tasks.values()] == [form.type]
    tasks = [build_task(name, spec) for name, spec in cfg.tasks.items()]
    (splits,) = read_splits(cfg, tasks).values()
    rows = list(splits.uncut or splits.train or ())
    assert len(rows) == len(form.rows)
    for row, wanted in zip(rows, form.rows, strict=True):
        assert all(row[role] == wanted[role] for role in wanted if role not in ("spans", "answers"))
    assert f", because in {given}" in out or "source" in data


LONG = [{"text": f"{row['text']} So it went on for a while.", **more} for row, more in zip(
    CLASSES, [{"stars": 4.5}, {"stars": 1.25}, {"stars": 5.0}, {"stars": 2.0}], strict=True
)]  # fmt: skip
KIND = "text_classification"
SWITCHED = [{"text": row["text"], "labels": {"a": n % 2, "b": 1}} for n, row in enumerate(CLASSES)]
TOPICS = [{"text": row["text"], "topics": ["a", "b"][: n % 3]} for n, row in enumerate(CLASSES)]
PAIRED = [
    {"premise": row["text"], "hypothesis": f"It was so {n} times.", "label": n % 2}
    for n, row in enumerate(CLASSES)
]
TWO = [
    {**row, "summary": f"So it was {n} times.", "topic": "ab"[n % 2]}
    for n, row in enumerate(CLASSES)
]
LISTED = [
    {"text": row["text"], "questions": [{"question": row["question"], "answer": "The Ash"}]}
    for row in ASKED
]
OVERLAPPING = [{"text": "Bank of Rome", "spans": [[0, 12, "ORG"], [8, 12, "LOC"]]}]
MADE: dict[str, tuple[list[Row], Specs]] = {
    "several labels": (TOPICS, {"topics": {"type": KIND, "options": {"problem": "multi"}}}),
    "switches": (SWITCHED, {"data": {"type": KIND, "options": {"problem": "multi"}}}),
    "numbers": (LONG, {"stars": {"type": KIND, "options": {"problem": "regression"}}}),
    "pairs": (
        PAIRED,
        {"data": {"columns": {"text": "premise", "second": "hypothesis", "label": "label"}}},
    ),
    "two labels": (TWO, {"data": {"type": KIND}, "topic": {}, "summary": {"type": "generation"}}),
    "questions": (ASKED, {"data": {"type": "span_extraction"}}),
    "questions in lists": (LISTED, {"data": {"type": "span_extraction"}}),
    "overlapping": (OVERLAPPING, {"data": {"type": "span_classification"}}),
    "written": (WRITTEN, {"data": {"type": "generation"}}),
}
"""By a name: rows, and what their tasks' files hold among other things."""


@pytest.mark.parametrize("name", MADE)
def test_columns_become_tasks(init: Init, tmp_path: Path, name: str) -> None:
    rows, wanted = MADE[name]
    (tmp_path / "data.jsonl").write_text(lines(rows), encoding="utf-8")
    code, out, _ = init("data.jsonl", "--output", "own")
    assert code == 0
    found = specs(tmp_path / "own")
    assert found.keys() == wanted.keys()
    for task, parts in wanted.items():
        assert all(found[task][key] == value for key, value in parts.items()), found[task]
    assert composed(out).tasks.keys() == wanted.keys()


def test_words_in_a_table_become_sentences(init: Init, tmp_path: Path) -> None:
    rows = ["Sentence #,Word,POS,Tag", "Sentence: 1,Ada,NNP,B-per", ",ran,VBD,O", ",away,RB,O"]
    rows += ["Sentence: 2,Bo,NNP,B-per", ",ran,VBD,O", ",far,RB,O"]
    (tmp_path / "ner.csv").write_text("\n".join(rows) + "\n", encoding="latin-1")
    code, out, _ = init("ner.csv")
    assert code == 0
    cfg = composed(out)
    assert {n: t.columns["labels"] for n, t in cfg.tasks.items()} == {"ner": "Tag", "pos": "POS"}


def test_files_whose_names_differ_in_the_split_are_one_corpus(init: Init, tmp_path: Path) -> None:
    for name in ("reviews_train.jsonl", "reviews_test.jsonl", "letters.dev.jsonl"):
        (tmp_path / name).write_text(lines(CLASSES), encoding="utf-8")
    code, out, err = init(tmp_path)
    assert code == 0
    data = composed(out).tasks["reviews"].data
    assert (data.train, data.test) == (
        str(tmp_path / "reviews_train.jsonl"),
        str(tmp_path / "reviews_test.jsonl"),
    )
    assert "letters.dev.jsonl: no file beside it is for training." in err


def test_what_could_not_be_told_is_said(init: Init, tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text(lines(CLASSES), encoding="utf-8")
    (tmp_path / "odd.csv").write_text("x,y\n1,2\n3,4\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("Some notes on this.\n", encoding="utf-8")
    code, _, err = init(tmp_path)
    assert code == 0
    assert re.search(r"odd\.csv: no task could be told from its columns \(x, y\)", err)
    assert re.search(r"notes\.md: neither its ending nor its first lines tell a format", err)


def test_nothing_is_written_where_there_is_no_task(init: Init, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("x,y\n1,2\n3,4\n", encoding="utf-8")
    code, out, err = init("odd.csv")
    assert (code, out) == (2, "")
    assert err.startswith("error: Expected `mtl init` to find a task, but found none. odd.csv: ")
    assert not (tmp_path / "my_conf").exists()


def test_files_are_replaced_only_if_asked(init: Init, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(CLASSES), encoding="utf-8")
    assert init("a.jsonl")[0] == 0
    file = tmp_path / "my_conf" / "task" / "a.yaml"
    file.write_text("# mine\n", encoding="utf-8")
    code, out, err = init("a.jsonl")
    assert (code, out) == (2, "")
    assert "Add `--overwrite` to replace it" in err
    assert file.read_text() == "# mine\n"
    assert init("a.jsonl", "--overwrite")[0] == 0
    assert "type: text_classification" in file.read_text()


def test_a_fault_that_would_stop_training_is_said(init: Init, tmp_path: Path) -> None:
    rows: list[Mapping[str, Any]] = [*CLASSES, {"text": "No label."}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    code, _, err = init("a.jsonl")
    assert code == 0
    assert "a: as it is, this would stop training: a.jsonl:5: Expected a column 'label'" in err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conll", "classes"])
def test_the_command_trains(init: Init, tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    data = FORMS[name].write(tmp_path / "data")
    _, out, _ = init(data.get("train") or data["source"])
    trunk = helpers.save_tiny(tmp_path / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    tiny = ["trunk=hf", f"trunk.path={trunk}", "trainer.max_steps=1", "logger=none"]
    assert train([*command(out), *tiny, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    assert (tmp_path / "run" / "model" / "mtl.json").is_file()
