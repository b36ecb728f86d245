"""Doubtful labels: models trained on labels of which some were made wrong by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import helpers
from tests.inference.conftest import Run, check_error, write_jsonl
from train import main as train

pytest.importorskip("cleanlab")

GOOD, BAD = ["lovely", "warm"], ["rude", "dirty"]
THINGS = ["soup", "hotel", "waiter", "beach", "train", "guide", "bread"]
WRONG = (7, 20, 33)


def rows() -> list[dict[str, Any]]:
    """Texts whose words tell their label; of some rows it is the other one."""
    found = []
    for number in range(90):
        good = number % 2 == 0
        words = GOOD if good else BAD
        first, second = words[number // 2 % 2], words[number // 4 % 2]
        text = f"{THINGS[number % 7]} {number} {first} and {second}"
        right = good != (number in WRONG)
        tags = ["B-THING", "O", *(["O"] * 3)]
        found.append(
            {
                "id": number,
                "text": text,
                "words": text.split(),
                "sentiment": "good" if right else "bad",
                "ner_tags": ["O"] * 5 if number in WRONG else tags,
            }
        )
    return found


def trained(base: Path, *more: str) -> Path:
    """Return the folder of runs on `rows`, on a tiny trunk."""
    train_file = write_jsonl(base / "train.jsonl", rows())
    trunk = helpers.save_tiny(base / "trunk", helpers.llama_config(), helpers.bpe_tokenizer())
    code = train(
        [
            "task=[ner,sentiment]",
            *(f"tasks.{name}.data.train={train_file}" for name in ("ner", "sentiment")),
            "tasks.ner.columns={text: text, tokens: words, labels: ner_tags, id: id}",
            "tasks.sentiment.columns={text: text, label: sentiment, id: id}",
            "trunk=hf",
            f"trunk.path={trunk}",
            "trunk.lr=0.01",
            "head.lr=0.05",
            "batching.examples=10",
            "trainer.max_epochs=10",
            "trainer.threads=1",
            "trainer.progress=false",
            "logger=none",
            *more,
        ]
    )
    assert code == 0
    return base


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("folds")
    folds = ",".join(f"{n}/3" for n in (1, 2, 3))
    # Two tasks of one file: the folds of both are the same.
    trained(
        base,
        f"hydra.sweep.dir={base / 'sweep'}",
        "-m",
        f"tasks.sentiment.data.fold={folds}",
    )
    return base / "sweep"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_planted_labels_are_found_by_models_that_do_not_know_them(
    sweep: Path, mtl: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, shown, said = mtl("data", "--model", sweep, "--output", out)
    assert code == 0, said
    assert "have a label that the model doubts" in shown
    assert "trained on" not in said
    found = lines(out / "doubts.sentiment.jsonl")
    assert {str(number) for number in WRONG} <= {row["id"] for row in found}
    assert len(found) <= 2 * len(WRONG)
    for row in found:
        source = rows()[int(row["id"])]
        (part,) = row["doubted"]
        assert (row["text"], row["given"]) == (source["text"], source["sentiment"])
        assert {part["given"], part["suggested"]} == {"good", "bad"}
        assert part["given"] == source["sentiment"]
        assert row["sentiment"]["label"] == part["suggested"]
        assert row["held_out"]
        assert row["place"].endswith(f"train.jsonl:{int(row['id']) + 1}")
    words = {row["id"]: row["doubted"] for row in lines(out / "doubts.ner.jsonl")}
    things = {
        str(n): {"text": rows()[n]["words"][0], "given": "O", "suggested": "B-THING"} for n in WRONG
    }
    assert sum(part in words.get(number, []) for number, part in things.items()) >= 2


@pytest.mark.slow
def test_one_run_says_what_it_was_trained_on(sweep: Path, mtl: Run) -> None:
    code, shown, said = mtl("data", "--model", sweep / "job-0", "--json", "--task", "sentiment")
    assert code == 0
    assert "60 of 90 rows have a text that the model was trained on" in said
    (found,) = json.loads(shown).values()
    assert {row["held_out"] for row in found} <= {True, False}


def test_a_run_that_learned_its_rows(run: Path, mtl: Run, tmp_path: Path) -> None:
    code, shown, said = mtl("data", "--model", run, "--json")
    assert code == 0, said
    assert set(json.loads(shown)) == {"doubts.ner", "doubts.sentiment"}
    assert "rating chooses no labels and is left out." in said
    assert "of 26 rows have a text that the model was trained on" in said
    assert "tasks.ner.data.fold=1/5,2/5,3/5,4/5,5/5" in said


def test_what_does_not_go_together(run: Path, mtl: Run, tmp_path: Path) -> None:
    check_error(mtl("data"), "`mtl data`", "--model RUN")
    check_error(mtl("data", "task=ner", "--model", run), "`--model`", "task=ner")
    check_error(mtl("data", "task=ner", "--unlabelled", "x"), "`--unlabelled`", "`--model RUN`")
    check_error(mtl("data", "--model", tmp_path / "no"), "`--model`", "there is no folder")
    (tmp_path / "bare").mkdir()
    check_error(mtl("data", "--model", tmp_path / "bare"), "`--model`", "holds none")
    check_error(mtl("data", "--model", run, "--html", "a.html"), "`--html`")
    check_error(mtl("data", "--model", run, "--task", "rating"), "`--model`", "rating")
    check_error(mtl("data", "--model", run, "--output-format", "x"), "`--output-format`", "brat")


def test_without_cleanlab(run: Path, mtl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtl.inference.doubts.find_spec", lambda name: None)
    check_error(mtl("data", "--model", run), "pip install 'mtl[doubts]'")
