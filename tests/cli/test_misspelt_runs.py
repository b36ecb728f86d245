"""Folders of runs that are not there, where a like one is."""

from __future__ import annotations

from pathlib import Path

import pytest

import mtl
from mtl.cli import train as script
from mtl.cli.app import main

COMMANDS = {
    "predict": ("predict", "RUN", "--text", "a"),
    "evaluate": ("evaluate", "RUN"),
    "report": ("report", "RUN"),
    "dashboard": ("dashboard", "RUN"),
    "serve": ("serve", "RUN", "--port", "0"),
    "export": ("export", "RUN", "to"),
    "heads": ("heads", "RUN"),
    "fork": ("fork", "RUN"),
    "watch": ("watch", "RUN"),
    "match": ("match", "knowledge.jsonl", "--encoder", "RUN", "--text", "a"),
    "data": ("data", "--model", "RUN"),
}


@pytest.fixture
def misspelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right" / "of" / "topic").mkdir(parents=True)
    (tmp_path / "knowledge.jsonl").write_text('{"id": "1", "title": "a", "text": "b"}\n')
    return "right/of/topci"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_names_it(
    command: tuple[str, ...], misspelt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([word.replace("RUN", misspelt) for word in command])
    assert end.value.code == 2
    assert "Did you mean 'right/of/topic'?" in capsys.readouterr().err
    assert not Path("to").exists()


@pytest.mark.parametrize("key", ["init", "resume"])
def test_a_key_names_it(key: str, misspelt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([f"{key}={misspelt}"]) == 2
    assert "Did you mean 'right/of/topic'?" in capsys.readouterr().err


def test_load_names_it(misspelt: str) -> None:
    with pytest.raises(mtl.errors.CheckpointError, match="Did you mean 'right/of/topic'"):
        mtl.load(misspelt)


def test_load_names_it_where_the_hub_has_none(
    misspelt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def away(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.chdir("right")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", away)
    with pytest.raises(mtl.errors.CheckpointError, match=r"no network\. Did you mean 'of/topic'"):
        mtl.load("of/topci")
