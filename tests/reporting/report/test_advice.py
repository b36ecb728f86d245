"""What a report says to try, from numbers of which the reason is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtl.reporting.report.advice import advice
from mtl.reporting.report.reading import RunFiles


def run(**changes: Any) -> RunFiles:
    own = {"type": "t", "metric": "f1", "looked_at": 50, "kinds": {}, "tables": {}}
    own |= changes.pop("own", {})
    other = {**own, "kinds": {}, "tables": {}}
    given: dict[str, Any] = {
        "folder": Path("run"),
        "name": "run",
        "overrides": [],
        "config": {"tasks": {"ner": {}, "pos": {}}},
        "metrics": {"test/ner/f1": 0.4, "test/pos/f1": 0.9, "baseline/ner/f1": 0.0},
        "curves": {},
        "facts": {"parameters": 10**9, "steps": 100, "tasks": {"ner": [50], "pos": [50]}},
        "evidence": {"test": {"tasks": {"ner": own, "pos": other}}},
    }
    return RunFiles(**{**given, **changes})


def test_the_weakest_task_comes_first() -> None:
    assert advice(run()) == [
        "Weakest task: ner, with f1 0.4000 on test, where the baseline has 0.0000.",
        "pos, with f1 0.9000 on test.",
    ]
    assert advice(run(metrics={})) == []
    near = {"test/ner/f1": 0.6, "baseline/ner/f1": 0.0, "test/pos/f1": 0.9, "baseline/pos/f1": 0.88}
    assert advice(run(metrics=near))[0].startswith("Weakest task: pos, ")
    nothing = {"test/ner/f1": 0.9, "test/pos/f1": 0.2, "baseline/pos/f1": 0.2}
    said = advice(run(metrics=nothing, own={"kinds": {"PER missed": 4, "edge of PER": 1}}))
    assert said == [
        "Weakest task: pos, with f1 0.2000 on test, no better than the baseline's 0.2000.",
        "ner, with f1 0.9000 on test; most frequent mistake: PER missed (4).",
    ]


def test_what_is_said_of_many_tasks() -> None:
    own = {"type": "t", "metric": "f1", "looked_at": 9, "kinds": {}, "tables": {}}
    names = [f"t{n}" for n in range(9)]
    found = advice(
        run(
            config={"tasks": {name: {} for name in names}},
            metrics={f"test/{name}/f1": n / 10 for n, name in enumerate(names)},
            evidence={"test": {"tasks": dict.fromkeys(names, own)}},
        )
    )
    assert found[0].startswith("Weakest task: t0, ")
    assert found[-1] == "3 more tasks are further above their baselines."
    assert len(found) == 7


ROWS = [
    {"type": "overall", "f1": 0.4, "gold": 100},
    {"type": "PER", "f1": 0.9, "gold": 60},
    {"type": "LOC", "f1": 0.8, "gold": 30},
    {"type": "MISC", "f1": 0.1, "gold": 10},
    {"label": "I-PER", "f1": 0.0, "support": 1},
]
SIZES = {"parameters": 10**9, "steps": 100, "tasks": {"ner": [10], "pos": [90]}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"own": {"tables": {"entities": ROWS}}}, "more training rows with MISC"),
        ({"own": {"kinds": {"edge of PER": 6, "LOC missed": 4}}}, "one rule for where spans begin"),
        ({"facts": SIZES}, "tasks.ner.weight=2, because it has 10% of all training rows."),
        ({"curves": {"val/score": [(50, 0.1), (100, 0.2)]}}, "more steps (trainer.max_epochs)"),
        (
            {
                "curves": {"val/score": [(50, 0.1), (100, 0.2)]},
                "config": {"tasks": {"ner": {}, "pos": {}}, "trainer": {"max_steps": 100}},
            },
            "more steps (trainer.max_steps)",
        ),
        (
            {"own": {"type": "token_classification", "kinds": {"PER in pieces": 5}}},
            "tasks.ner.head.decoding=crf, or one rule for where spans begin and end: 100% of",
        ),
        ({"curves": {"val/score": [(20, 0.3), (100, 0.2)]}}, "a lower trunk.lr, or more data"),
        ({"facts": {"parameters": 10**6}}, "a larger pretrained trunk"),
    ],
)
def test_what_to_try(changes: dict[str, Any], said: str) -> None:
    tried = [line for line in advice(run(**changes)) if line.startswith("To try for ner: ")]
    assert len(tried) == 1
    assert said in tried[0]


def test_a_common_label_is_not_asked_for() -> None:
    rows = [{"label": "a", "f1": 0.1, "support": 90}, {"label": "b", "f1": 0.9, "support": 10}]
    rows.append({"label": "macro avg", "f1": 0.0, "support": 100})
    assert not any("To try" in line for line in advice(run(own={"tables": {"labels": rows}})))
