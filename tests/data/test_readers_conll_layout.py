"""Comments, CoNLL-U, tabs and names in files of CoNLL columns."""

from pathlib import Path

import pytest

from mtl.data.readers.base import Dialect
from mtl.errors import DataError

from .roles import plain, read_words, skipping, write

GERMEVAL = (
    "#\thttp://example.org/1\t[2011-02-03]\n1\tAda\tB-PER\tO\n2\tran\tO\tO\n\n"
    "#\thttp://example.org/2\t[2011-02-04]\n1\tRome\tB-LOC\tO\n\n"
)
MULTICONER = "# id 4f domain=en\nAda _ _ B-PER\nran _ _ O\n\n# id 5a domain=en\nRome _ _ B-LOC\n"
CONLLU = (
    "# sent_id = 1\n# text = Du lac, 10 000 pas\n"
    "1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tDe\tde\tADP\t_\t_\t3\tcase\t_\t_\n"
    "2\tle\tle\tDET\t_\t_\t3\tdet\t_\t_\n"
    "3\tlac\tlac\tNOUN\t_\t_\t0\troot\t_\tSpaceAfter=No\n"
    "3.1\tva\taller\tVERB\t_\t_\t_\t_\t0:root\t_\n"
    "4\t10 000\t10000\tNUM\t_\t_\t5\tnummod\t_\t_\n"
    "5\tpas\tpas\tNOUN\t_\t_\t3\tconj\t_\t_\n\n"
)
UPOS = {
    "tokens": ["De", "le", "lac", "10 000", "pas"],
    "labels": ["ADP", "DET", "NOUN", "NUM", "NOUN"],
}


def test_comments_of_germeval(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path / "a.tsv", GERMEVAL)
    rows = read_words(path, columns={"tokens": 1, "labels": 2}, format="conll", notes=notes)
    assert plain(rows) == [
        {"tokens": ["Ada", "ran"], "labels": ["B-PER", "O"]},
        {"tokens": ["Rome"], "labels": ["B-LOC"]},
    ]
    assert notes == [f"data: 2 comment lines left out, the first at {path}:1."]


def test_comments_as_wide_as_rows(tmp_path: Path) -> None:
    rows = read_words(write(tmp_path / "a.conll", MULTICONER))
    assert [row["tokens"] for row in rows] == [["Ada", "ran"], ["Rome"]]


@pytest.mark.parametrize("first", ["# O", "#ada B-PER", "#1 O"])
def test_a_word_may_begin_with_a_hash(tmp_path: Path, first: str) -> None:
    path = write(tmp_path / "a.conll", f"{first}\nran O\n\nAda B-PER\n# O\nran O\n")
    rows = read_words(path)
    assert [row["tokens"] for row in rows] == [[first.split()[0], "ran"], ["Ada", "#", "ran"]]


def test_what_comments_begin_with_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "%% a file\n# O\nAda B-PER\n")
    rows = read_words(path, dialect=Dialect(comment="%%"))
    assert rows[0]["tokens"] == ["#", "Ada"]
    path = write(tmp_path / "b.conll", "# X\nAda B-PER\nran O\n")
    assert read_words(path)[0]["tokens"] == ["Ada", "ran"]
    assert read_words(path, dialect=Dialect(comment="none"))[0]["tokens"] == ["#", "Ada", "ran"]
    path = write(tmp_path / "c.conll", "# O\nAda B-PER\nran O\n")
    assert read_words(path, dialect=Dialect(comment="#"))[0]["tokens"] == ["Ada", "ran"]


def test_a_hash_inside_a_sentence_is_a_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "Ada B-PER\n# not a word\nran O\n")
    with pytest.raises(DataError, match=r"a\.conll:2: Expected 2 columns, but got 4"):
        read_words(path)


@pytest.mark.parametrize(
    "columns",
    [
        {"tokens": 1, "labels": 3},
        {"tokens": "tokens", "labels": "ner_tags"},
        {"tokens": "form", "labels": "UPOS"},
    ],
)
def test_conllu(tmp_path: Path, columns: dict[str, str | int]) -> None:
    notes: list[str] = []
    path = write(tmp_path / "a.conllu", CONLLU * 2)
    assert plain(read_words(path, columns=columns, notes=notes)) == [UPOS, UPOS]
    assert f"data: 4 comment lines left out, the first at {path}:1." in notes
    assert f"data: 2 word ranges left out, the first at {path}:3." in notes
    assert f"data: 2 empty nodes left out, the first at {path}:7." in notes
    named = [note for note in notes if "tokens=1, labels=3" in note]
    assert len(named) == isinstance(columns["tokens"], str)


def test_any_column_of_conllu_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", CONLLU)
    rows = read_words(path, columns={"tokens": "lemma", "labels": "deprel"})
    assert (rows[0]["tokens"][3], rows[0]["labels"][3]) == ("10000", "nummod")


def test_numbers_before_words_are_no_words(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path / "a.conll", GERMEVAL)
    rows = read_words(path, columns={"tokens": "tokens", "labels": "labels"}, notes=notes)
    assert [row["tokens"] for row in rows] == [["Ada", "ran"], ["Rome"]]
    assert any("tokens=1, labels=-1" in note for note in notes)


def test_words_of_two_parts_between_tabs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "New York\tB-LOC\nis\tO\nfar\tO\n")
    rows = read_words(path, columns={"tokens": 0, "labels": 1})
    assert plain(rows) == [{"tokens": ["New York", "is", "far"], "labels": ["B-LOC", "O", "O"]}]


def test_words_of_two_parts_between_blanks_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "is O\n" * 40 + "New York B-LOC\n")
    with pytest.raises(DataError, match=r"a\.conll:41: Expected 2 columns, but got 3"):
        read_words(path, columns={"tokens": 0, "labels": 1})


def test_an_empty_word_between_tabs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "Ada\tB-PER\n\tO\nran\tO\n\nso\tO\n")
    with pytest.raises(DataError, match=r"a\.conll:2: Expected a word.* column 0 is empty"):
        read_words(path)
    assert len(read_words(path, bad_rows=skipping())) == 1


def test_another_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "New York|B-LOC\nis|O\n")
    rows = read_words(path, dialect=Dialect(delimiter="pipe"))
    assert rows[0]["tokens"] == ["New York", "is"]


@pytest.mark.parametrize("names", ["word pos tag", "Token POS NER", "# id 1\ntoken pos label"])
def test_a_line_of_names_is_no_word(tmp_path: Path, names: str) -> None:
    path = write(tmp_path / "a.conll", f"{names}\nAda NNP B-PER\nran VBD O\n")
    notes: list[str] = []
    rows = read_words(path, notes=notes)
    assert rows[0]["tokens"] == ["Ada", "ran"]
    assert any("names" in note and "data.header" in note for note in notes)
    assert read_words(path, header=False)[0]["tokens"][1:] == ["Ada", "ran"]


def test_columns_by_the_names_of_the_first_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "word pos tag\nAda NNP B-PER\nran VBD O\n")
    rows = read_words(path, columns={"tokens": "word", "labels": "pos"})
    assert rows[0]["labels"] == ["NNP", "VBD"]


def test_the_odd_line_is_blamed_though_it_is_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "Ada NNP B-PER\nran O\nso O\n\nRome B-LOC\n")
    with pytest.raises(DataError, match=r"a\.conll:1: Expected 2 columns, but got 3"):
        read_words(path)


def test_a_hash_begins_a_word_whose_tag_no_other_word_has(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "#Malmö B-TAG\nwins O\n\n# see page 7\n#Lund B-TAG\nran O\n")
    notes: list[str] = []
    rows = read_words(path, notes=notes)
    assert [row["tokens"] for row in rows] == [["#Malmö", "wins"], ["#Lund", "ran"]]
    assert notes == [f"data: 1 comment line left out, at {path}:4."]
