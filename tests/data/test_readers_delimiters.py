import csv
import io
from pathlib import Path

import pytest

from mtl.data.readers.base import Dialect, Source
from mtl.data.readers.delimited import read_delimited
from mtl.errors import ConfigError, DataError

from .roles import CLASSES, plain, read_classes, skipping, write

NUMBERS = {"text": 0, "label": 1}
ROWS = [("Warm, dry; and | bright", "pos"), ("Cold", "neg"), ('It "rained"', "neg")]


def written(rows: list[tuple[str, str]], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", ""), (";", "semicolons"), ("\t", "tabs"), ("|", "pipes")]
)
def test_a_csv_file_shows_its_delimiter(
    tmp_path: Path, delimiter: str, name: str, header: bool
) -> None:
    content = written([*([("text", "label")] if header else []), *ROWS], delimiter)
    notes: list[str] = []
    columns = {"text": "text", "label": "label"} if header else NUMBERS
    rows = read_classes(write(tmp_path / "a.csv", content), columns=columns, notes=notes)
    assert [(row["text"], row["label"]) for row in rows] == ROWS
    said = [note for note in notes if "apart by" in note]
    assert len(said) == bool(name)
    assert all(name in note and "data.delimiter" in note for note in said)


def test_commas_in_a_first_row_are_no_delimiters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Cold, wet;neg\nDry;pos\n")
    assert plain(read_classes(path, columns=NUMBERS))[0] == {"text": "Cold, wet", "label": "neg"}


def test_a_column_of_texts_is_not_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '"One; two"\n"Three; four"\n')
    rows = read_classes(path, columns={"text": 0}, roles=CLASSES[:1])
    assert [row["text"] for row in rows] == ["One; two", "Three; four"]


@pytest.mark.parametrize("said", ["semicolon", "Semicolon", ";"])
def test_a_delimiter_by_name_or_as_it_is(tmp_path: Path, said: str) -> None:
    path = write(tmp_path / "a.txt", "text;label\nDry;pos\n")
    notes: list[str] = []
    rows = read_classes(path, dialect=Dialect(delimiter=said), notes=notes)
    assert plain(rows) == [{"text": "Dry", "label": "pos"}]
    assert not notes


def test_a_delimiter_of_several_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "It ran: fast ::: pos\nSlow ::: neg\n")
    rows = read_classes(path, columns=NUMBERS, dialect=Dialect(delimiter=" ::: "))
    assert [row["text"] for row in rows] == ["It ran: fast", "Slow"]


def test_a_text_may_hold_the_delimiter_that_was_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Up.@pos\nAsk ann@mail.example or bo@mail.example@neg\n")
    notes: list[str] = []
    rows = read_classes(path, columns=NUMBERS, dialect=Dialect(delimiter="@"), notes=notes)
    assert [(r["text"], r["label"]) for r in rows] == [
        ("Up.", "pos"),
        ("Ask ann@mail.example or bo@mail.example", "neg"),
    ]
    assert notes == [f"data: 1 text that holds the delimiter read as a whole, at {path}:2."]


def test_the_advice_on_the_delimiter_works(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Up.@pos\nDown.@neg\n")
    with pytest.raises(DataError, match=r"a\.txt:1: .*apart by tabs; `data\.delimiter`"):
        read_classes(path, columns=NUMBERS)
    assert len(read_classes(path, columns=NUMBERS, dialect=Dialect(delimiter="@"))) == 2


def test_a_row_of_another_delimiter_is_a_bad_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text;label\nDry;pos\nWet,neg\n")
    with pytest.raises(DataError, match=r"a\.csv:3: Expected 2 columns.*apart by semicolons"):
        read_classes(path)


@pytest.mark.parametrize("said", ["", '"', "a\nb"])
def test_what_is_no_delimiter(tmp_path: Path, said: str) -> None:
    path = write(tmp_path / "a.csv", "text,label\nDry,pos\n")
    with pytest.raises(ConfigError, match=r"data\.delimiter` to be what stands between"):
        read_classes(path, dialect=Dialect(delimiter=said))


def test_a_format_without_delimiters_refuses_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "Dry", "label": "pos"}\n')
    with pytest.raises(ConfigError, match=r"data\.delimiter` .*csv.*tsv.* read as jsonl"):
        read_classes(path, dialect=Dialect(delimiter=";"))


@pytest.mark.parametrize("first", ["text,label", "Sentence,Sentiment", "0,1", ",text,label"])
def test_names_over_columns_by_number_are_no_row(tmp_path: Path, first: str) -> None:
    extra = first.startswith(",")
    body = "0,Dry,pos\n" if extra else "Dry,pos\n"
    columns = {"text": 1, "label": 2} if extra else NUMBERS
    path = write(tmp_path / "a.csv", f"{first}\n{body}")
    notes: list[str] = []
    rows = read_classes(path, columns=columns, notes=notes)
    assert [(row["text"], row["_line"]) for row in rows] == [("Dry", 2)]
    assert "line 1" in notes[0]
    assert "data.header" in notes[0]


@pytest.mark.parametrize("first", ["tweet_content,label", "text,is_toxic"])
def test_what_may_be_names_is_asked(tmp_path: Path, first: str) -> None:
    path = write(tmp_path / "a.csv", f"{first}\nDry,pos\n")
    with pytest.raises(DataError, match=r"a\.csv:1: .*`data\.header=true`"):
        read_classes(path, columns=NUMBERS)
    assert len(read_classes(path, columns=NUMBERS, header=True)) == 1
    assert len(read_classes(path, columns=NUMBERS, header=False)) == 2


@pytest.mark.parametrize("first", ["What is a label?,question", "Yes,pos", "8,pos"])
def test_rows_are_no_names(tmp_path: Path, first: str) -> None:
    path = write(tmp_path / "a.csv", f"{first}\nDry,pos\n")
    assert len(read_classes(path, columns=NUMBERS)) == 2


def test_names_of_digits_need_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "2023,2024\nDry,pos\n")
    with pytest.raises(ConfigError, match=r"\"columns\.text='2023'\""):
        read_classes(path, columns={"text": 2023, "label": 2024})
    rows = read_classes(path, columns={"text": "2023", "label": "2024"})
    assert plain(rows) == [{"text": "Dry", "label": "pos"}]


def test_blank_rows_are_counted(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path / "a.csv", "text,label\nDry,pos\n\n,\n \t,\nWet,neg\n\n\n")
    assert len(read_classes(path, notes=notes)) == 2
    assert notes == [f"data: 3 blank rows left out, the first at {path}:3."]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_blank_rows_can_be_kept(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, 'text\nDry\n""\n\nWet\n\n')
    bad_rows = skipping()
    keep = Dialect(keep_blank=True)
    rows = read_classes(
        path, columns={"text": "text"}, roles=CLASSES[:1], bad_rows=bad_rows, dialect=keep
    )
    assert [row["_line"] for row in rows] == [2, 5]
    assert [reject.line for reject in bad_rows.rejects] == [3, 4]


def test_the_option_is_named_where_a_command_line_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text;label\nDry;pos\nWet,neg\n")
    source = Source(path, CLASSES, {"text": "text", "label": "label"}, section="")
    with pytest.raises(DataError, match=r"apart by semicolons; `--delimiter` says otherwise\.$"):
        list(read_delimited("csv", source))
    assert source.notes.sentences("") == [f"cells are taken to be apart by semicolons in {path}."]
