"""Texts that are nearly the same, put there by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtl.inspection.checks import near_duplicates
from mtl.inspection.findings import Finding
from mtl.inspection.inspect import inspect
from mtl.training.setup import corpus_of, prepare
from tests.inspection.made import DEV, ROWS, corpus
from tests.training.site import Site

pytest.importorskip("semhash")


def of(found: list[Finding]) -> dict[str, Finding]:
    return {f"{f.level} {f.where}": f for f in found if f.check == "near_duplicates"}


def test_texts_that_are_not_alike(site: Site, tmp_path: Path) -> None:
    assert of(inspect(corpus(site, tmp_path, ROWS[:30]))) == {}


def test_inside_a_split_and_between_two(site: Site, tmp_path: Path) -> None:
    near = {"text": ROWS[3]["text"] + "!", "label": "a"}
    dev = [*DEV, {"text": ROWS[5]["text"].upper() + " s", "label": "a"}, ROWS[6]]
    found = of(inspect(corpus(site, tmp_path, [*ROWS[:30], near], validation=dev)))
    assert list(found) == ["warning tasks.x, validation", "info tasks.x, train"]
    inside = found["info tasks.x, train"]
    assert inside.count == 2
    assert {row.text for row in inside.rows} == {ROWS[3]["text"], near["text"]}
    between = found["warning tasks.x, validation"]
    assert between.text == "1 rows (25.0%) have a text that is nearly the same as one of train"
    assert [row.text for row in between.rows] == [dev[2]["text"], ROWS[5]["text"]]


def test_across_tasks(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "sentiment")
    made = corpus_of(prepare(cfg, tmp_path))
    (ner, _), (sentiment, _) = ((made.of(t)["train"], 0) for t in made.tasks)
    whose = {f.where: f.text for f in inspect(made) if "train of tasks." in f.text}
    for where, text in whose.items():
        assert where.partition(",")[0] not in text
    assert len(ner.rows)
    assert len(sentiment.rows)


def test_of_many_texts_some_are_compared(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "MOST", 20)
    found = of(inspect(corpus(site, tmp_path, ROWS[:30])))
    assert "among 20 of 32 texts" in found["info all tasks"].text


def test_without_the_extra_it_is_said(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "find_spec", lambda name: None)
    (finding,) = of(inspect(corpus(site, tmp_path, ROWS[:30]))).values()
    assert "pip install 'mtl[duplicates]'" in finding.text
