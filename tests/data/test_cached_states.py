"""States on disk: what is written is read, whatever the order and the type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl.data.cache import Cache
from mtl.data.cached_states import STATES, States, StateWriter
from mtl.data.columns import Damaged, file_of, read_columns, seal

KEY = "abc"


def values(rows: int = 7, width: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(0)).to(dtype)


def written(folder: Path, found: Tensor) -> Path:
    writer, cache = StateWriter(len(found), found.shape[1], found.dtype), Cache(folder)
    beside = cache.begin(KEY)
    writer.create(beside)
    last = len(found) - 1
    for rows in ([4, 2, 5, 2], [last, 3, 0, 1]):
        writer.write(beside, np.asarray(rows, dtype=np.int32), found[rows])
    return cache.publish(beside, KEY, {STATES: writer.column}, writer.about)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_in_any_order(tmp_path: Path, dtype: torch.dtype) -> None:
    wanted = values(dtype=dtype)
    place = written(tmp_path, wanted)
    states = States(*read_columns(place))
    rows = np.asarray([6, 0, 0, 3], dtype=np.int32)
    assert len(states) == 7
    assert torch.equal(states.read(rows), wanted[rows])
    assert states.read(rows[:0]).shape == (0, 3)
    assert states.read(rows).dtype == dtype
    assert [p.name for p in tmp_path.iterdir()] == [KEY]


def test_equal_states_are_equal_files(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one", values()), written(tmp_path / "two", values())
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
    assert file_of(one, STATES).read_bytes() == values().numpy().tobytes()


def test_what_was_opened_stays_readable(tmp_path: Path) -> None:
    wanted = values()
    place = written(tmp_path, wanted)
    states = States(*read_columns(place))
    for path in place.iterdir():
        path.unlink()
    assert torch.equal(states.read(np.arange(7, dtype=np.int32)), wanted)


def test_states_that_were_not_sealed(tmp_path: Path) -> None:
    writer = StateWriter(7, 3, torch.float32)
    writer.create(tmp_path)
    assert file_of(tmp_path, STATES).stat().st_size == writer.column.size == 7 * 3 * 4
    with pytest.raises(Damaged):
        read_columns(tmp_path)


def test_states_are_not_written_over(tmp_path: Path) -> None:
    writer = StateWriter(7, 3, torch.float32)
    writer.create(tmp_path)
    with pytest.raises(FileExistsError):
        writer.create(tmp_path)


@pytest.mark.parametrize("size", [4, 80, 88])
def test_a_file_of_another_size(tmp_path: Path, size: int) -> None:
    writer = StateWriter(7, 3, torch.float32)
    writer.create(tmp_path)
    seal(tmp_path, {STATES: writer.column}, writer.about)
    with file_of(tmp_path, STATES).open("r+b") as file:
        file.truncate(size)
    with pytest.raises(Damaged, match="cut short, or too long"):
        read_columns(tmp_path, check=False)
