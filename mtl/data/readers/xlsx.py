"""Excel workbooks: the first sheet as a table, with or without a line of names.

Needs openpyxl, ``pip install 'mtl[xlsx]'``. A cell of a formula has the value that the workbook was
saved with.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import BinaryIO

from mtl.data.readers.base import FORMATS, Cells, Format, Source
from mtl.data.readers.delimited import cells_of
from mtl.data.readers.quoting import Row
from mtl.errors import DataError, Place, Problem

LARGEST = 200_000_000
"""Bytes that a workbook, which is a zip archive, may become when it is unpacked."""


def read_xlsx(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a workbook's first sheet.

    Raises:
        DataError: If it is no workbook, is damaged or a zip bomb, or openpyxl is missing.
    """
    yield from cells_of(source, _rows(source))


def column_names(source: Source) -> list[str]:
    """Return the cells of the first row that is not blank."""
    rows = (cells for _, cells in _rows(source) if any(cell.strip() for cell in cells))
    return [cell.strip() for cell in next(rows, [])]


def _rows(source: Source) -> Iterator[Row]:
    """Yield the rows of the first sheet down to the last that is not blank."""
    _check_size(source)
    blank: list[Row] = []
    with source.path.open("rb") as file:
        rows = _sheet(source, file)
        while True:
            try:
                number, cells = next(rows)
            except StopIteration:
                return
            except DataError:
                raise
            except Exception as problem:  # whatever openpyxl makes of what it cannot read
                raise _wrong(source, f"it cannot be read: {_line(problem)}") from None
            blank.append((number, [_text(cell) for cell in cells]))
            if any(cell is not None for cell in cells):
                yield from blank
                blank.clear()


def _sheet(source: Source, file: BinaryIO) -> Iterator[tuple[int, Sequence[object]]]:
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise DataError(
            Problem(
                Place(source.name),
                "the package openpyxl, which reads Excel workbooks",
                "it is not installed",
                "Run `pip install 'mtl[xlsx]'`, or save the sheet as CSV.",
            )
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # On styles and the like, which are no data.
        sheets = openpyxl.load_workbook(file, read_only=True, data_only=True).worksheets
    if not sheets:
        raise _wrong(source, "it has no sheet of cells")
    if len(sheets) > 1:
        source.say(f"the first of {len(sheets)} sheets, '{sheets[0].title}', is read")
    yield from enumerate(sheets[0].iter_rows(values_only=True), start=1)


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200].rstrip(".") or type(problem).__name__


def _check_size(source: Source) -> None:
    try:
        with zipfile.ZipFile(source.path) as archive:
            size = sum(info.file_size for info in archive.infolist())
    except (OSError, zipfile.BadZipFile) as problem:
        raise _wrong(source, f"got: {_line(problem)}") from None
    if size > LARGEST:
        raise _wrong(source, f"it becomes {size:,} bytes when it is unpacked")


def _wrong(source: Source, found: str) -> DataError:
    advice = "Save the sheet as CSV, and name that file."
    return DataError(Problem(Place(source.name), "an Excel workbook (.xlsx)", found, advice))


def _text(cell: object) -> str:
    """Return a cell as its text: whole numbers without a point, truth values in small letters."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, datetime | date | time) else str(cell)


FORMATS.register("xlsx")(Format(read_xlsx, (".xlsx", ".xlsm")))
