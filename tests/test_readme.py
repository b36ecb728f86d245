"""Every command of the README, and every run that a run suggests, is real: its parts exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from mtl.cli.app import build
from mtl.cli.train import CONF, parse_arguments
from mtl.config.compose import compose_checked
from mtl.config.groups import Groups
from mtl.config.overrides import join_tasks
from mtl.reporting.summary import further_runs

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "data.md", ROOT / "docs" / "adding-a-task.md"]


def commands(program: str) -> list[str]:
    """Return the commands of a program in the pages' code blocks, continuation lines joined."""
    found: list[str] = []
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [line.strip() for line in lines if line.startswith(program + " ")]
    return list(dict.fromkeys(found))


SUGGESTED = further_runs({"ner": "bundled:newsroom"}, "tiny")[1:]
TRAIN = [*commands("python train.py"), *(line.strip() for line in SUGGESTED)]
MTL = commands("mtl")
MAKE = commands("make")


def test_there_are_commands() -> None:
    assert "python train.py resume=RUN" in TRAIN
    assert len(TRAIN) > 10
    assert len(MTL) > 4
    assert "make train" in MAKE


@pytest.mark.parametrize("command", TRAIN)
def test_train_commands_compose(command: str) -> None:
    arguments = parse_arguments(shlex.split(command, comments=True)[2:])
    if arguments.help or any(text.startswith("resume=") for text in arguments.overrides):
        return
    groups = Groups([CONF])
    overrides = join_tasks(arguments.overrides, arguments.multirun, groups.choices("task"))
    composed = compose_checked(overrides, [CONF], arguments.multirun)
    assert composed.multirun == arguments.multirun
    assert composed.config.tasks


@pytest.mark.parametrize("command", MTL)
def test_mtl_commands_exist(command: str) -> None:
    app = typer.main.get_command(build())
    words = shlex.split(command, comments=True)[1:]
    with app.make_context("mtl", words) as context:
        name, sub, rest = app.resolve_command(context, words)  # type: ignore[attr-defined]
        while getattr(sub, "commands", None):
            name, sub, rest = sub.resolve_command(context, rest)
        sub.make_context(name, list(rest), parent=context, resilient_parsing=False).close()


@pytest.mark.parametrize("command", MAKE)
def test_make_targets_exist(command: str) -> None:
    targets = re.findall(r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.M)
    words = [w for w in shlex.split(command, comments=True)[1:] if "=" not in w]
    assert words
    assert set(words) <= set(targets)


def test_ci_runs_the_readmes_test_command() -> None:
    assert "`make test`" in PAGES[0].read_text("utf-8")
    assert "make test\n" in (ROOT / ".ci" / "run").read_text("utf-8")
