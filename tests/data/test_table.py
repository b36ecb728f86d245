"""Tables of states: what is written is read, and what was not written whole is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtl.data.table import Damaged, Table, TableFile

KEY = "what it is of"


def values(rows: int = 7, width: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(0)).to(dtype)


def written(folder: Path, found: Tensor, name: str = "table") -> Path:
    target = folder / f"{name}.safetensors"
    file = TableFile(folder / f"{name}.part", KEY, len(found), found.shape[1], found.dtype)
    file.create()
    last = len(found) - 1
    file.write(np.asarray([4, 2, 5, 2]), found[[4, 2, 5, 2]])
    file.write(np.asarray([last, 3, 0, 1]), found[[last, 3, 0, 1]])
    file.finish(target)
    return target


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_in_any_order(tmp_path: Path, dtype: torch.dtype) -> None:
    wanted = values(dtype=dtype)
    path = written(tmp_path, wanted)
    table = Table(path, KEY, 7)
    rows = np.asarray([6, 0, 0, 3], dtype=np.int32)
    assert torch.equal(table.read(rows), wanted[rows])
    assert table.read(rows[:0]).shape == (0, 3)
    assert table.read(rows).dtype == dtype
    assert [p.name for p in tmp_path.iterdir()] == ["table.safetensors"]


def test_others_open_it(tmp_path: Path) -> None:
    wanted = values()
    assert torch.equal(load_file(written(tmp_path, wanted))["states"], wanted)


def test_equal_tables_are_equal_files(tmp_path: Path) -> None:
    one, two = written(tmp_path, values(), "one"), written(tmp_path, values(), "two")
    assert one.read_bytes() == two.read_bytes()


def flip(path: Path) -> None:
    found = bytearray(path.read_bytes())
    found[-5] ^= 1
    path.write_bytes(found)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(b"\x10" + b"\0" * 7 + b"no header at all")


def huge(path: Path) -> None:
    path.write_bytes(b"\xff" * 64)


def another(path: Path) -> None:
    save_file({"states": torch.zeros(7, 3)}, path)


def flat(path: Path) -> None:
    save_file({"states": torch.zeros(21)}, path, {"key": KEY, "digest": ""})


@pytest.mark.parametrize("damage", [flip, cut, lengthen, empty, noise, huge, another, flat])
def test_damage_is_seen(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = written(tmp_path, values())
    damage(path)
    with pytest.raises(Damaged):
        Table(path, KEY, 7)


def test_another_table(tmp_path: Path) -> None:
    path = written(tmp_path, values())
    with pytest.raises(Damaged, match="something else"):
        Table(path, "another", 7)
    with pytest.raises(Damaged):
        Table(path, KEY, 8)


def test_a_file_that_was_not_finished(tmp_path: Path) -> None:
    file = TableFile(tmp_path / "x.part", KEY, 7, 3, torch.float32)
    file.create()
    assert file.path.stat().st_size == file.size
    with pytest.raises(Damaged, match="not what was written"):
        Table(file.path, KEY, 7)


def test_two_write_the_same_table(tmp_path: Path) -> None:
    """The second to end replaces the first, whose readers keep what they opened."""
    wanted = values()
    path = written(tmp_path, wanted)
    first = Table(path, KEY, 7)
    again = TableFile(tmp_path / "again.part", KEY, 7, 3, torch.float32)
    again.create()
    again.write(np.arange(7), wanted)
    assert torch.equal(Table(path, KEY, 7).read(np.arange(7)), wanted)
    again.finish(path)
    for table in (first, Table(path, KEY, 7)):
        assert torch.equal(table.read(np.arange(7)), wanted)


def test_a_part_is_not_written_over(tmp_path: Path) -> None:
    file = TableFile(tmp_path / "x.part", KEY, 7, 3, torch.float32)
    file.create()
    with pytest.raises(FileExistsError):
        file.create()
