from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wandb

from mtl.config.schema import WandbConfig
from mtl.errors import ConfigError
from mtl.reporting.loggers import build_loggers, finish_loggers
from mtl.reporting.loggers.wandb_login import has_login
from tests.reporting.loggers.conftest import TASKS, isolate

ONLINE = WandbConfig(mode="online")

DEFAULT = wandb.Settings().base_url


@pytest.fixture
def netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    isolate(monkeypatch, tmp_path)
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    return file


def test_no_login(netrc: Path) -> None:
    assert not has_login(DEFAULT)
    netrc.write_text("machine example.org login user password secret\n")
    assert not has_login(DEFAULT)
    netrc.write_text("machine what is this")
    assert not has_login(DEFAULT)


@pytest.mark.parametrize("host", ["api.wandb.ai", DEFAULT.removeprefix("https://")])
def test_a_login_in_netrc(netrc: Path, host: str) -> None:
    netrc.write_text(f"machine {host} login user password {'x' * 40}\n")
    assert has_login(DEFAULT)
    assert not has_login("https://wandb.example.org")


def test_a_login_of_a_private_server(netrc: Path) -> None:
    netrc.write_text("machine wandb.example.org:8080 login user password x\n")
    assert has_login("https://wandb.example.org:8080")
    assert not has_login(DEFAULT)


def test_a_login_in_the_environment(netrc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert has_login(DEFAULT)


def test_online_without_a_login_is_an_error(netrc: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"logger\.wandb\.mode: Expected a login.*wandb login"):
        build_loggers(["wandb"], tmp_path, config={}, tasks=TASKS, wandb=ONLINE)
    assert not (tmp_path / "wandb").exists()


@pytest.fixture
def unreachable(netrc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login, and a server that does not answer."""
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    start = wandb.init

    def init(**options: Any) -> wandb.Run:
        if options["mode"] == "online":
            (Path(options["dir"]) / "wandb" / "run-1-x").mkdir()
            raise wandb.errors.CommError("Timed out.\nConsider this and that.")
        return start(**options)

    monkeypatch.setattr(wandb, "init", init)


@pytest.mark.usefixtures("unreachable")
def test_an_unreachable_server_means_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loggers = build_loggers(["wandb"], tmp_path, config={}, tasks=TASKS)
    finish_loggers(loggers, failed=False)
    assert capsys.readouterr().err.startswith("W&B: offline (Timed out). See it: wandb leet")
    assert [p.name[:11] for p in (tmp_path / "wandb").glob("*run-[0-9]*")] == ["offline-run"]


@pytest.mark.usefixtures("unreachable")
def test_an_unreachable_server_is_an_error_where_online_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Expected to reach W&B.*Timed out\..*mode=offline"):
        build_loggers(["wandb"], tmp_path, config={}, tasks=TASKS, wandb=ONLINE)
