"""The help of every command, at the widths that terminals have."""

from __future__ import annotations

import re

import pytest
import typer

from mtl.cli.app import VERBS, build, main
from mtl.cli.verbs import score


def commands() -> list[list[str]]:
    build()
    groups = typer.Typer()
    score.register(groups)
    (group,) = groups.registered_groups
    assert group.typer_instance is not None
    kinds = [one.name for one in group.typer_instance.registered_commands]
    others = [name for name in VERBS if name != "train"]  # Its help is that of train.py.
    return [[], *([name] for name in others), *(["score", str(kind)] for kind in kinds)]


@pytest.mark.parametrize(("width", "room"), [(80, 45), (60, 26)])
@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_descriptions_have_room_and_are_whole(
    command: list[str],
    width: int,
    room: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines[1:] if line.endswith("...")]
    told = [found for line in lines if (found := re.match(r"  \S.*?  +(?=\S)", line))]
    assert told
    assert min(width - len(lead[0]) for lead in told) >= room


def test_options_stand_under_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    before, _, after = capsys.readouterr().out.partition("\nLimits:\n")
    assert "--max-body" in after
    assert "--port" in before
    assert "--max-" not in before


@pytest.mark.parametrize("command", [[], ["score"]], ids=["mtl", "mtl score"])
def test_a_command_alone_shows_its_help(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(command)
    shown = capsys.readouterr()
    assert (end.value.code, shown.err) == (2, "")
    assert "\nCommands:\n" in shown.out
