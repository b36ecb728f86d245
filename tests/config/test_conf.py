"""Every YAML file that is shipped."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from mtl.config.arguments import parse_arguments
from mtl.config.groups import Groups
from mtl.config.help import KEYS, WIDTH, help_text
from mtl.config.keys import is_key
from mtl.config.schema import Config
from mtl.config.store import register
from mtl.tasks import TASK_TYPES
from tests.config.conftest import CONF, compose

FILES = sorted(path.relative_to(CONF) for path in CONF.glob("*/**/*.yaml"))
NEEDS_PATH = {"trunk/hf.yaml"}


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_DATA", "/data")


def choose(file: Path) -> list[str]:
    path = (
        ["trunk.path=M"]
        if file.as_posix() in NEEDS_PATH or file.parent.name == "experiment"
        else []
    )
    return [f"{file.parent.as_posix()}={file.stem}", *path]


def test_all_groups_have_files() -> None:
    names = "balancing callbacks debug experiment logger mixing sweep task trainer trunk tuning"
    assert " ".join(Groups([CONF]).names) == names
    assert set(CONF.rglob("*.yml")) == set()


@pytest.mark.parametrize("file", FILES, ids=str)
def test_composes(file: Path) -> None:
    compose(*choose(file), task_types=TASK_TYPES)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_composes_under_the_typed_schema(file: Path) -> None:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra_compose("train", choose(file), return_hydra_config=True)
    assert cfg.hydra.job.chdir is False


@pytest.mark.parametrize("file", FILES, ids=str)
def test_package_is_the_first_line(file: Path) -> None:
    lines = (CONF / file).read_text().splitlines()
    assert not any("@package" in line for line in lines[1:])
    if file.parent.name == "task":
        assert lines[0] == f"# @package tasks.{file.stem}"


@pytest.mark.parametrize("file", FILES, ids=str)
def test_shows_a_command_that_composes(file: Path) -> None:
    text = (CONF / file).read_text()
    found = re.findall(r"python train\.py ([^\n]*?)(?:, or several.*)?$", text, flags=re.MULTILINE)
    assert found, "a comment shows the command"
    for line in found:
        arguments = parse_arguments(shlex.split(line))
        assert any(o.startswith(f"{file.parent.name}={file.stem}") for o in arguments.overrides)
        path = choose(file)[1:] if "trunk.path" not in line else []
        compose(*arguments.overrides, *path, multirun=arguments.multirun, task_types=TASK_TYPES)


def test_sweeps_keep_their_jobs_apart() -> None:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra_compose("train", ["hydra.job.num=3"], return_hydra_config=True)
    assert cfg.hydra.sweep.subdir == "job-3"


def test_help_lists_every_choice_in_80_columns() -> None:
    groups = Groups([CONF])
    text = help_text(groups)
    assert max(map(len, text.splitlines())) <= WIDTH
    for group in groups.names:
        assert f"  {group:<12} {', '.join(groups.choices(group))}\n" in text


@pytest.mark.parametrize("key", [key for key in KEYS if not key.startswith("hydra.")])
def test_help_names_keys_that_exist(key: str) -> None:
    assert is_key(Config, key.replace("NAME", "ner"))
