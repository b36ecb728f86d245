"""What is odd about a corpus, against corpora in which it was put there by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtl.cli.app import main
from mtl.inspection.inspect import inspect, most_important
from mtl.inspection.overview import facts
from mtl.training.setup import corpus_of, prepare
from tests.inspection.made import ROWS, corpus, found, typed, write
from tests.training.site import Site


def test_an_ordinary_corpus(site: Site, tmp_path: Path) -> None:
    made = corpus(site, tmp_path, ROWS)
    assert [f for f in inspect(made) if f.level != "info"] == []
    known = facts(made)["x"]["splits"]["train"]
    assert known["rows"] == 60
    assert known["labels"] == {"a": 30, "b": 30}
    assert known["tokens"]["all"] == sum(made.parts[0].store.lengths)


def test_rare_and_unseen_labels(site: Site, tmp_path: Path) -> None:
    rare = [{"text": "Once.", "label": "c"}, {"text": "Twice.", "label": "c"}]
    dev = [{"text": "New.", "label": "d"}, {"text": "Newer.", "label": "a"}]
    made = corpus(site, tmp_path, ROWS + rare, validation=dev, unseen_labels="count")
    assert "1 labels have fewer than 5 training rows: c." in found(made)["rare_labels"].text
    assert found(made)["unseen_labels"].level == "error"
    assert "1 labels have no training row: d." in found(made)["unseen_labels"].text
    assert [finding.check for finding in most_important(made)] == ["unseen_labels", "rare_labels"]


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("caf\u00e9", "cafe\u0301", r"'caf\xe9' (30), 'cafe\u0301' (2)"),
        ("calm", "ca\u200blm", r"'calm' (30), 'ca\u200blm' (2)"),
        ("calm", "Calm", "'calm' (30), 'Calm' (2)"),
        ("very calm", "very  calm", "'very calm' (30), 'very  calm' (2)"),
    ],
)
def test_labels_that_look_alike(
    site: Site, tmp_path: Path, one: str, other: str, shown: str
) -> None:
    rows = [{**row, "label": one if row["label"] == "a" else "b"} for row in ROWS]
    more = [{"text": f"{word} again.", "label": other} for word in ("Rain", "Snow")]
    made = corpus(site, tmp_path, rows + more, validation=more)
    assert set(made.tasks[0].learned.model_dump()["labels"]) == {one, other, "b"}  # Never made one.
    finding = found(made)["similar_labels"]
    assert shown.replace("(2)", "(4)") in finding.text
    assert (finding.level, finding.where) == ("warning", "tasks.x")
    assert "similar_labels" in {f.check for f in most_important(made)}


def test_equal_texts(site: Site, tmp_path: Path) -> None:
    other = {**ROWS[3], "label": "a"}
    spaced = {**ROWS[5], "text": ROWS[5]["text"].replace(" ", "  ")}
    made = found(corpus(site, tmp_path, [*ROWS, other, ROWS[7], spaced], validation=ROWS[10:12]))
    assert made["contradictions"].count == 1
    path = tmp_path / "train.jsonl"
    rows = made["contradictions"].rows
    assert [row.place for row in rows] == [f"{path}:4", f"{path}:61"]
    assert [(row.text, row.target) for row in rows] == [(other["text"], "b"), (other["text"], "a")]
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


def test_texts_of_another_tasks_train(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "sentiment")
    for task in cfg.tasks.values():
        task.data.train = [str(site.data / f"{split}.jsonl") for split in ("train", "test")]
    made = corpus_of(prepare(cfg, tmp_path))
    leaks = [f for f in inspect(made) if f.check == "leakage"]
    where = [("tasks.ner, test", 9), ("tasks.sentiment, test", 9)]
    assert [(f.where, f.count) for f in leaks] == where
    assert "9 rows (100.0%) have a text that train of sentiment has" in leaks[0].text
    assert "leakage" not in {f.check for f in most_important(made)}  # The run's table says it.


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
    assert any("validation" in line for line in report["notes"])
    assert run(capsys, "task=sentimen")[0] == 2


@pytest.mark.parametrize(
    ("type", "columns", "options", "one", "others"),
    [
        ("text_classification", {"text": "t", "label": "y"}, {}, "a", ["a", "b"]),
        ("text_classification", {"text": "t", "label": "y"}, {"problem": "multi"}, [], [["a"], []]),
        ("text_classification", {"text": "t", "label": "y"}, {"problem": "regression"}, 2, [2, 3]),
        (
            "token_classification",
            {"text": "t", "spans": "y"},
            {},
            [],
            [[[0, 2, "PER"]], [], [[0, 2, "LOC"]]],
        ),
    ],
)
def test_a_metric_that_cannot_move(
    site: Site,
    tmp_path: Path,
    type: str,
    columns: dict[str, str],
    options: dict[str, str],
    one: object,
    others: list[object],
) -> None:
    rows = [{"t": f"Text {n} of these.", "y": others[n % len(others)]} for n in range(12)]
    same = [{"t": f"Text {n} of those.", "y": one} for n in range(6)]
    made = typed(site, tmp_path, rows, type, columns, options=options, validation=same)
    finding = found(made)["constant_targets"]
    assert (finding.level, finding.count, finding.where) == ("warning", 6, "tasks.x, validation")
    assert f"{made.tasks[0].primary_metric} cannot tell" in finding.text
    made = typed(site, tmp_path, rows, type, columns, options=options, validation=rows[:6])
    assert "constant_targets" not in found(made)


def test_words_with_one_label_each_are_not_constant(site: Site, tmp_path: Path) -> None:
    rows = [{"w": ["the", "sea"], "y": ["DET", "NOUN"]}, {"w": ["a", "sea"], "y": ["DET", "NOUN"]}]
    columns = {"tokens": "w", "labels": "y"}
    made = typed(
        site, tmp_path, rows, "token_classification", columns, validation=rows, metric="accuracy"
    )
    assert "constant_targets" not in found(made)


def test_what_a_run_says_of_its_rows_is_found(site: Site, tmp_path: Path) -> None:
    rows = [{"text": f"Ines Talbot saw {n} boats.", "spans": [[0, 2, "PER"]]} for n in range(12)]
    made = typed(site, tmp_path, rows, "token_classification", {"text": "text", "spans": "spans"})
    finding = found(made)["remarks"]
    assert finding.text == "12 spans begin or end inside a word, which is split there."
    assert (finding.level, finding.where) == ("warning", "tasks.x")
    assert "remarks" not in {f.check for f in most_important(made)}


def test_answers_that_cannot_be_given(site: Site, tmp_path: Path) -> None:
    text = "The mill by the river had been empty for many years when it burned."
    answer = {"text": text[:-1], "start": 0}
    rows = [{"text": text, "question": f"What {n}?", "answers": [answer]} for n in range(12)]
    columns = {name: name for name in ("text", "question", "answers")}
    options = {"max_answer_tokens": 2}
    made = typed(site, tmp_path, rows, "span_extraction", columns, options=options)
    texts = [f.text for f in inspect(made) if f.check == "remarks"]
    assert any("12 answers of the data are longer than options.max_answer" in t for t in texts)


def test_what_is_harmless_is_no_warning(site: Site, tmp_path: Path) -> None:
    rows = [
        {"text": "海边的磨坊很旧。", "question": f"{n}?", "answers": [{"text": "磨坊", "start": 3}]}
        for n in range(12)
    ]
    columns = {name: name for name in ("text", "question", "answers")}
    made = typed(site, tmp_path, rows, "span_extraction", columns)
    levels = {f.level for f in inspect(made) if "script without spaces" in f.text}
    assert levels == {"info"}
