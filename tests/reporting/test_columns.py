from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mtl.reporting.columns import NARROWEST, ValidationLines, number
from tests.properties import max_examples

FOUR = {"ner": "f1", "sentiment": "accuracy", "qa": "f1", "summarization": "rougeL"}
names = st.text("abcdefghij_", min_size=1, max_size=40)


def test_four_tasks_are_shown_in_full() -> None:
    lines = ValidationLines(FOUR, 100_000, 80)
    results = {f"val/{task}/{metric}": 0.5 for task, metric in FOUR.items()} | {"val/score": 0.25}
    first, second = lines.heading()
    assert first.split() == ["step", "epoch", *FOUR, "score"]
    assert second.split() == list(FOUR.values())
    line = lines.line(1200, 1.5, results, True)
    assert line.split() == ["1,200", "1.50", *["0.5000"] * 4, "0.2500", "best"]
    assert len(line) <= 80


@max_examples(50)
@given(
    tasks=st.dictionaries(names, names, min_size=1, max_size=12),
    total=st.integers(1, 10**9),
    value=st.floats(-1e99, 1e99),
)
def test_every_line_fits_and_columns_stay_under_their_heading(
    tasks: dict[str, str], total: int, value: float
) -> None:
    lines = ValidationLines(tasks, total, 80)
    results = {f"val/{task}/{metric}": value for task, metric in tasks.items()}
    first, second = lines.heading()
    line = lines.line(total, 99.99, results | {"val/score": value}, True)
    assert len(line) <= 80
    assert len(second) <= len(first) == len(line) - len("  best")


@given(st.floats())
def test_numbers_are_short_and_right_to_the_digits_shown(value: float) -> None:
    text = number(value)
    assert len(text) <= NARROWEST or value < -1e99
    if math.isfinite(value) and abs(value) < 9:
        assert math.isclose(float(text), value, abs_tol=0.0006)


def test_numbers() -> None:
    assert [number(v) for v in (0.85912, 0.99999, 12.3456, 123.456, 99999.0, None)] == [
        "0.8591",
        "1.0000",
        "12.346",
        "123.46",
        "99999",
        "-",
    ]


def test_metrics_that_are_not_there() -> None:
    assert ValidationLines({"ner": "f1"}, 10, 80).line(5, 0.5, {}, False).split()[-2:] == ["-", "-"]
