"""Files and folders are whole or as they were, whatever goes wrong on the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mtl.files import open_whole, remove_parts, whole_folder, write_whole


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_pieces_of_bytes_and_of_text(tmp_path: Path) -> None:
    with open_whole(tmp_path / "wb", "wb") as binary:
        binary.write(b"\xe4\r")
        binary.write(b"\n")
    with open_whole(tmp_path / "w") as text:
        text.write("\u00e4\n")
        text.write("b")
    assert (tmp_path / "wb").read_bytes() == b"\xe4\r\n"
    assert (tmp_path / "w").read_bytes() == "\u00e4\nb".encode()


def test_an_error_between_pieces_leaves_what_was_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "before")

    def fail() -> None:
        with open_whole(tmp_path / "a") as file:
            file.write("after")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert (tmp_path / "a").read_text() == "before"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.json"
    write_whole(path, "before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in ("first", "second"):
        with whole_folder(path) as beside:
            (beside / content).touch()
        assert os.listdir(tmp_path) == ["model"]
        assert os.listdir(path) == [content]
    with pytest.raises(FileNotFoundError), whole_folder(path) as beside:
        (beside / "third" / "nowhere").touch()
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(path) == ["second"]


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "model.part").mkdir()
    (tmp_path / "model.part" / "config.json").touch()
    for name in ("metrics.json.part", "checkpoints/last.ckpt.part", "checkpoints/last.ckpt"):
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    remove_parts(tmp_path, tmp_path / "checkpoints")
    assert sorted(os.listdir(tmp_path)) == ["checkpoints", "notes.txt"]
    assert os.listdir(tmp_path / "checkpoints") == ["last.ckpt"]
