"""Label Studio's JSON and JSON-MIN: a list of tasks, each a text with its regions.

A task in JSON, and the same in JSON-MIN::

    {"id": 7, "data": {"text": "Ines left."}, "annotations": [{"was_cancelled": false, "result": [
        {"type": "labels", "from_name": "label", "to_name": "text",
         "value": {"start": 0, "end": 4, "text": "Ines", "labels": ["PER"]}}]}]}
    {"id": 7, "text": "Ines left.", "annotator": 1,
     "label": [{"start": 0, "end": 4, "text": "Ines", "labels": ["PER"]}]}

The tool counts characters as JavaScript does, in UTF-16; what a region holds tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtl.config.section import Values
from mtl.data.readers.annotated import (
    Annotated,
    Fields,
    an_object,
    claims,
    fit_annotated,
    leave_out,
    reader,
    write_list,
)
from mtl.data.readers.base import FORMATS, Cells, Format, Source
from mtl.data.spans import utf16_places
from mtl.data.value_types import show
from mtl.errors import Mismatch

_VERSIONS = ("annotations", "completions")
"""Under which key versions of the tool have what annotators said."""


def to_cells(source: Source, line: int, record: Any) -> Cells | None:
    """Return the cells of a task; None where nobody has annotated it.

    Raises:
        ValueError: If it is none of Label Studio's.
    """
    task = an_object(record, "Label Studio")
    if "data" not in task:
        return _short(source, task)
    data = an_object(task["data"], "Label Studio")
    cells: Fields = {"text": _text(source, data), "id": task.get("id", data.get("id"))}
    if "spans" not in source.columns:
        return cells
    said = next((task[key] for key in _VERSIONS if key in task), None)
    if said is None and "predictions" in task:
        said = task["predictions"]
        source.count(line, "predicted task", "read as if it were annotated")
    if not isinstance(said, list):
        raise Mismatch(
            "`annotations`, as Label Studio exports them",
            f"the task has {', '.join(task)}; export it again as JSON or JSON-MIN",
        )
    valid = [an_object(a, "Label Studio") for a in said]
    valid = [a for a in valid if not (a.get("was_cancelled") or a.get("skipped"))]
    leave_out(source, line, "unannotated or skipped task", int(not valid))
    leave_out(source, line, "further annotation", len(valid[1:]))
    if not valid:
        return None
    chosen = next((a for a in valid if a.get("ground_truth")), valid[0])
    return {**cells, "spans": _regions(source, line, chosen.get("result"))}


def _regions(source: Source, line: int, result: object) -> list[Values]:
    """Return the regions of an annotation that are spans with labels.

    Raises:
        ValueError: If one has no place in the text.
    """
    if not isinstance(result, list):
        raise Mismatch("`result` to be a list, as Label Studio exports it", f"got {show(result)}")
    found, others = [], 0
    for region in result:
        value = region.get("value") if isinstance(region, dict) else None
        labels = _labels(value) if isinstance(value, dict) else None
        if labels is None:
            others += 1
            continue
        found.append(_span(value, labels))
    leave_out(source, line, "unlabelled region", others)
    return found


def _labels(value: Mapping[str, Any]) -> list[str] | None:
    """Return a region's labels: ``labels``, or ``hypertextlabels`` and the like."""
    keys = [key for key in value if key.endswith("labels")]
    return next((value[k] for k in keys if isinstance(value[k], list) and "start" in value), None)


def _span(value: Any, labels: list[str]) -> Values:
    """Return a region as a span; of HTML, the offsets into its text are global ones."""
    place = value.get("globalOffsets") or value
    held = {"text": value["text"]} if isinstance(value.get("text"), str) else {}
    return {"start": place.get("start"), "end": place.get("end"), "labels": labels, **held}


def _short(source: Source, task: Values) -> Cells:
    """Return the cells of a task in JSON-MIN, whose regions stand under the name of a control."""
    keys = [k for k, v in task.items() if isinstance(v, list) and v and all(map(_is_region, v))]
    cells: Fields = {"text": _text(source, task), "id": task.get("id")}
    if "spans" in source.columns:
        cells["spans"] = [_span(r, _labels(r) or []) for key in keys for r in task[key]]
    return cells


def _text(source: Source, data: Values) -> str:
    """Return a task's text: under the name that the task's columns say, ``text``, or the only one.

    Raises:
        ValueError: If there is none.
    """
    names = [str(source.columns.get("text")), "text"]
    texts = [name for name, value in data.items() if isinstance(value, str)]
    found = next((name for name in names if name in texts), None)
    if found is None and len(texts) != 1:
        raise Mismatch(
            "a text under 'text'",
            f"got {', '.join(data) or 'nothing'}; name it `text` in Label Studio's labeling "
            "configuration",
        )
    return str(data[found or texts[0]])


def _is_region(item: object) -> bool:
    return isinstance(item, dict) and {"start", "end"} <= item.keys() and _labels(item) is not None


def is_label_studio(source: Source, record: object) -> bool:
    """Whether a record is a task of Label Studio."""
    if not isinstance(record, dict):
        return False
    if isinstance(record.get("data"), dict):
        return any(isinstance(record.get(k), list) for k in (*_VERSIONS, "predictions"))
    short = any(isinstance(v, list) and v and all(map(_is_region, v)) for v in record.values())
    return short and any(isinstance(v, str) for v in record.values())


def write(path: Path, documents: Iterable[Annotated]) -> None:
    """Write documents as tasks with predictions, which Label Studio shows to be corrected."""
    write_list(path, map(_task, documents))


def _task(document: Annotated) -> Values:
    units = utf16_places(document.text).units
    result = [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {
                "start": units[s["start"]],
                "end": units[s["end"]],
                "text": document.text[s["start"] : s["end"]],
                "labels": [s["label"]],
            },
            **({"score": s["score"]} if "score" in s else {}),
        }
        for s in document.spans
    ]
    data = {"text": document.text, **({} if document.id is None else {"id": document.id})}
    return {"data": data, "predictions": [{"model_version": "mtl", "result": result}]}


FORMATS.register("labelstudio")(
    Format(
        reader(to_cells),
        fit=fit_annotated,
        within=("json", "jsonl"),
        claims=claims(is_label_studio),
        write=write,
    )
)
