"""Roles and one-line readers that several tests of data share."""

from pathlib import Path
from typing import Any

from mtl.data.readers import read_split
from mtl.data.rows import BadRows, Role, Rows

NER = (Role("tokens", "tokens"), Role("labels", "tags", target=True))
CLASSES = (Role("text", "text"), Role("label", "label", target=True))
CONLL = {"tokens": 0, "labels": -1}
NAMED = {"text": "text", "label": "label"}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_words(path: Path | str, **options: Any) -> Rows:
    return read_split(path, **{"columns": CONLL, "roles": NER, **options})


def read_classes(path: Path | str, **options: Any) -> Rows:
    return read_split(path, **{"columns": NAMED, "roles": CLASSES, **options})


def skipping() -> BadRows:
    return BadRows("skip", "tasks.ner.data")


def plain(rows: Rows) -> list[dict[str, Any]]:
    """Return the rows without what the reader adds."""
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
