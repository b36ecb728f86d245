"""A few sentences with entities, a mood and a number of stars, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SENTENCES = [
    ("Ines Talbot liked the soup .", "B-PER I-PER O O O O", "positive", 4.5),
    ("The Lantern in Brackwater was cold .", "O B-ORG O B-LOC O O O", "negative", 1.0),
    ("Okonkwo & Sons sold the mill .", "B-ORG I-ORG I-ORG O O O O", "neutral", 3.0),
    ("Nobody asked why .", "O O O O", "negative", 2.0),
    ("We loved Skerrow and its harbour !", "O O B-LOC O O O O", "positive", 5.0),
    ("The pump ran for 1,204 hours at the Lantern .", "O O O O O O O O B-ORG O", "neutral", 3.5),
    ("Talbot wept .", "B-PER O O", "negative", 1.5),
]
EXTRA = ["today", "again", "indeed", "too", "twice"]


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return rows of which no two have the same text."""
    found = []
    for number in range(start, start + count):
        text, tags, mood, stars = SENTENCES[number % len(SENTENCES)]
        more = EXTRA[: number // len(SENTENCES) % (len(EXTRA) + 1)]
        words, labels = [*text.split(), *more], [*tags.split(), *["O"] * len(more)]
        found.append(
            {
                "text": " ".join(words),
                "tokens": words,
                "ner_tags": labels,
                "sentiment": mood,
                "stars": stars + len(more) / 10,
            }
        )
    return found


def write_rows(path: Path, items: list[dict[str, Any]]) -> Path:
    """Write a JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def write_corpus(folder: Path) -> Path:
    """Write three splits; none shares a text with another."""
    for split, part in (("train", rows(16)), ("validation", rows(6, 16)), ("test", rows(9, 22))):
        write_rows(folder / f"{split}.jsonl", part)
    return folder
