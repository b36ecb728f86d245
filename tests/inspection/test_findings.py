"""What is odd about a corpus, against corpora in which it was put there by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtl.cli.app import main
from mtl.config.schema import Config, DataConfig, TaskConfig
from mtl.inspection.corpus import Corpus
from mtl.inspection.findings import Finding, inspect, most_important
from mtl.inspection.overview import facts
from mtl.training.setup import corpus_of, prepare
from tests.training.site import Site

ROWS = [{"text": f"It is day {n} of the tour.", "label": "ab"[n % 2]} for n in range(60)]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def corpus(
    site: Site, folder: Path, train: list[dict[str, Any]], length: int | None = None, **more: Any
) -> Corpus:
    dev = more.pop("validation", [{"text": "A new text.", "label": "a"}] * 1)
    files = {"train": train, "validation": dev}
    named = {split: write(folder / f"{split}.jsonl", rows) for split, rows in files.items()}
    spec = TaskConfig(
        type="text_classification",
        columns={"text": "text", "label": "label"},
        data=DataConfig(**named, **more),
    )
    cfg = Config(tasks={"x": spec})
    cfg.trunk.name, cfg.trunk.path, cfg.trunk.max_length = "hf", str(site.trunk), length
    return corpus_of(prepare(cfg, folder))


def found(corpus: Corpus) -> dict[str, Finding]:
    return {finding.check: finding for finding in inspect(corpus)}


def test_an_ordinary_corpus(site: Site, tmp_path: Path) -> None:
    made = corpus(site, tmp_path, ROWS)
    assert [f for f in inspect(made) if f.level != "info"] == []
    known = facts(made)["x"]["splits"]["train"]
    assert known["rows"] == 60
    assert known["labels"] == {"a": 30, "b": 30}
    assert known["tokens"]["all"] == sum(made.parts[0].store.lengths)


def test_rare_and_unseen_labels(site: Site, tmp_path: Path) -> None:
    rare = [{"text": "Once.", "label": "c"}, {"text": "Twice.", "label": "c"}]
    dev = [{"text": "New.", "label": "d"}]
    made = corpus(site, tmp_path, ROWS + rare, validation=dev, unseen_labels="count")
    assert "1 labels have fewer than 5 training rows: c." in found(made)["rare_labels"].text
    assert found(made)["unseen_labels"].level == "error"
    assert "1 labels have no training row: d." in found(made)["unseen_labels"].text
    assert [finding.check for finding in most_important(made)] == ["unseen_labels", "rare_labels"]


def test_equal_texts(site: Site, tmp_path: Path) -> None:
    other = {**ROWS[3], "label": "a"}
    spaced = {**ROWS[5], "text": ROWS[5]["text"].replace(" ", "  ")}
    made = found(corpus(site, tmp_path, [*ROWS, other, ROWS[7], spaced], validation=ROWS[10:12]))
    assert made["contradictions"].count == 1
    path = tmp_path / "train.jsonl"
    assert made["contradictions"].places == [f"{path}:4", f"{path}:61"]
    assert made["repeated"].count == 2
    assert made["overlap"].count == 2
    assert made["overlap"].where == "tasks.x, validation"


def test_long_documents(site: Site, tmp_path: Path) -> None:
    long = {"text": "word " * 100, "label": "a"}
    made = corpus(site, tmp_path, [*ROWS, long], length=20)
    windows = len(made.parts[0].store.examples[60].documents)
    assert windows > 5
    assert f"in {windows} windows" in found(made)["long_documents"].text
    assert found(made)["long_documents"].count == 1 + sum(
        len(example.documents) > 1 for example in made.parts[0].store.examples[:60]
    )


def test_what_tasks_share(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "sentiment")
    made = corpus_of(prepare(cfg, tmp_path))
    shared = found(made)["shared_texts"]
    assert "saves 50.0% of the two tasks' tokens" in shared.text
    assert shared.count == len(made.parts[0].rows)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(["data", *arguments])
    return int(caught.value.code or 0), capsys.readouterr().out


def test_the_command(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "train.jsonl", [*ROWS, {**ROWS[3], "label": "a"}])
    overrides = [
        "task=sentiment",
        f"tasks.sentiment.data.train={path}",
        "tasks.sentiment.columns={text: text, label: label}",
        "trunk=hf",
        f"trunk.path={site.trunk}",
    ]
    code, out = run(capsys, *overrides)
    assert code == 0
    assert "1 texts have different labels" in " ".join(out.split())
    code, out = run(capsys, *overrides, "--json", "--strict")
    assert code == 1
    report = json.loads(out)
    assert report["tasks"]["sentiment"]["splits"]["train"]["rows"] + 7 >= 61
    assert "contradictions" in {finding["check"] for finding in report["findings"]}
    assert run(capsys, "task=sentimen")[0] == 2
