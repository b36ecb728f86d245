"""Compressed files: what the tools that write them write, damaged ones, and bombs."""

import bz2
import gc
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mtl.data.readers import compressed
from mtl.data.readers.compressed import ending_of
from mtl.data.rows import Role
from mtl.errors import DataError

from .roles import plain, read_classes, read_words, write

zstandard = pytest.importorskip("zstandard")
LINES = b'{"text": "Dry", "label": "pos"}\n{"text": "Wet", "label": "neg"}\n'
ROWS = [{"text": "Dry", "label": "pos"}, {"text": "Wet", "label": "neg"}]


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def zst(content: bytes) -> bytes:
    compress: Callable[[bytes], bytes] = zstandard.ZstdCompressor().compress
    return compress(content)


WAYS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zst,
    ".zip": lambda content: zipped(("data/a.jsonl", content)),
}


@pytest.mark.parametrize("ending", WAYS)
def test_a_compressed_file(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a.jsonl{ending}", WAYS[ending](LINES))
    assert plain(read_classes(path)) == ROWS
    assert ending_of(path) == ".jsonl"


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_files_written_one_after_the_other(tmp_path: Path, ending: str) -> None:
    way = WAYS[ending]
    path = write(tmp_path / f"a.jsonl{ending}", way(LINES[:32]) + way(LINES[32:]))
    assert plain(read_classes(path)) == ROWS


def test_every_text_format(tmp_path: Path) -> None:
    write(tmp_path / "a.csv.gz", gzip.compress(b"text,label\nDry,pos\nWet,neg\n"))
    write(tmp_path / "b.csv.xz", lzma.compress(b"text;label\nDry;pos\nWet;neg\n"))
    assert plain(read_classes(tmp_path / "*.csv.*")) == ROWS + ROWS
    squad = b'{"data": [{"text": "Dry", "label": "pos"}, {"text": "Wet", "label": "neg"}]}'
    assert plain(read_classes(write(tmp_path / "a.json.zst", zst(squad)))) == ROWS
    words = "Ada B-PER\nran O\n".encode("utf-16")
    conll = read_words(write(tmp_path / "a.conll.bz2", bz2.compress(words)))
    assert plain(conll) == [{"tokens": ["Ada", "ran"], "labels": ["B-PER", "O"]}]


def test_a_name_that_does_not_tell(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", gzip.compress(LINES))
    assert plain(read_classes(path)) == ROWS
    assert plain(read_classes(write(tmp_path / "b.jsonl.gz", LINES))) == ROWS


@pytest.mark.parametrize("ending", WAYS)
@pytest.mark.parametrize("way", ["cut", "changed"])
def test_a_damaged_file(tmp_path: Path, ending: str, way: str) -> None:
    content = WAYS[ending](LINES * 100 + bytes(range(32, 127)) * 50)
    half = len(content) // 2
    broken = content[:half] if way == "cut" else content[:half] + b"\xff\x00\xff" + content[half:]
    with pytest.raises(DataError, match=r"a\.jsonl.*damaged"):
        read_classes(write(tmp_path / f"a.jsonl{ending}", broken))


@pytest.mark.parametrize("ending", WAYS)
def test_a_bomb(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "FREE", 1 << 20)
    path = write(tmp_path / f"a.jsonl{ending}", WAYS[ending](b" " * (1 << 23)))
    with pytest.raises(DataError, match=r"at most [0-9,]+ bytes.*zip bomb.*decompress it"):
        read_classes(path)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([("../a.jsonl", LINES)], r"'\.\./a\.jsonl' in it leaves the archive's folder"),
        ([("/etc/a.jsonl", LINES)], "leaves the archive's folder"),
        ([("C:\\a.jsonl", LINES)], "leaves the archive's folder"),
        ([("a.jsonl", LINES), ("b.jsonl", LINES)], r"it holds 2: a\.jsonl, b\.jsonl"),
        ([], "it holds 0"),
    ],
)
def test_an_archive_that_is_refused(
    tmp_path: Path, files: list[tuple[str, bytes]], found: str
) -> None:
    path = write(tmp_path / "a.zip", zipped(*files))
    with pytest.raises(DataError, match=rf"a\.zip: .*one file, but .*{found}.*Unpack it"):
        read_classes(path, format="jsonl")
    assert list(tmp_path.iterdir()) == [path]


def test_what_systems_add_to_archives(tmp_path: Path) -> None:
    files = [
        ("d/", b""),
        ("d/a.jsonl", LINES),
        ("__MACOSX/d/._a.jsonl", b"x"),
        ("d/.DS_Store", b""),
    ]
    assert plain(read_classes(write(tmp_path / "a.zip", zipped(*files)))) == ROWS


def test_a_tar_archive(tmp_path: Path) -> None:
    import tarfile

    write(tmp_path / "a.jsonl", LINES)
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "a.jsonl", "a.jsonl")
    with pytest.raises(DataError, match="holds a tar archive"):
        read_classes(path, format="jsonl")


def test_an_archive_in_an_archive(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", zipped(("b.zip", zipped(("a.jsonl", LINES)))))
    with pytest.raises(DataError, match=r"a\.zip: .*compressed once more.*Unpack it"):
        read_classes(path, format="jsonl")


@pytest.mark.parametrize("start", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"a" * 257 + b"ustar"])
def test_archives_that_are_not_read(tmp_path: Path, start: bytes) -> None:
    path = write(tmp_path / "a.jsonl", start + bytes(300))
    with pytest.raises(DataError, match=r"Expected an archive of one file, but it holds a"):
        read_classes(path)


def test_a_bomb_among_documents_of_spacy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("spacy")
    monkeypatch.setattr(compressed, "FREE", 1 << 16)
    wanted = {"columns": {"text": "text"}, "roles": [Role("text", "text")]}
    path = write(tmp_path / "a.spacy", zlib.compress(bytes(1 << 20), 9))
    with pytest.raises(DataError, match="as a zip bomb does"):
        read_words(path, **wanted)
    path = write(tmp_path / "a.spacy", zlib.compress(b"no documents"))
    with pytest.raises(DataError, match=r"documents as spaCy's .*[^.]\. If another version"):
        read_words(path, **wanted)
    assert gc.isenabled()
