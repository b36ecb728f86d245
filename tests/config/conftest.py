"""Commands run in this process, with task types and a training of our own."""

import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import DictConfig

import mtl.config.compose
import train as script
from mtl.config.compose import Composed, compose_checked
from mtl.config.groups import Groups
from mtl.config.joint import join_tasks
from mtl.config.schema import Config
from mtl.errors import ConfigError
from tests.config import fakes

CONF = script.CONF
CHOICES = Groups([CONF]).choices("task")


@cache
def _composed(*key: tuple[str, ...] | tuple[Path, ...]) -> DictConfig:
    return _compose_untyped(*key)  # type: ignore[arg-type]


_compose_untyped = mtl.config.compose.compose_untyped


@pytest.fixture(autouse=True)
def _compose_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Hydra compose each choice of files once for all tests; values are put in afterwards."""

    def composed(overrides: Sequence[str], folders: Sequence[Path]) -> DictConfig:
        return deepcopy(_composed(tuple(overrides), tuple(folders)))

    monkeypatch.setattr(mtl.config.compose, "compose_untyped", composed)


def compose(
    *overrides: str,
    multirun: bool = False,
    folders: tuple[Path, ...] = (),
    task_types: Any = fakes.TASK_TYPES,
) -> Composed:
    joined = join_tasks(overrides, multirun, CHOICES)
    return compose_checked(joined, [CONF, *folders], multirun, task_types)


def refusal(*overrides: str, multirun: bool = False) -> str:
    """Return the message that refuses a command."""
    with pytest.raises(ConfigError) as error:
        compose(*overrides, multirun=multirun)
    return str(error.value)


@dataclass
class Training:
    """Stands for ``mtl.training.run``; its seed says what it does."""

    calls: list[tuple[Config, Path]] = field(default_factory=list)
    by_seed: dict[int, BaseException] = field(default_factory=dict)

    def train(self, cfg: Config, run_dir: Path) -> dict[str, float]:
        self.calls.append((cfg, run_dir))
        if cfg.seed in self.by_seed:
            raise self.by_seed[cfg.seed]
        (run_dir / "checkpoints").mkdir(exist_ok=True)
        (run_dir / "checkpoints" / "last.ckpt").touch()
        return {"val/score": cfg.seed / 100}

    @property
    def cfg(self) -> Config:
        return self.calls[-1][0]

    @property
    def run_dir(self) -> Path:
        return self.calls[-1][1]


@pytest.fixture(autouse=True)
def _mode_from_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare Hydra one more composition, which would find the mode that `-m` says already."""
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *args, **kwargs: None)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Training:
    """Replace what trains, and work in an empty folder."""
    fake = Training()
    run = SimpleNamespace(train=fake.train)
    monkeypatch.setitem(sys.modules, "mtl.training.run", run)
    tasks = SimpleNamespace(TASK_TYPES=fakes.TASK_TYPES)
    monkeypatch.setitem(sys.modules, "mtl.tasks", tasks)
    monkeypatch.chdir(tmp_path)
    return fake


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def command(training: Training, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Return ``train.py`` as a function of its arguments."""

    def run(*argv: str) -> Result:
        code = script.main(argv)
        streams = capsys.readouterr()
        return Result(code, streams.out, streams.err)

    return run
