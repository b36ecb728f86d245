"""One head as transformers' own class has it, with equal logits; or a refusal that says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtl.errors import ConfigError, Problem
from mtl.export.base import FORMATS, Made, Request, Source, refused, whole_trunk
from mtl.export.heads import HEADS
from mtl.export.heads.base import ELSE, WHERE
from mtl.tasks import Task


@FORMATS.register("transformers")
def transformers(source: Source, request: Request, folder: Path) -> Made:
    """Write a single head.

    Raises:
        ConfigError: If it is not one task's, or transformers has no such head.
    """
    whole_trunk(source, WHERE)
    tasks = source.choose(request.tasks)
    if len(tasks) != 1:
        found = f"the model has {', '.join(task.name for task in tasks)}"
        advice = "Choose one: --task NAME."
        raise ConfigError(
            Problem("--task", "to name one task for `--format transformers`", found, advice)
        )
    (task,) = tasks
    asked = request.head or task.type
    if request.head is None and task.type not in HEADS:
        expected = f"to be for tasks of the types {{{', '.join(HEADS)}}}"
        raise refused(WHERE, expected, f"task '{task.name}' is {task.type}", ELSE)
    made = HEADS.get(asked)(source, task)
    made.write(folder)
    return Made(
        "transformers",
        made.usage,
        [task.name],
        made.pipeline,
        limits=[
            f"`{made.auto}` gives the logits that mtl has, and mtl makes more of them: see above."
        ],
        sections={"What mtl makes of the logits": _after(task)},
        facts={"class": made.auto},
    )


def _after(task: Task) -> str:
    """Return what else there is between a head's logits and an answer, in sentences."""
    learned: Any = task.learned
    head = task.head_options.model_dump()
    lines = []
    temperature = getattr(learned, "temperature", 1.0)
    if temperature != 1.0:
        lines.append(f"Probabilities are those of the logits divided by {temperature:.4f}.")
    if getattr(learned, "thresholds", None):
        lines.append("Labels have thresholds of their own: `thresholds` in mtl_export.json.")
    if hasattr(learned, "spread"):
        lines.append(f"The number is `{learned.mean:.6g} + {learned.spread:.6g} * logit`.")
    if "subword" in head:
        lines.append(
            f"A word's label stands on one of its tokens: `head.subword` is {head['subword']} "
            "(auto: the last one where a text is read from left to right, else the first)."
        )
    if head.get("decoding") == "constrained":
        lines.append("Of all sequences of labels that are valid, the most probable one is taken.")
    if "pooling" in head:
        lines.append(f"Which states speak for a text: `head.pooling` is {head['pooling']}.")
    return "\n\n".join(lines)
