"""The study of what grouping costs: its table, and that its runs differ in nothing but grouping."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scripts.quality import grouping


def squad(path: Path, paragraphs: int) -> None:
    """Write a file with two questions for each paragraph."""
    path.parent.mkdir(exist_ok=True)
    found: list[dict[str, Any]] = [
        {
            "context": f"Number {p} came.",
            "qas": [
                {"id": f"{p}-{q}", "question": "Who?", "answers": [{"text": str(p)}]}
                for q in range(2)
            ],
        }
        for p in range(paragraphs)
    ]
    whole = {"version": "1.1", "data": [{"title": "t", "paragraphs": found}]}
    path.write_text(json.dumps(whole), encoding="utf-8")


def test_runs_differ_in_seed_and_limit_alone(tmp_path: Path) -> None:
    squad(tmp_path / "squad" / "train-v1.1.subset.json", 5)
    squad(tmp_path / "squad" / "dev-v1.1.reconstructed.json", 10)
    options = argparse.Namespace(
        out=tmp_path, answers=7, validation=4, seeds=2, tasks=["qa"], branches=[1, 16], set=[]
    )
    found = list(grouping.runs(options, tmp_path))
    assert [(r.branches, r.seed) for r in found] == [(1, 1), (16, 1), (1, 2), (16, 2)]
    same = [
        {s for s in r.line if not s.startswith(("seed=", "batching.max_branches="))} for r in found
    ]
    assert all(line == same[0] for line in same)
    rows = tmp_path / "rows"
    train, held = ((rows / f"{n}.jsonl").read_text().splitlines() for n in ("train", "validation"))
    assert [json.loads(row)["answers"] for row in train] == [[str(n // 2)] for n in range(7)]
    assert [json.loads(row)["answers"] for row in held] == [["0"], ["2"], ["5"], ["7"]]


def test_table_has_means_over_seeds() -> None:
    rows = [
        grouping.scores("qa", {"cpu_seconds": s, "val/qa/f1": f, "val/qa/em": 0.1})
        for s, f in ((10.0, 0.2), (14.0, 0.4))
    ]
    text = grouping.table({("qa", 1): rows, ("qa", grouping.ALL): rows[:1]})
    assert "| qa | 1 | 12.0 ± 2.8 |  | 30.0 ± 14.1 | 10.0 ± 0.0 |" in text
    assert "| qa | all | 10.0 |  | 20.0 | 10.0 |" in text
