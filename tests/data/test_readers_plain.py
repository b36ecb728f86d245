"""Plain text: a document a block."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.data.readers import read_split
from mtl.data.readers.base import Source
from mtl.data.readers.plain import read_text
from mtl.data.rows import Role, Rows
from mtl.errors import ConfigError, DataError

from .roles import CLASSES, plain, read_classes, read_words, write

TEXT = (Role("text", "text"),)
TWO = "\n \nRain had closed\nthe north road.\n\t\n\n  The library\nwill open.  \n"


def read(path: Path, column: int | str = "text", **options: object) -> Rows:
    return read_split(path, columns={"text": column}, roles=TEXT, **options)  # type: ignore[arg-type]


def test_blocks_and_their_lines(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.txt", TWO))
    assert plain(rows) == [
        {"text": "Rain had closed\nthe north road."},
        {"text": "  The library\nwill open.  "},
    ]
    assert [row["_line"] for row in rows] == [3, 7]


@pytest.mark.parametrize("column", ["text", "body", 0, -1])
def test_its_one_column_goes_by_any_name(tmp_path: Path, column: int | str) -> None:
    assert len(read(write(tmp_path / "a.txt", TWO), column)) == 2


def test_windows_line_ends_and_a_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbf" + TWO.replace("\n", "\r\n").encode())
    assert [row["text"] for row in read(path)] == [
        "Rain had closed\nthe north road.",
        "  The library\nwill open.  ",
    ]


def test_utf_16_and_latin_1(tmp_path: Path) -> None:
    for name in ("utf-16", "latin-1"):
        path = write(tmp_path / f"{name}.txt", "Où ?\n\nLà.\n".encode(name))
        encoding = "utf-8" if name == "utf-16" else name
        assert [row["text"] for row in read(path, encoding=encoding)] == ["Où ?", "Là."]


def test_undecodable_bytes_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"Rain.\n\nL\xe0.\n")
    with pytest.raises(DataError, match=r"a\.txt:3: Expected utf-8 text"):
        read(path)


def test_white_space_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="to have rows, but found none"):
        read(write(tmp_path / "a.txt", " \n\n"))


def test_only_what_is_nothing_but_text_is_read_so(tmp_path: Path) -> None:
    """Words are columns, labelled texts are cells: the ending says nothing to them."""
    words = write(tmp_path / "words.txt", "EU B-ORG\nrejects O\n\nPeter B-PER\n")
    assert [row["tokens"] for row in read_words(words)] == [["EU", "rejects"], ["Peter"]]
    texts = write(tmp_path / "texts.txt", "text\tlabel\nRain.\tno\n")
    assert plain(read_classes(texts)) == [{"text": "Rain.", "label": "no"}]
    assert len(read(write(tmp_path / "a.tsv", "text\nRain\nSun\n"))) == 2
    assert len(read(write(tmp_path / "a.tsv", "text\nRain\nSun\n"), format="text")) == 1


def test_there_is_no_second_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", TWO)
    with pytest.raises(ConfigError, match=r"columns\.text` .*plain text, but got 1"):
        read(path, 1)
    with pytest.raises(ConfigError, match=r"columns\.label` .*a\.txt is read as plain text"):
        read_split(path, columns={"text": 0, "label": 1}, roles=CLASSES, format="text")


PARAGRAPH = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@given(st.lists(st.lists(PARAGRAPH, min_size=1), min_size=1), st.integers(1, 3))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[str]], gap: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    blocks = ["\n".join(lines) for lines in documents]
    path.write_text(("\n" * (gap + 1)).join(blocks), encoding="utf-8", newline="")
    found = list(read_text(Source(path, (), {})))
    assert [cells[0] for _, cells in found] == blocks
    lines = path.read_text(encoding="utf-8").split("\n")
    assert [lines[number - 1] for number, _ in found] == [d[0] for d in documents]
