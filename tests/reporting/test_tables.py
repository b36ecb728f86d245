import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from mtl.metrics.tables import ConfidenceRow, EntityRow, LabelRow, ThresholdRow, ValueRow
from mtl.reporting.tables import (
    confidence_table,
    entity_table,
    flattery,
    label_table,
    threshold_table,
    value_table,
)

LABELS = [
    LabelRow("B-LOC", 0.5, 0.25, 1 / 3, 20),
    LabelRow("O", 0.9, 1.0, 0.947368, 980),
    LabelRow("micro avg", 0.9, 0.9, 0.9, 1000),
    LabelRow("macro avg", 0.7, 0.625, 0.64, 1000),
]
ENTITIES = [
    EntityRow("overall", 0.6095, 0.9075, 0.7292, 1815, 2978, 2000),
    EntityRow("LOC", 0.6509, 0.9293, 0.7656, 552, 848, 594),
]


def show(table: Table, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= width
    return text


def test_label_table_is_laid_out_as_sklearn_does() -> None:
    lines = [line.split() for line in show(label_table(LABELS, "Tokens")).splitlines()]
    assert ["label", "precision", "recall", "f1-score", "support"] in lines
    assert ["B-LOC", "0.5000", "0.2500", "0.3333", "20"] in lines
    assert ["micro", "avg", "0.9000", "0.9000", "0.9000", "1,000"] in lines


def test_the_caption_says_what_the_micro_average_is_worth() -> None:
    assert "98.0% of the tokens are O" in flattery(LABELS[:2])
    assert "gets 0.9800" in " ".join(show(label_table(LABELS)).split())
    assert flattery([LabelRow("positive", 1, 1, 1, 5)]) == ""


def test_entity_table_is_in_percent() -> None:
    lines = [line.split() for line in show(entity_table(ENTITIES)).splitlines()]
    assert ["overall", "60.95", "90.75", "72.92", "1,815", "2,978", "2,000"] in lines
    assert ["LOC", "65.09", "92.93", "76.56", "552", "848", "594"] in lines


def test_calibration_and_thresholds() -> None:
    lines = [
        line.split()
        for line in show(
            confidence_table([ConfidenceRow(0.6, 2 / 3, 1200, 0.63, 0.5)])
        ).splitlines()
    ]
    assert ["0.60", "to", "0.67", "1,200", "0.630", "0.500"] in lines
    lines = [
        line.split()
        for line in show(threshold_table([ThresholdRow("joy", 0.31, 0.5, 0.4, 12)])).splitlines()
    ]
    assert ["joy", "0.310", "0.500", "0.400", "12"] in lines


def test_values() -> None:
    lines = show(value_table([ValueRow("rmse", 0.5), ValueRow("n", 1200), ValueRow("m", 0.0)]))
    assert [line.split() for line in lines.splitlines() if line.split()][-3:] == [
        ["rmse", "0.5000"],
        ["n", "1,200"],
        ["m", "0.0000"],
    ]


@pytest.mark.parametrize("name", ["x" * 200, "[bold]LOC[/bold]", "日本" * 60])
def test_strange_names_fit_and_are_shown_as_they_are(name: str) -> None:
    big = 123_456_789
    for table in (
        label_table([LabelRow(name, 1.0, 1.0, 1.0, big), LabelRow("O", 1.0, 1.0, 1.0, big)]),
        entity_table([EntityRow(name, 1.0, 1.0, 1.0, big, big, big)] * 2),
        value_table([ValueRow(name, 10**9)]),
    ):
        text = show(table)
        assert "123,456,789" in text or "1,000,000,000" in text
        assert name[:3] in text
