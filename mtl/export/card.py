"""The model card: front matter for the Hub, and what a person asks before using a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.metrics.names import metric_name
from mtl.secrets import mask

if TYPE_CHECKING:
    from mtl.config.schema import DataConfig
    from mtl.export.base import Made, Request, Source

NAME = "this folder"


def write_card(source: Source, request: Request, made: Made) -> str:
    """Return the model card, Markdown with YAML front matter.

    Args:
        source: The model.
        request: What was asked for; it has the licence.
        made: What the format says of what it wrote.
    """
    parts = [
        f"---\n{_front(source, request, made)}\n---",
        f"# {_title(made)}",
        _about(source, made),
    ]
    sections = {
        "How to use": made.usage.replace("{name}", "PATH").replace("{base}", made.base or "BASE"),
        "Data": _data(source, made),
        "Results": _results(source, made),
        **made.sections,
        "Limits": "\n".join(f"- {line}" for line in _limits(source, made)),
        "Licence": _licence(request),
    }
    parts += [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return mask("\n\n".join(parts)) + "\n"


def _title(made: Made) -> str:
    return ", ".join(made.tasks)


def _front(source: Source, request: Request, made: Made) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=source.description.tasks[task].type.replace("_", "-"),
            dataset_type=task,
            dataset_name=_origin(source, task) or task,
            dataset_split=split,
            metric_type=source.description.tasks[task].metric,
            metric_value=round(value, 4),
        )
        for task in made.tasks
        for split, value in [_primary(source, task)]
        if value is not None
    ]
    hub = [_hub_name(source, task) for task in made.tasks]
    card = ModelCardData(
        license=request.licence,
        library_name=made.library,
        tags=["multi-task", *made.tasks],
        pipeline_tag=made.pipeline,
        base_model=made.base or _base(source),
        datasets=sorted({name for name in hub if name}) or None,
        model_name=_title(made) if results else None,
        eval_results=results or None,
    )
    return str(card.to_yaml())


def _base(source: Source) -> str | None:
    """Return the Hub's name of the trunk that training began with."""
    path = source.config.trunk.path if source.config else None
    return path if path and not Path(path).exists() and path.count("/") == 1 else None


def _about(source: Source, made: Made) -> str:
    trunk = source.description.trunk
    names = ", ".join(f"`{n}` ({source.description.tasks[n].type})" for n in made.tasks)
    return (
        f"One {trunk.architecture} with a head for each task, trained together with `mtl`: {names}."
    )


def _data_of(source: Source, task: str) -> DataConfig | None:
    tasks = source.config.tasks if source.config else {}
    return tasks[task].data if task in tasks else None


def _origin(source: Source, task: str) -> str | None:
    """Return what a task's data is called, without the folders of the machine it lay on."""
    data = _data_of(source, task)
    if data is None:
        return None
    if data.source:
        return data.source if ":" in data.source else Path(data.source).name
    return Path(data.train).name if isinstance(data.train, str) else None


def _hub_name(source: Source, task: str) -> str | None:
    name = _origin(source, task) or ""
    if not name.startswith("hub:"):
        return None
    return name.removeprefix("hub:").partition("@")[0].partition(":")[0]


def _data(source: Source, made: Made) -> str:
    lines = [f"| `{t}` | {_origin(source, t) or 'not known'} |" for t in made.tasks]
    return "\n".join(["| task | trained on |", "|---|---|", *lines])


def _primary(source: Source, task: str) -> tuple[str, float | None]:
    """Return the split that a task's primary metric was computed on, and its value."""
    metric = source.description.tasks[task].metric
    for stage, split in (("test", "test"), ("val", "validation")):
        value = source.metrics.get(metric_name(stage, task, metric))
        if value is not None:
            return split, value
    return "test", None


def _results(source: Source, made: Made) -> str:
    rows = []
    for task in made.tasks:
        split, value = _primary(source, task)
        if value is None:
            continue
        metric = source.description.tasks[task].metric
        guess = source.metrics.get(metric_name("baseline", task, metric))
        shown = "" if guess is None else f"{guess:.4f}"
        rows.append(f"| `{task}` | {metric} | {split} | {value:.4f} | {shown} |")
    if not rows:
        return "Not known: the run that trained it was not at hand."
    return "\n".join(
        ["| task | metric | split | value | a guess |", "|---|---|---|---|---|", *rows]
    )


def _limits(source: Source, made: Made) -> Iterator[str]:
    trunk = source.description.trunk
    yield (
        "The scores above hold for texts like those of its data, and not for other kinds of text, "
        "other languages or other times."
    )
    for task in made.tasks:
        labels = source.description.tasks[task].state.get("labels")
        if labels:
            yield f"`{task}` knows these labels and no others: {', '.join(map(str, labels))}."
    yield f"It reads at most {trunk.max_length:,} tokens at once; mtl cuts longer texts in windows."
    yield from made.limits


def _licence(request: Request) -> str:
    if request.licence == "unknown":
        return (
            "Not stated. The licences of the trunk that training began with and of the data may "
            "bind what may be done with it."
        )
    return (
        f"{request.licence}. Those of the trunk that training began with and of the data hold, too."
    )
