import os
from pathlib import Path

import pytest

from mtl.data.rows import Role, where
from mtl.errors import ConfigError, DataError

from .roles import CLASSES, NER, plain, read_words, skipping, write

TWO = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n \t\nPeter NNP I-NP I-PER\n"


def test_sentences_documents_and_lines(tmp_path: Path) -> None:
    rows = read_words(write(tmp_path / "a.conll", TWO), split="train")
    assert plain(rows) == [
        {"tokens": ["EU", "rejects"], "labels": ["I-ORG", "O"]},
        {"tokens": ["Peter"], "labels": ["I-PER"]},
    ]
    assert [row["_line"] for row in rows] == [3, 6]
    assert [row["_id"] for row in rows] == ["train-0", "train-1"]
    assert where(rows[1]) == f"{tmp_path / 'a.conll'}:6"


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.tsv", "eng.train", "a"])
@pytest.mark.parametrize("separator", [" ", "\t", "  \t"])
def test_endings_and_separators(tmp_path: Path, name: str, separator: str) -> None:
    path = write(tmp_path / name, TWO.replace(" ", separator))
    assert [row["tokens"] for row in read_words(path)] == [["EU", "rejects"], ["Peter"]]


@pytest.mark.parametrize(
    ("column", "found"),
    [(0, "EU"), (1, "NNP"), (3, "I-ORG"), (-1, "I-ORG"), (-2, "I-NP"), (-4, "EU")],
)
def test_any_column_number(tmp_path: Path, column: int, found: str) -> None:
    rows = read_words(write(tmp_path / "a.conll", TWO), columns={"tokens": 0, "labels": column})
    assert rows[0]["labels"][0] == found


def test_names_fall_back_to_first_and_last_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", TWO)
    columns = {"tokens": "tokens", "labels": "ner_tags", "text": "text"}
    roles = (*NER, Role("text", "text", required=False))
    rows = read_words(path, columns=columns, roles=roles)
    assert plain(rows) == plain(read_words(path))


def test_a_name_for_another_kind_of_role_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", TWO)
    with pytest.raises(ConfigError, match=r"columns\.text` to be a column's number.*a\.conll"):
        read_words(path, columns={"text": "text", "label": 1}, roles=CLASSES)


def test_header_line_is_left_out_when_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "word tag\nEU B-ORG\n")
    assert read_words(path, header=True)[0]["tokens"] == ["EU"]


def test_no_break_space_is_a_word(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "1\u00a0000 B-X\n\u00a0 O\n")
    assert read_words(path)[0]["tokens"] == ["1\u00a0000", "\u00a0"]


@pytest.mark.parametrize("line", ["rejects", "rejects VBZ O", "rejects VBZ I-VP O O"])
def test_a_row_of_another_width(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "a.conll", TWO.replace("rejects VBZ I-VP O", line))
    with pytest.raises(
        DataError, match=rf"a\.conll:4: Expected 4 columns, but got {line.count(' ') + 1}\."
    ):
        read_words(path)
    bad_rows = skipping()
    rows = read_words(path, bad_rows=bad_rows)
    assert [row["tokens"] for row in rows] == [["Peter"]]
    found = [(r.line, r.raw) for r in bad_rows.rejects]
    assert found == [(4, ["EU NNP I-NP I-ORG", line])]


def test_width_may_vary_when_columns_count_from_the_front(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "EU B-ORG x\nasks O\n")
    assert read_words(path, columns={"tokens": 0, "labels": 1})[0]["labels"] == ["B-ORG", "O"]
    with pytest.raises(DataError, match=r":2: Expected 3 columns, but got 2"):
        read_words(path, columns={"tokens": 0, "labels": 2})


def test_inputs_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "EU\nasks\n\nPeter\n")
    assert plain(read_words(path, require="inputs")) == [
        {"tokens": ["EU", "asks"]},
        {"tokens": ["Peter"]},
    ]


def test_sentences_between_tabs_are_tsv(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "EU asks\tB-ORG O\nPeter\tB-PER\n")
    assert plain(read_words(path)) == [
        {"tokens": ["EU", "asks"], "labels": ["B-ORG", "O"]},
        {"tokens": ["Peter"], "labels": ["B-PER"]},
    ]


@pytest.mark.skipif("MTL_DATA" not in os.environ, reason="needs real corpora")
@pytest.mark.parametrize(
    ("name", "sentences", "words"),
    [("train", 14_041, 203_621), ("testa", 3_250, 51_362), ("testb", 3_453, 46_435)],
)
def test_conll_2003_has_its_published_size(name: str, sentences: int, words: int) -> None:
    rows = read_words(Path(os.environ["MTL_DATA"]) / "conll2003" / f"eng.{name}")
    assert len(rows) == sentences
    assert sum(map(len, rows.column("tokens"))) == words
