import json
from pathlib import Path

import pytest

from mtl.cli.folders import HYDRA, SWEEP, Occupied, claim_run, claim_sweep, release_run_dir
from mtl.config.schema import Config, TaskConfig
from mtl.config.section import read
from mtl.errors import ConfigError


def test_a_run_claims_its_folder(tmp_path: Path) -> None:
    folder = claim_run(str(tmp_path / "a" / "b"), True)
    assert [p.name for p in folder.iterdir()] == [HYDRA]
    with pytest.raises(Occupied, match=r"holds a run .* resume="):
        claim_run(str(folder), True)


def test_an_existing_folder_with_other_files_is_fine(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert claim_run(str(tmp_path), True) == tmp_path


@pytest.mark.parametrize("mark", [HYDRA, SWEEP])
def test_a_sweep_and_a_run_exclude_each_other(tmp_path: Path, mark: str) -> None:
    (claim_run if mark == HYDRA else claim_sweep)(str(tmp_path), True)
    with pytest.raises(Occupied):
        claim_run(str(tmp_path), True)
    with pytest.raises(Occupied):
        claim_sweep(str(tmp_path), True)


@pytest.mark.parametrize("inside", ["", "x", "x/y"])
def test_a_file_in_the_way_leaves_nothing_behind(tmp_path: Path, inside: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        ConfigError, match=r"Expected `hydra.run.dir` to be a folder that can be wr"
    ):
        claim_run(str(file / inside), True)
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ConfigError, match=r"\(Permission denied\)\. Choose another"):
        claim_run(str(tmp_path / "a" / "b"), True)
    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_no_folder() -> None:
    with pytest.raises(ConfigError, match=r"to be a new folder, but got '\.'"):
        claim_run("", True)


def test_a_released_folder_is_gone_unless_something_is_in_it(tmp_path: Path) -> None:
    release_run_dir(claim_run(str(tmp_path / "empty"), True))
    assert not (tmp_path / "empty").exists()
    kept = claim_run(str(tmp_path / "kept"), True)
    (kept / "rejected.jsonl").touch()
    release_run_dir(kept)
    assert [p.name for p in kept.iterdir()] == ["rejected.jsonl"]


def test_a_run_with_checkpoints_stays_a_run(tmp_path: Path) -> None:
    folder = claim_run(str(tmp_path / "run"), True)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    release_run_dir(folder)
    assert (folder / HYDRA).is_dir()


def test_the_first_free_name_will_do_for_a_folder_that_was_not_typed(tmp_path: Path) -> None:
    names = [claim_run(str(tmp_path / "x"), False).name for _ in range(3)]
    assert names == ["x", "x-2", "x-3"]


def test_plain_values_are_read_back() -> None:
    cfg = Config(tasks={"ner": TaskConfig(type="t", columns={"labels": -1})}, resume="r")
    assert read(Config, json.loads(json.dumps(cfg.model_dump()))) == cfg
