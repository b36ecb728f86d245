"""``mtl_export.json``: what an export is, for programs: its format, tasks, labels and limits.

{"format": 1, "export": "onnx", "mtl": "0.1.0", "tasks": {"sentiment": {"type":
"text_classification", "labels": ["negative", "positive"], "temperature": 1.2}}, ...}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.config.section import Values
from mtl.errors import CheckpointError, Place, Problem

if TYPE_CHECKING:
    from mtl.export.base import Made, Source

MANIFEST = "mtl_export.json"
FORMAT = 1
PRIVATE = ("counts", "words")
"""Of what a task learned, what nobody needs who reads its logits."""


def write_manifest(folder: Path, name: str, version: str, source: Source, made: Made) -> None:
    """Write down what a folder holds.

    Args:
        folder: Of the export.
        name: Of its format.
        version: Of this package.
        source: The model.
        made: What the format says of it.
    """
    about = source.description
    tasks = {}
    for task in made.tasks:
        one = about.tasks[task]
        learned = {k: v for k, v in one.state.items() if k not in PRIVATE}
        tasks[task] = {"type": one.type, "metric": one.metric, **learned}
    found = {
        "format": FORMAT,
        "export": name,
        "mtl": version,
        "architecture": about.trunk.architecture,
        "attention": about.trunk.attention,
        "max_length": about.trunk.max_length,
        "prefix_space": about.trunk.prefix_space,
        "tasks": tasks,
        **made.facts,
    }
    text = json.dumps(found, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Values:
    """Return what a folder holds.

    Raises:
        CheckpointError: If it is no export, or one of a newer version.
    """
    file = folder / MANIFEST
    try:
        found: Values = json.loads(file.read_text(encoding="utf-8"))
        written = found["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(Problem(Place(file), "an export's JSON", f"got: {error}")) from error
    if not isinstance(written, int) or written > FORMAT:
        advice = "A newer mtl wrote it: update yours (pip install --upgrade), or export it again."
        expected = f"format {FORMAT} or an earlier one"
        raise CheckpointError(Problem(Place(file), expected, f"got {written}", advice))
    return found
