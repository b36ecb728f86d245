"""What a run says when it begins to train: its parts, and how to go on if it is stopped."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import lightning as L
import numpy as np
import torch

from mtl.config.schema import Config, MixingConfig
from mtl.data.rounds import Rounds
from mtl.data.store import ExampleStore
from mtl.files import write_whole
from mtl.inspection.checks.texts import shared_by
from mtl.inspection.inspect import most_important
from mtl.reporting.console import console, note, short_path
from mtl.reporting.report.files import FOLDER, RUN
from mtl.shipped import program
from mtl.training.long_documents import long_documents
from mtl.training.setup import Prepared, corpus_of

WIDTH = 80
LABEL = 9
"""Cells of the first column."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Opening:
    """The facts of a run."""

    tasks: Mapping[str, Sequence[int]]
    """Task to its examples of train, validation and test."""
    trunk: str
    """The name or path of the model."""
    architecture: str
    parameters: int
    tuning: str
    device: str
    processes: int
    threads: int | None
    """Of each process on a CPU."""
    precision: str
    steps: int
    steps_per_epoch: int
    examples: int
    """Of a step."""
    tokens: int | None
    """Most tokens of a pass; None where that is still to be found."""
    folder: Path
    mixture: str = ""
    """How often each task's examples are seen."""
    balancing: str = ""
    """The method that makes one update of several tasks' losses."""
    shared: str = ""
    """What tasks read in common, and what one pass for them saves."""
    leaks: str = ""
    """What a task is scored on that another one trains on."""
    learning: int = 0
    """Of the trunk's parameters, how many learn."""
    bf16_units: bool = False
    """Whether the device is a CPU that multiplies bf16 by itself."""


def opening_lines(facts: Opening) -> list[str]:
    """Return the lines, of at most 80 cells except for the last: a path is not cut."""
    lines = _block("tasks", _tasks(facts.tasks), most=2)
    lines += _block("trunk", _trunk(facts), most=1)
    lines += _block("device", _device(facts), most=1)
    lines += _block("steps", _steps(facts), most=1)
    lines += _block("mixing", facts.mixture, most=2) if facts.mixture else []
    lines += _block("balance", facts.balancing, most=1) if facts.balancing else []
    lines += _block("shared", facts.shared, most=3) if facts.shared else []
    lines += _block("leaks", facts.leaks, most=3) if facts.leaks else []
    if facts.bf16_units and facts.precision == "32-true":
        lines += _block("hint", "trainer.precision=bf16-mixed can halve the time on this CPU", 1)
    command = f"{program()} resume={shlex.quote(short_path(facts.folder))}"
    return [*lines, f"{'stopped?':{LABEL}}{command}"]


def _block(label: str, text: str, most: int) -> list[str]:
    wrapped = textwrap.wrap(
        text,
        WIDTH - LABEL,
        max_lines=most,
        placeholder=" ...",
        break_on_hyphens=False,
        break_long_words=True,
    )
    return [f"{label if not n else '':{LABEL}}{line}" for n, line in enumerate(wrapped)]


def _tasks(tasks: Mapping[str, Sequence[int]]) -> str:
    """Return the tasks; those of equal sizes stand together."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, sizes in tasks.items():
        alike.setdefault(tuple(sizes), []).append(name)
    groups = []
    for sizes, names in alike.items():
        found = [f"{n:,} {split}" for n, split in zip(sizes, SPLITS, strict=True) if n]
        groups.append(f"{', '.join(names)}: {' + '.join(found)}")
    return "; ".join(groups)


def _trunk(facts: Opening) -> str:
    after = f" ({facts.architecture}), {facts.parameters:,} parameters, tuning {facts.tuning}"
    room = WIDTH - LABEL - len(after)
    name = facts.trunk
    return (name if len(name) <= room else "..." + name[len(name) - room + 3 :]) + after


def _device(facts: Opening) -> str:
    parts = [facts.device, facts.precision]
    if facts.threads is not None:
        parts.insert(1, f"{facts.threads} thread{'s' if facts.threads > 1 else ''}")
    if facts.processes > 1:
        parts.insert(0, f"{facts.processes} processes, each")
    return ", ".join(parts).replace("each, ", "each ")


def _steps(facts: Opening) -> str:
    epochs = f"{facts.steps / facts.steps_per_epoch:.2f}".rstrip("0").rstrip(".")
    passes = "as many tokens as fit" if facts.tokens is None else f"up to {facts.tokens:,} tokens"
    return f"{facts.steps:,} of {facts.examples:,} examples ({epochs} epochs), passes of {passes}"


def mixture_of(section: MixingConfig, rounds: Rounds) -> str:
    """Return how often a run sees the examples of each task."""
    name = section.name if section.order == "mixed" else f"{section.name}, {section.order}"
    drawn, sizes = rounds.drawn(), rounds.sizes
    times = {
        t: f"{n / sizes[t]:,.2f}".rstrip("0").rstrip(".") for t, n in drawn.items() if sizes[t]
    }
    if len(set(times.values())) == 1 and len(times) == len(sizes):
        each = f"every example {min(times.values())} times"
    else:
        each = ", ".join(f"{task} {count} times" for task, count in times.items())
    later = " (validations will change it)" if rounds.every is not None else ""
    return f"{name}: {each}{later}"


def balancing_of(cfg: Config) -> str:
    """Return how several tasks' losses become one update; nothing is to be said of one task."""
    weights = {name: task.weight for name, task in cfg.tasks.items() if task.weight > 0}
    if len(weights) < 2:
        return ""
    own = ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight != 1)
    return f"{cfg.balancing.name}, with weights: {own}" if own else cfg.balancing.name


def shared_of(stores: Sequence[ExampleStore]) -> str:
    """Return which tasks train on documents of one before them, and what one pass saves by it."""
    found: dict[str, str] = {}
    for one, other in combinations(stores, 2):
        count, text = shared_by(one, other)
        if count:
            found.setdefault(other.task, text)
    return ". ".join(f"{task} {text}" for task, text in found.items())


def leaks_of(train: Sequence[ExampleStore], scored: Mapping[str, Sequence[ExampleStore]]) -> str:
    """Return which documents a task is scored on while another task trains the trunk on them.

    They are those that the task's own train has, too; others are left out when data is read.

    Args:
        train: The tasks that learn.
        scored: By the name of a split: each task's.
    """
    found = [
        f"{count:,} of {len(store):,} {split} documents of {store.task} are in train of {one.task}"
        for split, stores in scored.items()
        for store in stores
        for one in train
        if one.task != store.task and (count := int(np.isin(store.keys, one.keys).sum()))
    ]
    return f"{'; '.join(found)}: these scores may be too good" if found else ""


def tell_opening(cfg: Config, run_dir: Path, prepared: Prepared, trainer: L.Trainer) -> None:
    """Say what a run is made of, on the first rank."""
    if not trainer.is_global_zero:
        return
    data, trunk = prepared.data, prepared.model.trunk
    device = trainer.strategy.root_device
    searches = cfg.trainer.auto_scale_tokens and cfg.resume is None
    on_cpu = device.type == "cpu"
    learning = [store for store in data.train if store.task not in data.resting]
    stores = (learning, data.validation, data.test)
    sizes = [{store.task: len(store) for store in split} for split in stores]
    apart = cfg.mixing.order == "round_robin" or trunk.readers
    facts = Opening(
        tasks={t.name: [split.get(t.name, 0) for split in sizes] for t in prepared.tasks},
        trunk=cfg.trunk.path or cfg.trunk.name,
        architecture=trunk.config.model_type,
        parameters=sum(p.numel() for p in trunk.parameters()),
        tuning=cfg.tuning.name,
        learning=sum(p.numel() for p in trunk.parameters() if p.requires_grad),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        processes=trainer.world_size,
        threads=torch.get_num_threads() if on_cpu else None,
        precision=str(trainer.precision),
        steps=data.steps,
        steps_per_epoch=data.planner.steps_per_epoch,
        examples=cfg.batching.examples,
        tokens=None if searches else data.batching.tokens,
        folder=run_dir,
        mixture=mixture_of(cfg.mixing, data.planner.rounds),
        balancing=balancing_of(cfg),
        shared="" if apart else shared_of(learning),
        leaks=leaks_of(learning, {"validation": data.validation, "test": data.test}),
        bf16_units=on_cpu and multiplies_bf16(),
    )
    write_facts(facts)
    for line in opening_lines(facts):
        console().print(line, soft_wrap=True)
    if facts.tokens is not None:
        for line in long_documents(data.train, facts.tokens):
            note(line)
    findings = most_important(corpus_of(prepared)) if cfg.resume is None else []
    for finding in findings:
        console().print(f"{finding.level:<8} {finding}", soft_wrap=True, markup=False)
    if findings:
        console().print("more     mtl data, followed by all that this run was given")


def write_facts(facts: Opening) -> None:
    """Write down what the report says of a run; where that fails, a line says so."""
    known = asdict(facts)
    folder = known.pop("folder") / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / RUN, json.dumps(known))
    except OSError as error:
        note(f"{folder}: the report will lack what was trained: {error.strerror}.")


def multiplies_bf16() -> bool:
    """Return whether this CPU has units for products of bf16 numbers, and PyTorch uses them."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
