"""What charts draw: places and sizes in their own units, and the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 360, 150
"""Of a chart's plane; text beside it is not scaled with it on a narrow screen."""
BINS = 24
REST = 0.99
"""The share of values that the bins of a histogram are made for; the last one has the rest, too."""


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    label: str
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """How often values fall into ranges."""

    bars: list[Bar]
    most: int
    """The count of the highest bar."""
    ends: tuple[str, str]
    """What stands below the first and the last bar."""
    mark: float | None = None
    """Where a limit is on the horizontal axis, if it is inside."""


def histogram(values: npt.NDArray[np.integer], limit: int | None = None) -> Histogram:
    """Return the histogram of whole numbers.

    Args:
        values: (n,), one or more.
        limit: A value to mark.
    """
    low, high = int(values.min()), int(np.quantile(values, REST, method="higher"))
    step = max(1, math.ceil((high - low + 1) / BINS))
    count = (high - low) // step + 1
    places = np.minimum((values - low) // step, count - 1)
    counts = np.bincount(places, minlength=count).tolist()
    most, width = max(counts), WIDTH / count
    longest = int(values.max())
    bars = []
    for at, found in enumerate(counts):
        start = low + at * step
        end = longest if at == count - 1 else start + step - 1
        height = HEIGHT * found / most
        label = f"{start:,}" if start == end else f"{start:,} to {end:,}"
        bars.append(Bar(label, found, at * width, HEIGHT - height, width * 0.92, height))
    last = f"{longest:,}" if longest < low + count * step else f"{low + (count - 1) * step:,}+"
    inside = limit is not None and low <= limit < low + count * step
    mark = (limit - low + 1) / step * width if inside and limit is not None else None
    return Histogram(bars, most, (f"{low:,}", last), mark)


@dataclass(frozen=True)
class Cell:
    """A number of a matrix, and how strongly it is colored, from 0 to 1."""

    text: str
    strength: float
    title: str = ""


@dataclass(frozen=True)
class Matrix:
    """Numbers in rows and columns, the highest of which are colored most."""

    rows: list[str]
    columns: list[str]
    cells: list[list[Cell | None]]


def matrix(
    rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int | None]]
) -> Matrix:
    """Return counts as a matrix; a cell without one stays empty. Color follows the logarithm."""
    most = max((n for row in counts for n in row if n), default=1)
    cells = [
        [None if n is None else Cell(f"{n:,}", math.log1p(n) / math.log1p(most)) for n in row]
        for row in counts
    ]
    return Matrix(list(rows), list(columns), cells)


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    style: int
    """Which of the colors and dashes it has."""
    path: str
    values: list[tuple[int, float]]


@dataclass(frozen=True)
class Lines:
    """Curves over steps."""

    lines: list[Line]
    low: float
    high: float
    first: int
    last: int
    left_out: int = 0
    """Curves that are not drawn."""
    zero: float | None = None
    """Where 0 is on the vertical axis, if it is inside."""


STYLES = 8
"""Curves that can be told apart."""
POINTS = 200
"""Of a curve, evenly thinned."""


def lines(
    curves: Mapping[str, Sequence[tuple[int, float]]], *, with_zero: bool = False
) -> Lines | None:
    """Return curves of finite values; None where there are none.

    Args:
        curves: Steps and values by name.
        with_zero: Whether 0 is to be on the axis, whatever the values are.
    """
    finite = {
        name: [(step, value) for step, value in curve if math.isfinite(value)]
        for name, curve in curves.items()
    }
    drawn = {name: _thinned(curve) for name, curve in finite.items() if curve}
    if not drawn:
        return None
    chosen = dict(list(drawn.items())[:STYLES])
    points = [point for curve in chosen.values() for point in curve]
    first, last = min(s for s, _ in points), max(s for s, _ in points)
    low, high = _range([value for _, value in points] + [0.0] * with_zero)

    def place(step: int, value: float) -> str:
        x = WIDTH * (step - first) / max(last - first, 1)
        return f"{x:.1f},{HEIGHT * (high - value) / (high - low):.1f}"

    made = [
        Line(name, style, " ".join(place(*point) for point in curve), curve)
        for style, (name, curve) in enumerate(chosen.items())
    ]
    zero = HEIGHT * high / (high - low) if low < 0 < high or with_zero else None
    return Lines(made, low, high, first, last, len(drawn) - len(chosen), zero)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis; equal values have room on both sides, shares that of 0 to 1."""
    low, high = min(values), max(values)
    if low < high:
        return low, high
    return (0.0, 1.0) if 0 <= low <= 1 else (low - abs(low) / 2, low + abs(low) / 2)


def reliability(rows: Sequence[Mapping[str, float]]) -> list[Bar]:
    """Return a bar for each bin of confidence with answers: how many of them are right.

    Args:
        rows: With ``low``, ``high``, ``examples``, ``confidence`` and ``accuracy``.
    """
    return [
        Bar(
            f"{row['low']:.0%} to {row['high']:.0%}",
            int(row["examples"]),
            row["low"] * WIDTH,
            HEIGHT * (1 - row["accuracy"]),
            (row["high"] - row["low"]) * WIDTH * 0.92,
            row["accuracy"] * HEIGHT,
        )
        for row in rows
        if row["examples"]
    ]


def _thinned(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    stride = -(-len(curve) // POINTS)
    kept = list(curve[::stride])
    return kept if kept[-1] == curve[-1] else [*kept, curve[-1]]
