"""``train.py`` run in this process, with task types and a training of our own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtl.cli.train import main
from mtl.config.schema import Config
from tests.config import fakes


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
        code = main(argv)
        streams = capsys.readouterr()
        return Result(code, streams.out, streams.err)

    return run
