"""The cache of encoded examples: sound, safe with several writers, and never in the way."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mtl.data.cache import Cache, ExampleCache, cache_folder, cache_key
from mtl.data.columns import ABOUT, Column, file_of
from mtl.data.examples import Filed
from mtl.errors import DataError
from mtl.types import Encoded
from tests.data.examples import example
from tests.data.test_examples import equal, filed

NAME = "abc"


def some(count: int = 5) -> list[Encoded]:
    rng = np.random.default_rng(0)
    return [example(rng, [4], [(0, 2)]) for _ in range(count)]


def kept(folder: Path | None, notes: list[str] | None = None) -> ExampleCache:
    cache = ExampleCache(folder, (notes if notes is not None else []).append)
    cache.keep(NAME, filed(some()), lambda: {"cut": 2})
    return cache


def test_a_later_run_finds_what_an_earlier_one_kept(tmp_path: Path) -> None:
    kept(tmp_path)
    found = ExampleCache(tmp_path).find(NAME)
    assert found is not None
    assert found[1] == {"cut": 2}
    assert all(map(equal, found[0], some()))
    assert ExampleCache(tmp_path).find("another") is None


def cut_short(place: Path) -> None:
    with file_of(place, "ids").open("r+b") as file:
        file.truncate(3)


def one_bit(place: Path) -> None:
    content = bytearray(file_of(place, "ids").read_bytes())
    content[len(content) // 2] ^= 1
    file_of(place, "ids").write_bytes(content)


def no_examples(place: Path) -> None:
    file_of(place, "ids").unlink()


def no_about(place: Path) -> None:
    (place / ABOUT).write_text('{"bytes"', encoding="utf-8")


def other_about(place: Path) -> None:
    (place / ABOUT).write_text("[]", encoding="utf-8")


def an_objects_column(place: Path) -> None:
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    about["columns"]["ids"]["dtype"] = "O"
    (place / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def a_file_elsewhere(place: Path) -> None:
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    about["columns"]["../x"] = about["columns"]["ids"]
    file_of(place.parent, "x").write_bytes(file_of(place, "ids").read_bytes())
    (place / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def of_another_key(place: Path) -> None:
    text = (place / ABOUT).read_text(encoding="utf-8")
    (place / ABOUT).write_text(text.replace(NAME, "other"), encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        one_bit,
        no_examples,
        no_about,
        other_about,
        an_objects_column,
        a_file_elsewhere,
        of_another_key,
    ],
)
def test_a_damaged_entry_is_left_out_with_a_note_and_made_anew(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    kept(tmp_path)
    damage(tmp_path / "examples" / NAME)
    notes: list[str] = []
    cache = ExampleCache(tmp_path, notes.append)
    assert cache.find(NAME) is None
    assert len(notes) == 1
    assert "damaged" in notes[0]
    assert NAME in notes[0]
    kept(tmp_path)
    assert ExampleCache(tmp_path).find(NAME) is not None


def test_writers_at_the_same_time_all_get_their_examples(tmp_path: Path) -> None:
    together = threading.Barrier(4)
    found: list[bool] = []

    def slow() -> Iterator[Filed]:
        together.wait()
        yield from filed(some())
        together.wait()

    def write() -> None:
        entry = ExampleCache(tmp_path).keep(NAME, slow(), dict)
        found.append(all(map(equal, entry[0], some())))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert found == [True] * 4
    assert ExampleCache(tmp_path).find(NAME) is not None


def test_an_error_while_encoding_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[Filed]:
        yield from filed(some(2))
        raise DataError("a label that training does not have")

    with pytest.raises(DataError, match="a label"):
        ExampleCache(tmp_path).keep(NAME, broken(), dict)
    assert list((tmp_path / "examples").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said_and_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    notes: list[str] = []
    cache = ExampleCache(tmp_path / "file", notes.append)
    entry = cache.keep(NAME, filed(some()), dict)
    cache.keep(NAME, filed(some()), dict)
    assert all(map(equal, entry[0], some()))
    assert len(notes) == 1
    assert "not kept" in notes[0]
    assert "cache.dir" in notes[0]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, found: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mtl.data.cache.write_examples", full)
    with pytest.raises(DataError, match=r"No space left.*cache\.dir"):
        ExampleCache(tmp_path).keep(NAME, filed(some()), dict)
    assert list((tmp_path / "examples").iterdir()) == []


def test_without_a_folder_examples_are_in_the_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = kept(None)
    assert cache.find(NAME) is None
    entry = cache.keep(NAME, filed(some()), dict)
    assert all(map(equal, entry[0], some()))
    assert os.access(entry[0].folder, os.R_OK)


def test_a_key_follows_from_all_that_it_is_given() -> None:
    keys = {cache_key(c) for c in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": 1, "b": None})}
    assert len(keys) == 5
    assert cache_key({"a": 1, "b": 2}) == cache_key({"b": 2, "a": 1})


def test_what_was_never_finished_goes_after_a_day(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    old, new = cache.begin("a"), cache.begin("b")
    os.utime(old, (0, 0))
    cache.begin("c")
    assert not old.exists()
    assert new.exists()


def test_an_entry_that_another_process_made_first_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for name in ("one", "two"):
        beside = cache.begin(NAME)
        file_of(beside, "x").write_bytes(b"1234")
        place = cache.publish(beside, NAME, {"x": Column("int32", (1,))}, {"by": name})
    assert [p.name for p in tmp_path.iterdir()] == [place.name]
    found = cache.find(NAME)
    assert found is not None
    assert found[1]["by"] == "one"


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/mtl")
    monkeypatch.setenv("MTL_CACHE", "/scratch")
    assert cache_folder() == Path("/scratch")
    assert cache_folder("/chosen") == Path("/chosen")
    monkeypatch.setenv("MTL_CACHE", "")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "mtl"
