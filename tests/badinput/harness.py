"""A bad input, the command it is given to, and what must hold afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.badinput.advice import advised, exists

SENTENCES = [
    ("Ines Talbot liked the soup .", "B-PER I-PER O O O O", "positive", 4.5),
    ("The Lantern in Brackwater was cold .", "O B-ORG O B-LOC O O O", "negative", 1.0),
    ("Okonkwo & Sons sold the mill .", "B-ORG I-ORG I-ORG O O O O", "neutral", 3.0),
    ("Nobody in Skerrow asked Ines why .", "O O B-LOC O B-PER O O", "negative", 2.0),
]
TASKS = ("ner", "sentiment")
UGLY = re.compile(r"\.\.(?!/)|\.:|: \.|\x1b|<class|object at 0x|torch\.Size|None")
LONGEST = 420


@dataclass(frozen=True)
class Case:
    """One bad input.

    Args:
        name: What is wrong, in a few words.
        argv: The command line, ``train`` or ``mtl`` first.
        says: What the message must say: the place, what was found there, the remedy.
        files: Written into the working folder; a list becomes JSON lines.
        damage: Changes the working folder further.
        never: What it must not say.
        problems: How many problems the message must list.
        notes: How many lines may stand before the error.
    """

    name: str
    argv: tuple[str, ...]
    says: tuple[str, ...]
    files: Mapping[str, Any] = field(default_factory=dict)
    damage: Callable[[Path], object] | None = None
    never: tuple[str, ...] = ()
    problems: int = 1
    notes: int = 0

    def prepare(self, folder: Path) -> None:
        """Write the bad input."""
        for name, content in self.files.items():
            write(folder / name, content)
        if self.damage is not None:
            self.damage(folder)


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a good row with some of its columns changed; None drops a column."""
    text, tags, label, stars = SENTENCES[number % len(SENTENCES)]
    good = {"text": text, "tokens": text.split(), "ner_tags": tags.split()}
    found = {**good, "sentiment": label, "stars": stars, **changes}
    return {key: value for key, value in found.items() if value is not None}


def rows(count: int = 8) -> list[dict[str, Any]]:
    """Return good rows."""
    return [row(number) for number in range(count)]


def write(path: Path, content: Any) -> None:
    """Write bytes, text, or JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = "".join(json.dumps(item) + "\n" for item in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def train(
    *overrides: str, task: str = "ner", trunk: str = "hf", path: str | None = "trunk"
) -> tuple[str, ...]:
    """Return a training command that is right but for its arguments."""
    names = [name for name in TASKS if name in task.strip("[]").split(",")]
    return (
        "train",
        f"task={task}",
        f"trunk={trunk}",
        *([f"trunk.path={path}"] if path else []),
        *(f"tasks.{name}.data.source=data" for name in names),
        "logger=none",
        "trainer.max_steps=2",
        "trainer.progress=false",
        "trainer.threads=1",
        "hydra.run.dir=out",
        *overrides,
    )


def mtl(*arguments: str) -> tuple[str, ...]:
    """Return an ``mtl`` command."""
    return ("mtl", *arguments)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return every file below a folder with its bytes, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def check(case: Case, result: Result) -> None:
    """Exit code 2, nothing on standard output, one message on standard error that says it all."""
    assert result.code == 2, result.err
    assert result.out == ""
    said = result.err.removesuffix("\n").split("\n")
    # The corpora here have the same rows in every split, which is noted for each task.
    lines = [line for line in said if "that validation or test has too" not in line][case.notes :]
    assert lines[0].startswith("error: ")
    lines[0] = lines[0].removeprefix("error: ")
    if case.problems > 1:
        assert lines.pop(0).endswith(f"{case.problems} problems:")
        assert all(line.startswith("  - ") for line in lines)
        lines = [line.removeprefix("  - ") for line in lines]
    assert len(lines) == case.problems, result.err
    for line in lines:
        check_sentence(line)
        unknown = [advice.text for advice in advised(line) if not exists(advice)]
        wrong = [text for text in unknown if text.partition("=")[0] not in "\n".join(case.argv)]
        assert not wrong, f"{wrong} can not be followed: {line}"
    for part in case.says:
        assert part in result.err
    for part in case.never:
        assert part not in result.err


def check_sentence(text: str) -> None:
    """A sentence or two of a readable length, without the words of machines."""
    assert text.endswith((".", "?", "`.")), text
    assert not UGLY.search(text), text
    assert len(text) <= LONGEST, len(text)
