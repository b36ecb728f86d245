"""Labels that are declared, ignored, or stand for none."""

from pathlib import Path
from typing import Any

import pytest

from mtl.config.schema import LabelConfig
from mtl.data.label_rules import IGNORED, LabelRules
from mtl.data.rows import Role
from mtl.data.value_types import VALUE_TYPES
from mtl.tasks.base import row_check
from mtl.training.model import make_task


def rules(type: str, **config: Any) -> LabelRules:
    roles = [Role("label", type, target=True), Role("other", type)]
    return LabelRules(LabelConfig(**config), roles, "tasks.x.data")


def apply(made: LabelRules, type: str, cell: object) -> Any:
    row = made({"label": VALUE_TYPES.get(type).convert(cell), "other": cell})
    return None if row is None else row["label"]


@pytest.mark.parametrize(
    ("type", "cell", "expected"),
    [
        ("label", 1, "B-PER"),
        ("label", "1", "B-PER"),
        ("label", "1.0", "B-PER"),
        ("label", "O", "O"),
        ("tags", [0, 1, 2], ["O", "B-PER", "I-PER"]),
        ("labels", [0, 1, 1], ["B-PER", "I-PER"]),
        ("labels", [1, 1, 1], ["O", "B-PER", "I-PER"]),
        ("labels", [2, 1], ["I-PER", "B-PER"]),
        ("labels", {"O": 1, "B-PER": 0.0, "I-PER": True}, ["O", "I-PER"]),
        ("labels", [], []),
    ],
)
def test_declared_labels_name_numbers(type: str, cell: object, expected: object) -> None:
    assert apply(rules(type, labels=["O", "B-PER", "I-PER"]), type, cell) == expected


@pytest.mark.parametrize("cell", [3, "-1", "B-PRE", "per"])
def test_a_label_that_is_not_declared(cell: object) -> None:
    expected = r"Expected one of the labels that `tasks\.x\.data\.labels` declares \(O, B-PER\)"
    with pytest.raises(ValueError, match=expected):
        apply(rules("label", labels=["O", "B-PER"]), "label", cell)


def test_declared_numbers_are_names() -> None:
    """Labels 1 to 3, in another order: a number that is a label is no place."""
    made = rules("label", labels=[3, 1, 2])
    assert [apply(made, "label", n) for n in (1, 2, 3)] == ["1", "2", "3"]
    assert apply(made, "label", 0) == "3"


def test_many_declared_labels_are_not_all_listed() -> None:
    made = rules("label", labels=[f"topic {n}" for n in range(300)])
    with pytest.raises(ValueError, match="300 in all") as caught:
        apply(made, "label", "topic 4O")
    assert len(str(caught.value)) < 250


def test_a_vector_without_names() -> None:
    expected = r"looks like a 0 or 1 for each label; name the labels in `tasks\.x\.data\.labels`"
    with pytest.raises(ValueError, match=expected):
        apply(rules("labels"), "labels", [0, 1, 0])
    assert apply(rules("labels"), "labels", [1, 0]) == ["1", "0"]


def test_an_object_that_has_more_than_switches() -> None:
    with pytest.raises(ValueError, match=r"Expected 0 or 1 for each label, but got 0\.7"):
        apply(rules("labels"), "labels", {"a": 0.7})


def test_ignored_labels_are_counted() -> None:
    made = rules("label", ignore_labels=["_", -100])
    assert [apply(made, "label", c) for c in ("_", "-100", -100, "a")] == [None, None, None, "a"]
    assert made.notes() == ["tasks.x.data: 3 labels are ignored (ignore_labels)."]
    made = rules("labels", ignore_labels=["none"])
    assert apply(made, "labels", ["none"]) == []
    made = rules("tags", ignore_labels=["_"])
    assert apply(made, "tags", ["_", "O"]) == [IGNORED, "O"]
    assert apply(made, "tags", ["_"]) is None


def test_what_may_be_missing_is_said() -> None:
    made = rules("label")
    assert [apply(made, "label", c) for c in ("nan", "NaN", "a", "None")] == [
        "nan",
        "NaN",
        "a",
        "None",
    ]
    assert [line.split("'")[1] for line in made.notes()] == ["NaN", "None", "nan"]
    assert "`tasks.x.data.ignore_labels=[nan]` leaves them out" in made.notes()[2]


@pytest.mark.parametrize(
    ("text", "label"),
    [("1.0", "1"), ("-2.00", "-2"), ("1.5", "1.5"), ("1.", "1."), ("v1.0", "v1.0"), ("", None)],
)
def test_a_whole_number_is_one_label(text: str, label: str | None) -> None:
    assert VALUE_TYPES.get("label").convert(text) == label


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (["B-PER", "I-PER", "O"], ["B-PER", "I-PER", "O"]),
        (["PER-B", "per_LOC", "O"], None),
        (["U-LOC", "O"], ["U-LOC", "O"]),
        (["B-0", "L-1", "O"], ["B-PER", "E-LOC", "O"]),
        (["B-MISC", "O"], None),
        (["PER", "O"], ["PER", "O"]),
    ],
)
def test_declared_types_of_entities(cell: list[str], expected: list[str] | None) -> None:
    made = rules("tags", labels=["PER", "LOC"])
    if expected is None:
        with pytest.raises(ValueError, match=r"declares \(PER, LOC\), but got"):
            apply(made, "tags", cell)
    else:
        assert apply(made, "tags", cell) == expected


def test_a_type_of_entities_is_ignored() -> None:
    made = rules("tags", ignore_labels=["MISC"])
    assert apply(made, "tags", ["B-MISC", "I-MISC", "B-PER", "O"]) == [IGNORED] * 2 + ["B-PER", "O"]
    assert made.notes() == ["tasks.x.data: 2 labels are ignored (ignore_labels)."]
    spans = [[0, 3, "PER"], [4, 6, "MISC"]]
    made = rules("spans", ignore_labels=["MISC"])
    assert apply(made, "spans", spans) == [{"start": 0, "end": 3, "label": "PER"}]


def test_spans_have_declared_types(tmp_path: Path) -> None:
    """A user names what the tool's users named, not the tags that words have of it."""
    for kind, expected in (
        ("token_classification", ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]),
        ("span_classification", ["LOC", "ORG", "PER"]),
    ):
        task = make_task("it", kind, options={}, head={})
        task.labels = LabelConfig(labels=["PER", "LOC", "ORG"])
        check, _ = row_check(task)
        text = "Ada met Bo in Rome."
        spans = [{"start": 0, "end": 3, "label": "0"}, {"start": 14, "end": 18, "label": "LOC"}]
        row = check({"text": text, "spans": spans})
        assert row is not None
        learned = task.learn([{**row, "_file": "a", "_line": 1}])
        assert learned.labels == expected  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match=r"declares \(PER, LOC, ORG\), but got 'GPE'"):
            check({"text": text, "spans": [{"start": 0, "end": 3, "label": "GPE"}]})


@pytest.mark.parametrize("cell", ["9" * 5000, "-1", "\u0663"])
def test_a_number_that_is_no_place_of_a_label(cell: str) -> None:
    with pytest.raises(ValueError, match=r"declares \(a, b\), but got '[-9\u0663]") as caught:
        apply(rules("label", labels=["a", "b"]), "label", cell)
    assert len(str(caught.value)) < 250
    assert not str(caught.value).endswith(".")
