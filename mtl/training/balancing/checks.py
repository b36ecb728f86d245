"""What a balancing cannot work with, said before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from mtl.config.schema import Config
from mtl.errors import Problem
from mtl.training.balancing.base import BALANCINGS


def refusals(config: Config) -> list[Problem]:
    """Return why the chosen balancing cannot work with the rest of a configuration."""
    section = config.balancing
    method = BALANCINGS.get(section.name)
    problems = list(_missing(section.name, getattr(method, "needs", ())))
    if getattr(method, "reads_losses", False) and config.trainer.strategy == "fsdp":
        expected = "to be a method that needs no losses ahead, with trainer.strategy=fsdp"
        advice = "Choose balancing=dwa or uncertainty, or trainer=ddp."
        problems.append(Problem("balancing.name", expected, f"got {section.name}", advice))
    return problems


def _missing(name: str, needs: tuple[str, ...]) -> Iterator[Problem]:
    missing = [package for package in needs if find_spec(package) is None]
    if missing:
        expected = f"to be a method whose packages are installed ({name} needs {', '.join(needs)})"
        found = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not"
        advice = "Run `pip install 'mtl[balancing]'`, or choose sum, random or famo."
        yield Problem("balancing.name", expected, found, advice)
