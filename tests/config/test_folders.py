import json
from pathlib import Path

import pytest

from mtl.config.folders import (
    HYDRA,
    SWEEP,
    Occupied,
    prepare_run_dir,
    prepare_sweep_dir,
    release_run_dir,
    to_plain,
    unused,
)
from mtl.config.schema import Config, TaskConfig
from mtl.config.validate import from_plain
from mtl.errors import ConfigError


def test_a_run_claims_its_folder(tmp_path: Path) -> None:
    folder = prepare_run_dir(tmp_path / "a" / "b")
    assert [p.name for p in folder.iterdir()] == [HYDRA]
    with pytest.raises(Occupied, match=r"holds a run .* resume="):
        prepare_run_dir(folder)


def test_an_existing_folder_with_other_files_is_fine(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert prepare_run_dir(tmp_path) == tmp_path


@pytest.mark.parametrize("mark", [HYDRA, SWEEP])
def test_a_sweep_and_a_run_exclude_each_other(tmp_path: Path, mark: str) -> None:
    (prepare_run_dir if mark == HYDRA else prepare_sweep_dir)(tmp_path)
    with pytest.raises(Occupied):
        prepare_run_dir(tmp_path)
    with pytest.raises(Occupied):
        prepare_sweep_dir(tmp_path)


@pytest.mark.parametrize("inside", ["", "x", "x/y"])
def test_a_file_in_the_way_leaves_nothing_behind(tmp_path: Path, inside: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        ConfigError, match=r"Expected `hydra.run.dir` to be a folder that can be wr"
    ):
        prepare_run_dir(file / inside)
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ConfigError, match=r"\(Permission denied\); choose another"):
        prepare_run_dir(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_no_folder() -> None:
    with pytest.raises(ConfigError, match=r"to be a new folder, but got '\.'"):
        prepare_run_dir("")


def test_a_released_folder_is_gone_unless_something_is_in_it(tmp_path: Path) -> None:
    release_run_dir(prepare_run_dir(tmp_path / "empty"))
    assert not (tmp_path / "empty").exists()
    kept = prepare_run_dir(tmp_path / "kept")
    (kept / "rejected.jsonl").touch()
    release_run_dir(kept)
    assert [p.name for p in kept.iterdir()] == ["rejected.jsonl"]


def test_a_run_with_checkpoints_stays_a_run(tmp_path: Path) -> None:
    folder = prepare_run_dir(tmp_path / "run")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    release_run_dir(folder)
    assert (folder / HYDRA).is_dir()


def test_unused_names() -> None:
    names = unused("x")
    assert [str(next(names)) for _ in range(3)] == ["x", "x-2", "x-3"]


def test_plain_values_are_read_back() -> None:
    cfg = Config(tasks={"ner": TaskConfig(type="t", columns={"labels": -1})}, resume="r")
    assert from_plain(json.loads(json.dumps(to_plain(cfg)))) == cfg
