"""What charts draw, against counts of the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.reporting.pages.charts import BINS, HEIGHT, WIDTH, histogram, lines, matrix, reliability


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60))
def test_bars_count_each_value_once(values: list[int]) -> None:
    chart = histogram(np.asarray(values))
    assert sum(bar.count for bar in chart.bars) == len(values)
    assert len(chart.bars) <= BINS
    assert max(bar.height for bar in chart.bars) == HEIGHT
    assert chart.bars[-1].x + chart.bars[-1].width <= WIDTH
    for bar in chart.bars:
        low, _, high = bar.label.partition(" to ")
        inside = [value for value in values if int(low) <= value <= int(high or low)]
        assert len(inside) == bar.count


def test_the_last_bar_has_the_rest() -> None:
    chart = histogram(np.asarray([1, 2, 3] * 100 + [10_000]))
    assert chart.bars[-1].label == "3 to 10,000"
    assert chart.ends == ("1", "3+")


@pytest.mark.parametrize(("limit", "at"), [(None, None), (2, WIDTH / 2), (9, None)])
def test_a_limit_is_marked_where_it_is(limit: int | None, at: float | None) -> None:
    assert histogram(np.asarray([1, 2, 3, 4]), limit).mark == at


def test_a_matrix_colors_what_is_most() -> None:
    chart = matrix(["a", "b"], ["a", "b"], [[10_000, None], [0, 100]])
    (one, none), (zero, other) = chart.cells
    assert none is None
    assert one is not None
    assert zero is not None
    assert other is not None
    assert (one.text, one.strength, zero.strength) == ("10,000", 1.0, 0.0)
    assert 0 < other.strength < 1


def test_curves_are_drawn_to_scale() -> None:
    chart = lines({"a": [(10, 0.0), (20, 1.0)], "b": [(15, 0.5)], "c": [(10, float("nan"))]})
    assert chart is not None
    assert [line.path for line in chart.lines] == [
        f"0.0,{HEIGHT}.0 {WIDTH}.0,0.0",
        f"{WIDTH / 2},{HEIGHT / 2}",
    ]
    assert lines({"a": []}) is None


@pytest.mark.parametrize(("value", "low", "high"), [(0.4, 0, 1), (0.0, 0, 1), (8.0, 4, 12)])
def test_equal_values_have_an_axis(value: float, low: float, high: float) -> None:
    chart = lines({"a": [(5, value)]})
    assert chart is not None
    assert (chart.low, chart.high) == (low, high)


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    chart = lines({"a": [(step, step / 9) for step in range(5001)]})
    assert chart is not None
    assert len(chart.lines[0].values) <= 202
    assert chart.lines[0].values[-1][0] == 5000


def test_bars_of_a_reliability_diagram() -> None:
    rows = [
        {"low": 0.0, "high": 0.5, "examples": 0, "confidence": 0.0, "accuracy": 0.0},
        {"low": 0.5, "high": 1.0, "examples": 8, "confidence": 0.7, "accuracy": 0.75},
    ]
    (bar,) = reliability(rows)
    assert (bar.x, bar.y, bar.height, bar.count) == (WIDTH / 2, HEIGHT / 4, HEIGHT * 0.75, 8)
    assert bar.label == "50% to 100%"
