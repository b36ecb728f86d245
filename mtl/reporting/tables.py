"""Tables for the terminal; each takes rows from :mod:`mtl.metrics` and fits 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from mtl.metrics.tables import ConfidenceRow, EntityRow, LabelRow, ThresholdRow, ValueRow


def _table(title: str, first: str, columns: Sequence[str]) -> Table:
    """Return an empty table whose first column gives way, and whose numbers never break."""
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_style="bold", pad_edge=False)
    table.caption_justify = "left"
    table.title_justify = "left"
    table.add_column(first, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def label_table(rows: Sequence[LabelRow], title: str = "") -> Table:
    """Return the layout of scikit-learn's classification report, rates on 0 to 1.

    Args:
        rows: Labels, then the averages, whose names end in ``avg``.
        title: What stands above the table.

    Returns:
        The table; with ``O`` among the labels, its caption says what the micro average is worth.
    """
    table = _table(title, "label", ("precision", "recall", "f1-score", "support"))
    labels = [row for row in rows if not row.label.endswith(" avg")]
    for part in (labels, rows[len(labels) :]):
        for row in part:
            rates = (f"{rate:.4f}" for rate in row[1:4])
            table.add_row(Text(row.label), *rates, f"{row.support:,}")
        table.add_section()
    table.caption = flattery(labels) or None
    return table


def flattery(rows: Sequence[LabelRow]) -> str:
    """Return a sentence on what the micro average counts, or nothing where no label is ``O``."""
    total = sum(row.support for row in rows)
    outside = next((row.support for row in rows if row.label == "O"), 0)
    if not outside:
        return ""
    share = outside / total
    return (
        f"The micro average flatters: {share:.1%} of the tokens are O, so a model that finds no "
        f"entity at all gets {share:.4f}; compare models by entity F1."
    )


def entity_table(rows: Sequence[EntityRow], title: str = "") -> Table:
    """Return the numbers that `conlleval` prints, in percent as it prints them.

    Args:
        rows: The line over all types, then one for each type.
        title: What stands above the table.
    """
    columns = ("precision", "recall", "F1", "correct", "found", "gold")
    table = _table(title, "entity", columns)
    for position, row in enumerate(rows):
        rates = (f"{100 * rate:.2f}" for rate in row[1:4])
        counts = (f"{count:,}" for count in row[4:])
        table.add_row(Text(row.type), *rates, *counts, end_section=position == 0)
    table.caption = "An entity is correct when its type and all of its words are (conlleval)."
    return table


def confidence_table(rows: Sequence[ConfidenceRow], title: str = "") -> Table:
    """Return how often decisions of each probability are right, a line a bin."""
    table = _table(title, "probability", ("decisions", "mean", "right"))
    for row in rows:
        shown = f"{row.low:.2f} to {row.high:.2f}"
        table.add_row(shown, f"{row.examples:,}", f"{row.confidence:.3f}", f"{row.accuracy:.3f}")
    table.caption = "Probabilities mean what they say where the last two columns are equal."
    return table


def threshold_table(rows: Sequence[ThresholdRow], title: str = "") -> Table:
    """Return each label's best threshold here, with its F1 there and at a half."""
    table = _table(title, "label", ("threshold", "f1", "f1 at 0.5", "support"))
    for row in rows:
        rates = (f"{value:.3f}" for value in row[1:4])
        table.add_row(Text(row.label), *rates, f"{row.support:,}")
    table.caption = "The best thresholds of these very texts: what another choice would bring."
    return table


def value_table(rows: Sequence[ValueRow], title: str = "") -> Table:
    """Return names and numbers: integers whole, the rest to four decimals."""
    table = _table(title, "metric", ("value",))
    for name, value in rows:
        table.add_row(Text(name), f"{value:,}" if isinstance(value, int) else f"{value:.4f}")
    return table
