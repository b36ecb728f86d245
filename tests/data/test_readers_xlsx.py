"""Excel workbooks, as openpyxl writes them."""

from pathlib import Path
from typing import Any

import pytest

from mtl.data.readers import read_split, xlsx
from mtl.data.readers.peek import header
from mtl.errors import DataError

from .roles import CLASSES, plain, read_classes, write

openpyxl = pytest.importorskip("openpyxl")


def book(path: Path, *sheets: Any) -> Path:
    found = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = found.active if not number else found.create_sheet(f"more {number}")
        for cells in rows:
            sheet.append(cells)
    found.save(path)
    return path


def test_a_sheet_with_names(tmp_path: Path) -> None:
    rows = [
        ["id", "text", "label"],
        [1, 'Good, so; "so"\nso', "pos"],
        [2, 2023, 1.0],
        [3, "No", True],
    ]
    path = book(tmp_path / "a.xlsx", rows)
    assert plain(read_classes(path)) == [
        {"text": 'Good, so; "so"\nso', "label": "pos"},
        {"text": "2023", "label": "1"},
        {"text": "No", "label": "true"},
    ]
    assert [row["_line"] for row in read_classes(path)] == [2, 3, 4]


def test_columns_by_number_blank_rows_and_sheets(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["Good", "pos"], [None, None], ["Bad", "neg"]], [["x"]])
    notes: list[str] = []
    rows = read_split(path, columns={"text": 0, "label": 1}, roles=CLASSES, notes=notes)
    assert [row["text"] for row in rows] == ["Good", "Bad"]
    assert any("1 blank row left out" in note for note in notes)
    assert any("first of 2 sheets" in note for note in notes)


def test_the_names_that_predictions_look_at(tmp_path: Path) -> None:
    from mtl.data.readers.base import Source

    path = book(tmp_path / "a.xlsx", [[""], ["text", "label"], ["Good", "pos"]])
    assert header(Source(path, (), {}), "xlsx") == ["text", "label"]


def test_a_missing_column(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["texts", "label"], ["Good", "pos"]])
    with pytest.raises(
        DataError, match=r"a\.xlsx:1: Expected a column 'text'.*did you mean 'texts'"
    ):
        read_classes(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut short", b"text,label\nGood,pos\n"])
def test_no_workbook(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(
        DataError, match=r"a\.xlsx: Expected an Excel workbook.*Save the sheet as CSV"
    ):
        read_classes(write(tmp_path / "a.xlsx", content))


def test_a_workbook_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book(tmp_path / "a.xlsx", [["text", "label"], ["Good", "pos"]])
    monkeypatch.setattr(xlsx, "LARGEST", 100)
    with pytest.raises(DataError, match="when it is unpacked"):
        read_classes(path)
