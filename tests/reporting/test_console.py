from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from mtl.reporting.console import console, draws, note, short_path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("[bold]B-LOC[/bold] :smile: 12")
    assert capsys.readouterr().out == "[bold]B-LOC[/bold] :smile: 12\n"


def test_a_note_is_one_line_beside_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    note("tasks.ner.data: " + "word " * 40 + "\n[cut]")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith("word [cut]\n")


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_other_ranks_are_silent(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "0")
    note("first")
    monkeypatch.setenv(name, "1")
    note("second")
    assert capsys.readouterr().err == "first\n"


def test_only_a_real_terminal_is_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not draws(Console(file=io.StringIO()))
    monkeypatch.setenv("TERM", "xterm")
    assert draws(Console(file=Terminal()))
    monkeypatch.setenv("TERM", "dumb")
    assert not draws(Console(file=Terminal()))


def test_short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_path(tmp_path / "outputs" / "x") == "outputs/x"
    assert short_path(Path("outputs/x")) == "outputs/x"
    assert short_path(tmp_path.parent / "elsewhere") == str(tmp_path.parent / "elsewhere")
