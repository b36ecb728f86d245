"""Answers that a report shows: a bounded part of an evaluation, the worst of it first.

One of them, as it is written down::

    {"place": "test.jsonl:12", "given": {"text": "We loved it."}, "answer": {"label": "negative"},
     "expected": {"label": "positive"}, "kinds": ["positive as negative"], "wrong": 0.97}
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtl.config.section import Values
from mtl.data.rows import where
from mtl.data.store import ExampleStore
from mtl.reporting.mistakes import comparison_of
from mtl.tasks import Task
from mtl.tasks.base import document
from mtl.training.model import Answered
from mtl.types import Row

LOOKED_AT = 1_000
"""Examples of each task that are looked at, evenly spread."""
WRONG, RIGHT = 60, 10
"""How many are kept of those that are wrong, and of those that are right."""
CHARACTERS = 20_000
"""Of all texts of an example, beyond which it is not kept."""


@dataclass
class _Kept:
    """What is kept of one task's answers."""

    looked_at: int = 0
    wrong: list[tuple[float, int, int, Values]] = field(default_factory=list)
    """A heap whose first is the least wrong; of equals, the one with the fewest things wrong."""
    right: list[Values] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)


class Samples:
    """Keeps the worst answers of each task, and a few right ones.

    Args:
        tasks: By name.
        stores: Whose examples are answered.
    """

    def __init__(self, tasks: Mapping[str, Task], stores: Mapping[str, ExampleStore]) -> None:
        self.tasks = tasks
        self.stores = stores
        self.reset()

    def reset(self) -> None:
        """Forget all answers."""
        self._kept = {name: _Kept() for name in self.stores}

    def take(self, answered: Answered, *, written: bool) -> None:
        """Look at some answers.

        Args:
            answered: Of one batch.
            written: Whether they are texts, and not what their right texts cost.
        """
        task, store = self.tasks[answered.task], self.stores[answered.task]
        if written != (task.writer() is not None):
            return
        stride = -(-len(store) // LOOKED_AT)
        for number, output in zip(answered.numbers, answered.outputs, strict=True):
            if number % stride == 0:
                self._look(task, number, output, store.rows[number])

    def _look(self, task: Task, number: int, output: Any, row: Row) -> None:
        answer = task.present(output, row)
        comparison = comparison_of(answer)
        if comparison is None:
            return
        expected = task.expected(row)
        judged = comparison.judge(answer, expected)
        kept = self._kept[task.name]
        kept.looked_at += 1
        for kind in judged.kinds:
            kept.kinds[kind] = kept.kinds.get(kind, 0) + 1
        roles = [r.name for r in task.roles(task.options) if not r.target]
        given = {name: _text(row[name]) for name in roles if name in row}
        if "text" in given:
            given.pop("tokens", None)
        elif "tokens" in row:
            given = {"text": document(row), **{n: t for n, t in given.items() if n != "tokens"}}
        if sum(map(len, given.values())) > CHARACTERS:
            return
        sample = {
            "place": where(row),
            "given": given,
            "answer": answer,
            "expected": expected,
            "kinds": judged.kinds,
            "wrong": round(judged.wrong, 4),
        }
        if not judged.wrong:
            if len(kept.right) < RIGHT:
                kept.right.append(sample)
            return
        heapq.heappush(kept.wrong, (judged.wrong, len(judged.kinds), -number, sample))
        if len(kept.wrong) > WRONG:
            heapq.heappop(kept.wrong)

    def found(self, others: Sequence[Mapping[str, Values]] = ()) -> dict[str, Values]:
        """Return what was kept of each task, the worst first, joined with that of other ranks."""
        own = {
            name: {
                "looked_at": kept.looked_at,
                "kinds": kept.kinds,
                "samples": [s for *_, s in sorted(kept.wrong, key=lambda w: w[:3], reverse=True)]
                + kept.right,
            }
            for name, kept in self._kept.items()
        }
        return {name: _joined([one, *(o[name] for o in others)]) for name, one in own.items()}


def _joined(parts: Sequence[Values]) -> Values:
    kinds: dict[str, int] = {}
    for part in parts:
        for kind, count in part["kinds"].items():
            kinds[kind] = kinds.get(kind, 0) + count
    samples = [sample for part in parts for sample in part["samples"]]
    wrong = sorted((s for s in samples if s["wrong"]), key=_worst_first)[:WRONG]
    right = [s for s in samples if not s["wrong"]][:RIGHT]
    ranked = dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))
    looked_at = sum(part["looked_at"] for part in parts)
    return {"looked_at": looked_at, "kinds": ranked, "samples": [*wrong, *right]}


def _worst_first(sample: Values) -> tuple[float, int]:
    return -sample["wrong"], -len(sample["kinds"])


def _text(value: object) -> str:
    return " / ".join(map(str, value)) if isinstance(value, list) else str(value)
