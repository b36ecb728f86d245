"""Texts as they come, what a model says of them, and the mentions that follow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from mtl.errors import ConfigError, Problem, one_of
from mtl.inference.texts import Predictor, TextResult
from mtl.inference.watch.sentences import sentences
from mtl.inference.watch.shares import Mention
from mtl.tasks.base import answer_labels
from mtl.tasks.results import Entities, Label


@dataclass(frozen=True)
class Reading:
    """Which tasks a watch reads, and what of them counts.

    Args:
        names: The task that marks names.
        mood: The task that judges texts.
        bad: Its label of bad ones.
        kinds: The labels of names that count; all when empty.
        part: What is judged for a name: the ``text`` that names it, or its ``sentence`` there.
    """

    names: str
    mood: str
    bad: str
    kinds: frozenset[str] = frozenset()
    part: str = "text"


def choose(
    predictor: Predictor,
    names: str | None,
    mood: str | None,
    bad: str,
    kinds: Iterable[str],
    part: str = "text",
) -> Reading:
    """Return which tasks to read: those said, or the only ones of their kind.

    Raises:
        ConfigError: If the model has none, several of which none is said, or no such label.
    """
    marking = _only(predictor, names, "--names", Entities, "marks spans")
    judging = _only(predictor, mood, "--mood", Label, "gives a text one label")
    labels = answer_labels(predictor.tasks[judging])
    if bad not in labels:
        raise ConfigError(one_of("--bad", bad, labels))
    known = answer_labels(predictor.tasks[marking])
    wanted = list(kinds)
    for kind in wanted:
        if kind not in known:
            raise ConfigError(one_of("--kinds", kind, known))
    return Reading(marking, judging, bad, frozenset(wanted), part)


def _only(predictor: Predictor, said: str | None, option: str, gives: type, does: str) -> str:
    found = [name for name, task in predictor.tasks.items() if issubclass(task.gives, gives)]
    if said is not None and found:
        if said not in found:
            raise ConfigError(one_of(option, said, found))
        return said
    if len(found) == 1:
        return found[0]
    if not found:
        have = f"this model has no task that {does}; its tasks are {', '.join(predictor.tasks)}"
        raise ConfigError(Problem(option, f"to name a task that {does}", have))
    expected = f"to name a task that {does}, where the model has several"
    raise ConfigError(Problem(option, expected, f"it is not set; choose of {', '.join(found)}"))


def batches(lines: Iterable[str], size: int) -> Iterator[list[tuple[str, str | None]]]:
    """Yield texts and their ids, so many at a time; empty lines are left out.

    Args:
        lines: A text each, or a JSON object with ``text`` and perhaps ``id``; of one that begins
            like an object and is none with a text, the text is empty.
        size: As many are answered together.
    """
    found = (_read(line.strip()) for line in lines if line.strip())
    while batch := list(islice(found, size)):
        yield batch


def _read(line: str) -> tuple[str, str | None]:
    if not line.startswith("{"):
        return line, None
    try:
        row = json.loads(line)
    except ValueError:
        return "", None
    text = row.get("text")
    own = row.get("id")
    return text if isinstance(text, str) else "", None if own is None else str(own)


def labels_of(
    predictor: Predictor, results: Iterable[TextResult], reading: Reading
) -> dict[str, str]:
    """Return the label of every text, or sentence of one, that names somebody.

    Sentences of texts that have several are answered together, in one pass.
    """
    found: dict[str, str] = {}
    asked: dict[str, None] = {}
    for result in results:
        for _, part in _named(result, reading):
            if part == result.text:
                found[part] = result[reading.mood].label
            else:
                asked[part] = None
    for answer in predictor.predict_iter(list(asked), [reading.mood], on_bad_row="mark"):
        if answer.error is None:
            found[str(answer.text)] = answer[reading.mood].label
    return found


def mentions(
    result: TextResult,
    reading: Reading,
    labels: Mapping[str, str],
    number: int,
    id: str | None = None,
) -> list[tuple[str, Mention]]:
    """Return the names in a text, each with what says something of it.

    Args:
        result: What the model says of the text.
        reading: What of it counts.
        labels: By text or sentence: what :func:`labels_of` found.
        number: The text's, in its stream.
        id: The text's own, where it has one.
    """
    return [
        (name, Mention(number, part, labels.get(part) == reading.bad, id))
        for name, part in _named(result, reading)
    ]


def _named(result: TextResult, reading: Reading) -> list[tuple[str, str]]:
    """Return each name that counts, with the text or the sentence that names it."""
    if result.error is not None:
        return []
    text = result.text or ""
    entities = [
        one
        for one in result[reading.names].entities
        if not reading.kinds or one.label in reading.kinds
    ]
    if reading.part == "text":
        return [(one.text, text) for one in entities]
    parts = sentences(text, [(one.start, one.end) for one in entities])
    inside = ((one, next(p for p in reversed(parts) if p[0] <= one.start)) for one in entities)
    alone = len(parts) == 1
    return [(one.text, text if alone else text[start:end].strip()) for one, (start, end) in inside]
