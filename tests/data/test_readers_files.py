from pathlib import Path

import pytest

from mtl.errors import ConfigError, DataError

from .roles import plain, read_classes, read_words, write

CSV = "text,label\ncafé,naïf\nfine,neg\n"
EXPECTED = [{"text": "café", "label": "naïf"}, {"text": "fine", "label": "neg"}]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_and_line_ends(tmp_path: Path, codec: str, name: str, ends: str) -> None:
    content = CSV.replace(",", "," if name == "a.csv" else "\t").replace("\n", ends)
    assert plain(read_classes(write(tmp_path / name, content.encode(codec)))) == EXPECTED


@pytest.mark.parametrize("codec", ["latin-1", "cp1252", "utf-16-le", "utf-16-be"])
def test_other_encodings_when_said(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "a.csv", CSV.encode(codec))
    assert plain(read_classes(path, encoding=codec)) == EXPECTED


def test_conll_and_json_with_marks_and_carriage_returns(tmp_path: Path) -> None:
    words = "Zoë B-PER\r\nasks O\r\n\r\n".encode("utf-8-sig")
    assert read_words(write(tmp_path / "a.conll", words))[0]["tokens"] == ["Zoë", "asks"]
    line = '{"text": "Zoë", "label": 1}\r\n'.encode("utf-16")
    assert read_classes(write(tmp_path / "a.jsonl", line))[0]["text"] == "Zoë"


@pytest.mark.parametrize(
    ("content", "codec", "line"),
    [
        (b"text,label\nfine,pos\ncaf\xe9,neg\n", "utf-8", 3),
        (CSV.encode("utf-16-le"), "utf-8", 1),
        (b"text,label\nok,pos\n\x81,neg\n", "cp1252", 3),
        (CSV.encode("utf-16") + b"\x00", "utf-8", 4),
        (b"text,label\n\xf0\x9f,neg\n", "utf-8", 2),
    ],
)
def test_undecodable_bytes(tmp_path: Path, content: bytes, codec: str, line: int) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match=rf"a\.csv:{line}: Expected {codec} text.*`data\.encoding`"):
        read_classes(path, encoding=codec)


@pytest.mark.parametrize("codec", ["utf-9", "hex"])
def test_unknown_encoding(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "a.csv", CSV)
    with pytest.raises(ConfigError, match=rf"data\.encoding` to be an encoding.*'{codec}'"):
        read_classes(path, encoding=codec)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", CSV)
    expected = r"data\.train` to name a file, but .*'.*trian\.csv'.*Did you mean 'train\.csv'"
    with pytest.raises(DataError, match=expected):
        read_classes(tmp_path / "trian.csv", key="tasks.x.data.train")


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.test` .*The folder '.*nowhere' does not exist"):
        read_classes(tmp_path / "nowhere" / "a.csv", split="test")


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.data` to name a file, but .* is a folder"):
        read_classes(tmp_path)


@pytest.mark.parametrize("content", ["", "\ufeff", "\n \n", "text,label\n"])
def test_nothing_to_read(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="to have rows, but"):
        read_classes(write(tmp_path / "a.csv", content))


@pytest.mark.parametrize("content", ["-DOCSTART- -X- O O\n\n", "\n\n"])
def test_no_sentence(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match=r"data\.data` to have rows, but found none in"):
        read_words(write(tmp_path / "a.conll", content))


def test_glob_reads_in_sorted_order(tmp_path: Path) -> None:
    for name, text in (("b.csv", "two"), ("a.csv", "one"), ("sub/c.csv", "three")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, f"text,label\n{text},x\n")
    assert list(read_classes(f"{tmp_path}/*.csv").column("text")) == ["one", "two"]
    assert len(read_classes(f"{tmp_path}/**/*.csv")) == 3
    with pytest.raises(DataError, match=r"to name files, but none matches '.*\*\.tsv'"):
        read_classes(f"{tmp_path}/*.tsv")


def test_a_file_with_a_bracket_in_its_name(tmp_path: Path) -> None:
    assert len(read_classes(write(tmp_path / "a[1].csv", CSV))) == 2


def test_paths_start_from_the_base(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", CSV)
    assert len(read_classes("a.csv", base=tmp_path)) == 2


def test_unknown_format(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV)
    with pytest.raises(ConfigError, match=r"Expected `data\.format` to be one of .*'cvs'.*'csv'"):
        read_classes(path, format="cvs")


def test_the_format_overrides_the_ending(tmp_path: Path) -> None:
    assert plain(read_classes(write(tmp_path / "a.data", CSV), format="csv")) == EXPECTED


def test_following_the_advice_on_an_encoding_mends_it(tmp_path: Path) -> None:
    for codec, advised in (("utf-16-le", "utf-16-le"), ("latin-1", "latin-1")):
        path = write(tmp_path / "a.csv", CSV.encode(codec))
        with pytest.raises(DataError, match=rf"Set `data\.encoding` .* such as {advised}\."):
            read_classes(path)
        assert read_classes(path, encoding=advised)[0]["text"] == "café"
