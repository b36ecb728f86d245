"""Every YAML file that is shipped."""

import re
import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mtl.cli.help import KEYS, WIDTH, help_text
from mtl.cli.train import parse_arguments
from mtl.config.groups import Groups
from mtl.config.keys import dotted_keys
from mtl.tasks import TASK_TYPES
from tests.config.conftest import CONF, compose

FILES = sorted(path.relative_to(CONF) for path in CONF.glob("*/**/*.yaml"))
NEEDS_PATH = {"trunk/hf.yaml"}


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_DATA", "/data")


def choose(file: Path) -> list[str]:
    """Return the choice of a file, with a model's name where it takes trunk=hf."""
    hub = file.as_posix() in NEEDS_PATH or "override /trunk: hf" in (CONF / file).read_text()
    return [f"{file.parent.as_posix()}={file.stem}", *(["trunk.path=M"] if hub else [])]


def test_all_groups_have_files() -> None:
    names = "balancing callbacks debug experiment logger mixing sweep task trainer trunk tuning"
    assert " ".join(Groups([CONF]).names) == names
    assert set(CONF.rglob("*.yml")) == set()


@pytest.mark.parametrize("file", FILES, ids=str)
def test_composes(file: Path) -> None:
    compose(*choose(file), task_types=TASK_TYPES)


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
        path = [part for part in choose(file)[1:] if part.partition("=")[0] not in line]
        compose(*arguments.overrides, *path, multirun=arguments.multirun, task_types=TASK_TYPES)


def test_sweeps_keep_their_jobs_apart() -> None:
    cfg = compose("seed=1,2", multirun=True).cfg
    assert cfg.hydra.job.chdir is False
    assert OmegaConf.to_container(cfg.hydra.sweep, resolve=False)["subdir"] == (  # type: ignore[call-overload, index]
        "job-${hydra.job.num}"
    )


def test_help_lists_every_choice_in_80_columns() -> None:
    groups = Groups([CONF])
    text = help_text(groups)
    assert max(map(len, text.splitlines())) <= WIDTH
    words = " ".join(text.split())
    for group in groups.names:
        assert f"{group} {', '.join(groups.choices(group))} " in words


@pytest.mark.parametrize("key", [key for key in KEYS if not key.startswith("hydra.")])
def test_help_names_keys_that_exist(key: str) -> None:
    assert key.replace("NAME", "ner") in dotted_keys(names=("ner",))
