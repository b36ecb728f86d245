import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.errors import ConfigError, DataError
from tests.properties import max_examples

from .roles import CLASSES, plain, read_classes, skipping, write

NUMBERS = {"text": 0, "label": 1}


def test_quoted_newlines_keep_their_lines(tmp_path: Path) -> None:
    content = 'id,text,label\r\n1,"two\nlines, ""quoted""",pos\r\n\r\n2,plain,neg\r\n'
    rows = read_classes(write(tmp_path / "a.csv", content))
    assert plain(rows) == [
        {"text": 'two\nlines, "quoted"', "label": "pos"},
        {"text": "plain", "label": "neg"},
    ]
    assert [row["_line"] for row in rows] == [2, 5]


def test_header_is_guessed_from_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\ngood,pos\n")
    assert len(read_classes(path)) == 1
    found = plain(read_classes(path, columns=NUMBERS, header=False))
    assert found[0] == {"text": "text", "label": "label"}
    assert plain(read_classes(path, columns=NUMBERS, header=True)) == plain(read_classes(path))
    with pytest.raises(ConfigError, match=r"data\.header` to be true where columns have names"):
        read_classes(path, header=False)


def test_an_optional_name_needs_no_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "good\t1\n")
    assert len(read_classes(path, columns={**NUMBERS, "id": "id"})) == 1


def test_missing_column_names_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "texts,label\ngood,pos\n")
    expected = (
        r"a\.csv:1: Expected a column 'text', but found texts, label \(did you mean 'texts'\?\)"
        r".*no header.*by number"
    )
    with pytest.raises(DataError, match=expected):
        read_classes(path)


@pytest.mark.parametrize(("row", "width"), [("good", 1), ("good,but late,pos", 3)])
def test_rows_of_another_width(tmp_path: Path, row: str, width: int) -> None:
    path = write(tmp_path / "a.csv", f"text,label\nfine,pos\n{row}\n")
    with pytest.raises(DataError, match=rf"a\.csv:3: Expected 2 columns, but got {width}\."):
        read_classes(path)
    bad_rows = skipping()
    assert len(read_classes(path, bad_rows=bad_rows)) == 1
    assert bad_rows.rejects[0].raw == row.split(",")


def test_a_number_beyond_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "good\t1\n")
    with pytest.raises(DataError, match=r"a\.tsv:1: Expected 4 columns, but got 2"):
        read_classes(path, columns={"text": 0, "label": 3})


def test_tsv_with_bare_quotation_marks(tmp_path: Path) -> None:
    content = '"good" they said\t1\n" unfinished\t0\nit is 5" long\t0\n'
    rows = read_classes(write(tmp_path / "a.tsv", content), columns=NUMBERS)
    assert [row["text"] for row in rows] == ['"good" they said', '" unfinished', 'it is 5" long']


def test_tsv_with_quoted_cells(tmp_path: Path) -> None:
    content = 'text\tlabel\n"tab\there\nand ""line"""\tpos\nbare\tneg\n'
    rows = read_classes(write(tmp_path / "a.tsv", content))
    assert [row["text"] for row in rows] == ['tab\there\nand "line"', "bare"]
    assert [row["_line"] for row in rows] == [2, 4]


def test_a_lone_carriage_return_stays_in_its_tsv_row(tmp_path: Path) -> None:
    rows = read_classes(write(tmp_path / "a.tsv", "a\rb\t1\r\nc\t0\r\n"), columns=NUMBERS)
    assert plain(rows) == [{"text": "a\rb", "label": "1"}, {"text": "c", "label": "0"}]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\ufeff\0"), min_size=1).filter(
    str.strip
)


@max_examples(60)
@given(rows=st.lists(st.tuples(cells, st.sampled_from(["pos", "neg"])), min_size=1, max_size=6))
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_what_the_csv_module_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, delimiter: str, rows: list[tuple[str, str]]
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([("text", "label"), *rows])
    path = tmp_path_factory.mktemp("csv") / ("a.csv" if delimiter == "," else "a.tsv")
    found = read_classes(write(path, out.getvalue()), format=path.suffix[1:])
    assert [(row["text"], row["label"]) for row in found] == rows


@pytest.mark.skipif("MTL_DATA" not in os.environ, reason="needs real corpora")
@pytest.mark.parametrize(("name", "size"), [("train", 6_920), ("dev", 872), ("test", 1_821)])
def test_sst2_has_its_published_size(name: str, size: int) -> None:
    path = Path(os.environ["MTL_DATA"]) / "sst2" / f"{name}.tsv"
    rows = read_classes(path, columns=NUMBERS, roles=CLASSES)
    assert len(rows) == size
    assert set(rows.column("label")) == {"0", "1"}


def test_columns_of_one_name_are_said(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path / "a.csv", "text,label,label\na b,pos,x\nc d,neg,y\n")
    rows = read_classes(path, notes=notes)
    assert [row["label"] for row in rows] == ["pos", "neg"]
    assert notes == [f"data: 2 columns are called 'label', and the first is read in {path}."]
