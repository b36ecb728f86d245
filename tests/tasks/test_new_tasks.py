"""A new task costs a YAML file and no Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtl.training.model_io import load_model
from tests import helpers
from train import main

CORPUS = {
    "intent": ("utterance\tgoal", ["book", "cancel", "ask", "complain"]),
    "topic": ("text\tlabel", ["sport|money", "sport", "", "money|weather"]),
    "rating": ("review\tstars", ["1", "2.5", "4", "5"]),
    "pos": ("", ["PRON VERB ADV", "NOUN VERB", "DET NOUN", "VERB"]),
}
TASKS = {
    "intent": """\
type: text_classification
columns: {text: utterance, label: goal}
""",
    "topic": """\
type: text_classification
columns: {text: text, label: label}
options: {problem: multi}
metric: micro_f1
""",
    "rating": """\
type: text_classification
columns: {text: review, label: stars}
options: {problem: regression}
metric: rmse
weight: 0.5
""",
    "pos": """\
type: token_classification
columns: {tokens: 0, labels: 1}
metric: accuracy
""",
}
WORDS = ["Nobody asked why", "Rain fell", "The harbour", "Stop"]


def write_data(folder: Path, task: str) -> str:
    """Write one file of eight examples; returns its name."""
    header, labels = CORPUS[task]
    if task == "pos":
        pairs = [zip(w.split(), t.split(), strict=True) for w, t in zip(WORDS, labels, strict=True)]
        text = "\n\n".join("\n".join(f"{w} {t}" for w, t in pair) for pair in pairs)
        (folder / "pos.conll").write_text(f"{text}\n\n{text}\n", encoding="utf-8")
        return "pos.conll"
    rows = [f"{words}\t{label}" for words, label in zip(WORDS, labels, strict=True)]
    (folder / f"{task}.tsv").write_text("\n".join([header, *rows, *rows, ""]), encoding="utf-8")
    return f"{task}.tsv"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder with a YAML and a file for each task."""
    (tmp_path / "conf" / "task").mkdir(parents=True)
    for task, text in TASKS.items():
        file = tmp_path / write_data(tmp_path, task)
        splits = f"data: {{train: {file}, validation: {file}, test: {file}}}\n"
        header = f"# @package tasks.{task}\n"
        (tmp_path / "conf" / "task" / f"{task}.yaml").write_text(header + text + splits)
    return tmp_path / "conf"


def test_tasks_of_yaml_alone_train_together(conf: Path, tmp_path: Path) -> None:
    config = helpers.llama_config(num_hidden_layers=1, hidden_size=8)
    trunk = helpers.save_tiny(tmp_path / "trunk", config, helpers.bpe_tokenizer())
    run = tmp_path / "run"
    code = main(
        [
            "--config-dir",
            str(conf),
            f"task={','.join(TASKS)}",
            "trunk=hf",
            f"trunk.path={trunk}",
            "monitor=val/rating/rmse",
            "trainer.max_steps=2",
            "trainer.threads=1",
            "trainer.progress=false",
            "trainer.accelerator=cpu",
            "logger=none",
            f"hydra.run.dir={run}",
        ]
    )
    assert code == 0
    found = json.loads((run / "metrics.json").read_text())
    primary = ["intent/accuracy", "topic/micro_f1", "rating/rmse", "pos/accuracy"]
    assert {f"{stage}/{name}" for stage in ("val", "test", "baseline") for name in primary} <= set(
        found
    )
    parts = [found[f"test/{name}"] for name in primary]
    parts[2] = 0.5 / (1 + parts[2])
    assert found["test/score"] == pytest.approx(sum(parts) / 3.5)
    tasks = load_model(run).model.tasks
    labels = {name: tasks[name].learned.model_dump()["labels"] for name in ("intent", "topic")}
    assert labels["intent"] == ["ask", "book", "cancel", "complain"]
    assert labels["topic"] == ["money", "sport", "weather"]
    assert tasks["rating"].learned.model_dump()["mean"] == 3.125
    assert tasks["pos"].learned.model_dump(exclude={"words", "counts"}) == {
        "scheme": "none",
        "labels": ["ADV", "DET", "NOUN", "PRON", "VERB"],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("monitor=val/intent/rmse", "'val/intent/rmse'"),
        ("monitor=val/pos/f1", "'val/pos/f1'"),
        ("monitor=val/topics/micro_f1", "Did you mean 'topic'?"),
    ],
)
def test_a_monitor_that_no_task_has(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    """Also where only the data tells: parts of speech have no F1 over entities."""
    config = helpers.llama_config(num_hidden_layers=1, hidden_size=8)
    trunk = helpers.save_tiny(tmp_path / "trunk", config, helpers.bpe_tokenizer())
    run = f"hydra.run.dir={tmp_path / 'run'}"
    more = ["trunk=hf", f"trunk.path={trunk}", "logger=none", "trainer.accelerator=cpu", run]
    assert main(["--config-dir", str(conf), f"task={','.join(TASKS)}", change, *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
