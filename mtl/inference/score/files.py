"""Reading the files that are scored; a fault names the file, and the line where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl.data.node import Node
from mtl.data.readers.jsons import BROKEN, fault
from mtl.errors import DataError, Place, Problem
from mtl.metrics.segments import by_character
from mtl.metrics.tokenizers import check_installed, check_language
from mtl.reporting.console import note


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text, without a byte-order mark, every line end a newline.

    Raises:
        DataError: If there is no such file, it cannot be read, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _problem(path, "a file", "there is none") from None
    except IsADirectoryError:
        raise _problem(path, "a file", "it is a folder") from None
    except UnicodeDecodeError as problem:
        found = f"byte {problem.start:,} is not"
        raise _problem(path, "UTF-8 text", found, "Convert the file.") from None
    except OSError as problem:
        raise _problem(path, "a file that can be read", f"got: {problem.strerror}") from None


def _problem(where: str | Path, expected: str, found: str, advice: str = "") -> DataError:
    return DataError(Problem(Place(where), expected, found, advice))


def parse_json(text: str, where: str) -> Any:
    """Return parsed JSON.

    Args:
        text: The JSON text.
        where: File, or file and line, for the message.

    Raises:
        DataError: If the text is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        place = f"line {problem.lineno}, column {problem.colno}"
        raise _problem(where, "JSON", f"got: {problem.msg} ({place})") from None
    except BROKEN as problem:  # Thousands of digits or of brackets.
        raise _problem(where, "JSON", f"found {fault(problem)}") from None


def read_json(path: Path) -> Node:
    """Return the JSON object that a file holds.

    Raises:
        DataError: If the file cannot be read or holds no JSON object.
    """
    return Node(parse_json(read_text(path), str(path)), str(path)).check(dict)


def read_jsonl(path: Path) -> Iterator[Node]:
    """Yield the JSON object on each line; blank lines are skipped.

    Raises:
        DataError: If the file cannot be read or a line is no JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            yield Node(parse_json(line, where), where).check(dict)


def check_overlap(
    golds: Mapping[str, object], found: Mapping[str, object], path: Path, what: str
) -> int:
    """Return how many ids of the gold data have no prediction; each of them counts as wrong.

    Args:
        golds: The gold data by id.
        found: The predictions by id.
        path: The file of predictions.
        what: What an id stands for, in the plural.

    Raises:
        DataError: If no id at all agrees, so that the files cannot belong together.
    """
    missing = sum(key not in found for key in golds)
    if missing == len(golds):
        example = next(iter(golds))
        expected = (
            f"predictions for the {len(golds):,} {what} of the gold file, such as id '{example}'"
        )
        advice = "Check that the two files belong together, and which comes first."
        raise _problem(path, expected, f"none of its {len(found):,} ids is among them", advice)
    return missing


def check_words(language: str) -> None:
    """Refuse what says nothing of how texts are split, and a tokenizer that lacks a package.

    Raises:
        ConfigError: Then.
    """
    check_language(language, "--language")
    check_installed(language, "--language")


def say_characters(right: Iterable[Sequence[str]], language: str) -> None:
    """Say for how many right texts characters are compared in place of words."""
    found = [by_character(texts, language) for texts in right]
    if count := sum(found):
        note(
            f"{count:,} of {len(found):,} right texts are in a script without spaces: their "
            "characters are compared in place of words (--language)."
        )
