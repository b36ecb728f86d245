"""What a dashboard has for what is logged; no W&B is needed."""

from mtl.reporting.dashboard.panels import BAR, LINE, TABLE, parts
from mtl.reporting.dashboard.tables import tables_of

NAMES = [
    "train/ner/loss", "train/qa/loss", "train/loss", "train/heads/lr", "train/tokens_per_second",
    "epoch", "val/ner/f1", "val/qa/em", "val/qa/f1", "val/score", "test/ner/f1", "test/score",
    "train/ner/anything_new", "train/anything_else",
]  # fmt: skip
PRIMARY = {"ner": "f1", "qa": "f1"}


def test_every_metric_is_on_a_panel_and_no_other_is() -> None:
    found = parts(NAMES, PRIMARY)
    shown = {metric for part in found for panel in part.panels for metric in panel.metrics}
    assert shown == set(NAMES)


def test_a_section_for_each_task_has_what_is_its_own() -> None:
    found = {part.name: part for part in parts(NAMES, PRIMARY)}
    ner = {metric for panel in found["ner"].panels for metric in panel.metrics}
    assert ner == {name for name in NAMES if "/ner/" in name}
    assert [panel.kind for panel in found["ner"].panels] == [LINE, LINE, LINE, BAR]
    assert {p.title for p in found["Throughput and memory"].panels} == {"tokens_per_second"}
    titles = {panel.title for panel in found["Optimization"].panels}
    assert titles == {"loss", "heads/lr", "epoch", "anything_else"}


def test_tasks_are_compared_by_their_primary_metrics() -> None:
    compared = parts(NAMES, PRIMARY)[0]
    assert compared.panels[0].metrics == ("val/score", "val/ner/f1", "val/qa/f1")
    assert compared.panels[1].metrics == ("test/score", "test/ner/f1")


def test_conflict_stands_side_by_side() -> None:
    names = ["train/ner/cosine_qa", "train/ner/trunk_grad_norm", "train/qa/trunk_grad_norm"]
    compared, *_ = parts(names, PRIMARY)
    assert [panel.metrics for panel in compared.panels] == [tuple(names[1:]), tuple(names[:1])]


def test_sections_without_panels_are_left_out() -> None:
    assert [part.name for part in parts(["train/loss"], {"ner": "f1"})] == ["Optimization"]


def test_tables_of_evidence() -> None:
    task = {
        "tables": {"labels": [{"label": "pos", "f1": 0.5}], "empty": []},
        "pairs": {"labels": {"labels": ["neg", "pos"], "counts": [[2, 0], [1, 3]]}},
        "samples": [{"place": "a:1", "given": {"text": "x"}, "answer": 1, "wrong": 0.5}],
    }
    found = tables_of({"test": {"tasks": {"mood": task}}})
    assert set(found) == {
        f"tables/test/mood/{n}" for n in ("labels", "labels-confusions", "answers")
    }
    assert found["tables/test/mood/labels"].rows == [["pos", 0.5]]
    confused = found["tables/test/mood/labels-confusions"].rows
    assert confused == [["neg", "neg", 2], ["pos", "neg", 1], ["pos", "pos", 3]]
    assert found["tables/test/mood/answers"].rows == [["a:1", '{"text": "x"}', 1, None, None, 0.5]]
    shown = parts(["val/mood/f1"], {"mood": "f1"}, list(found))
    assert {p.metrics[0] for p in shown[-1].panels if p.kind == TABLE} == set(found)
