"""Write the small corpora that the recipes of docs/recipes/ begin with.

.venv/bin/python scripts/build_recipe_corpora.py

Each is made from patterns (scripts/corpora/), with a third of the names set apart for validation
and test. They show that a recipe runs, and how its data looks; they are no measure of anything.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.corpora import (  # noqa: E402
    assistant,
    helpdesk,
    market,
    phrasebook,
    quiz,
    shop,
    street,
)

Rows = Callable[[str, int, random.Random], Iterator[dict[str, Any]]]
CORPORA: Mapping[str, Rows] = {
    "assistant": assistant.rows,
    "helpdesk": helpdesk.rows,
    "market": market.rows,
    "phrasebook": phrasebook.rows,
    "quiz": quiz.rows,
    "shop": shop.rows,
    "street": street.rows,
}
SIZES = {"train": 240, "validation": 60, "test": 60}
SEED = 20


def write(folder: Path) -> None:
    """Write every corpus below a folder."""
    for name, rows in CORPORA.items():
        for number, (split, size) in enumerate(SIZES.items()):
            draw = random.Random(SEED + number)
            write_lines(folder / name / f"{split}.jsonl", rows(split, size, draw))
    write_lines(folder / "helpdesk" / "knowledge.jsonl", iter(helpdesk.KNOWLEDGE))


def write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(ROOT / "mtl" / "data" / "bundled")
