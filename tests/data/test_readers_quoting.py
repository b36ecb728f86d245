"""Quotation marks that do not close, and which files have cells in marks."""

import csv
import io
from pathlib import Path

import pytest

from mtl.data.readers.base import Dialect
from mtl.errors import DataError

from .roles import plain, read_classes, skipping, write

MANY = 6_000


@pytest.mark.parametrize(
    ("rows", "line", "what"),
    [
        (["Dry,pos", '"Wet,neg', "Cold,neg"], 3, "closed nowhere"),
        (["Dry,pos", '"Wet,neg', "Cold,neg", '"Hot, too",pos'], 3, "in the middle of line 5"),
        (["Dry,pos", '"two', 'lines",pos', 'So,"neg'], 5, "closed nowhere"),
        (["Dry,pos", '"two', 'lines","neg', "Cold,neg"], 4, "closed nowhere"),
        (["Dry,pos", '"Wet" and cold,neg'], 3, "closes it on line 3"),
    ],
)
def test_an_open_mark_is_an_error_where_it_opens(
    tmp_path: Path, rows: list[str], line: int, what: str
) -> None:
    path = write(tmp_path / "a.csv", "\n".join(["text,label", *rows, ""]))
    with pytest.raises(DataError, match=rf"a\.csv:{line}: .*{what}.*`data\.quoting=false`"):
        read_classes(path)
    read_classes(path, dialect=Dialect(quoting=False), bad_rows=skipping())


def test_a_bad_row_takes_no_other_rows_with_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\nDry,pos\n"Wet,neg\n"Hot, too",pos\nCold,neg\n')
    bad_rows = skipping()
    rows = read_classes(path, bad_rows=bad_rows)
    assert [row["text"] for row in rows] == ["Dry", "Hot, too", "Cold"]
    assert [reject.line for reject in bad_rows.rejects] == [3]


def test_marks_that_stand_for_themselves(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"Wet" and cold,neg\n"Dry,pos\n')
    rows = read_classes(path, dialect=Dialect(quoting=False))
    assert [row["text"] for row in rows] == ['"Wet" and cold', '"Dry']


def tsv(rows: list[tuple[str, str]]) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter="\t", lineterminator="\n").writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("late", ['a "quoted" word', "two\nlines", "a\ttab"])
def test_the_whole_file_tells_whether_cells_are_quoted(tmp_path: Path, late: str) -> None:
    rows = [("text", "label"), *([("Dry", "pos")] * MANY), (late, "neg")]
    found = read_classes(write(tmp_path / "a.tsv", tsv(rows)))
    assert (len(found), found[MANY]["text"]) == (MANY + 1, late)


def test_an_open_mark_late_in_a_quoted_file(tmp_path: Path) -> None:
    good = tsv([("text", "label"), *([('"So", he said', "pos")] * MANY)])
    path = write(tmp_path / "a.tsv", f'{good}"Wet\tneg\nCold\tneg\n')
    with pytest.raises(DataError, match=rf"a\.tsv:{MANY + 2}: .*closed nowhere"):
        read_classes(path)


def test_a_late_bare_mark_in_a_file_of_bare_marks(tmp_path: Path) -> None:
    rows = ["text\tlabel", *['"So" he said\tpos'] * MANY, '"Yes"\tneg', '" Wet\tneg', ""]
    found = read_classes(write(tmp_path / "a.tsv", "\n".join(rows)))
    assert (len(found), found[MANY]["text"]) == (MANY + 2, '"Yes"')


def test_one_short_row_does_not_change_the_dialect(tmp_path: Path) -> None:
    content = tsv([("text", "label"), ('"So", he said', "pos"), ("a\tb", "neg")]) + "short\n"
    bad_rows = skipping()
    found = read_classes(write(tmp_path / "a.tsv", content), bad_rows=bad_rows)
    assert [row["text"] for row in found] == ['"So", he said', "a\tb"]
    assert len(bad_rows.rejects) == 1


def test_a_cell_that_swallows_rows_is_said(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path / "a.csv", 'text,label\n"Wet\na,neg\nb,pos\nc,neg\nCold",neg\n')
    assert len(read_classes(path, notes=notes)) == 1
    assert "quotation mark missing" in notes[0]
    assert f"{path}:2" in notes[0]


@pytest.mark.parametrize("text", ["a" * 131_073, "7" * 5_000, "[" * 10_000, '["' * 5_000])
def test_long_cells(tmp_path: Path, text: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("text", "label"), (text, "pos")])
    rows = read_classes(write(tmp_path / "a.csv", out.getvalue()))
    assert plain(rows) == [{"text": text, "label": "pos"}]
