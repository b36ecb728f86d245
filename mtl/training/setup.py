"""Build the parts of a run from its configuration: tasks, data, model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from mtl.config.idle import idle_lines
from mtl.config.schema import Config, MixingConfig, TuningConfig
from mtl.config.section import Section
from mtl.data.cache import ExampleCache, cache_folder
from mtl.data.collate import Sharing
from mtl.data.datamodule import MultiTaskData
from mtl.data.holdout import sample
from mtl.data.loaders import Writes
from mtl.data.mixing import MIXERS
from mtl.data.orders import ORDERS
from mtl.data.rows import Rows, write_rejects
from mtl.data.sources import Splits, Wanted, load_splits
from mtl.data.store import ExampleStore
from mtl.data.value_types import show
from mtl.errors import CheckpointError, ConfigError, DataError, few
from mtl.inspection.corpus import Corpus, Part
from mtl.registry import Registry
from mtl.reporting.console import is_rank_zero, note
from mtl.reporting.tracking import track
from mtl.tasks import Task
from mtl.tasks._weights import Counts
from mtl.tasks.base import Learned, remarks, restore, row_check, take
from mtl.tasks.contract import check_masses, check_metric_names, learn
from mtl.tasks.encode import encode_split
from mtl.training.balancing.gradients import steps_by_task
from mtl.training.checkpoint import State
from mtl.training.contents import last_path
from mtl.training.evaluation import check_metrics
from mtl.training.mixture import check_scores, check_stages, follows, say_what_stays
from mtl.training.model import MultiTaskModel, build_heads, build_task, seed_torch
from mtl.training.optim import layer_depths
from mtl.training.start import hold_back
from mtl.trunk import TextEncoder, Trunk
from mtl.trunk.load import document_limit, load_trunk
from mtl.trunk.quantized import compute_in
from mtl.trunk.text import byte_level, pad_id
from mtl.trunk.tuning import TUNINGS

T = TypeVar("T")
SPLITS = ("train", "validation", "test")


@dataclass
class Prepared:
    """Everything a run needs before it trains."""

    model: MultiTaskModel
    encoder: TextEncoder
    data: MultiTaskData
    splits: dict[str, Splits]
    columns: Mapping[str, Mapping[str, object]]

    @property
    def tasks(self) -> list[Task]:
        """The run's tasks, in order."""
        return list(self.model.tasks.values())


def prepare(
    cfg: Config,
    run_dir: Path,
    states: Mapping[str, State] | None = None,
    tell: Callable[[str], None] = note,
) -> Prepared:
    """Read the data, learn the labels, load the trunk and encode every example.

    Args:
        cfg: The run's configuration.
        run_dir: Where rejected rows are written.
        states: What the tasks learned, from a checkpoint; learned from the data when None.
        tell: Is given what was noted of the data, a sentence at a time.

    Raises:
        MtlError: If configuration, data or trunk are wrong.
    """
    tasks = [build_task(name, spec) for name, spec in cfg.tasks.items()]
    splits = read_splits(cfg, tasks)
    _check_present(splits, tell)
    if cfg.trainer.limit_val_examples is not None:
        _limit_validation(splits, tasks, cfg.trainer.limit_val_examples, cfg.seed)
    for task in tasks:
        if states is None:
            take(task, _learn(task, splits[task.name]))
        else:
            _load_state(task, states[task.name], last_path(run_dir))
    resting = hold_back(cfg, tasks, splits, tell)
    trunk = build_trunk(cfg, writes=any(task.traits.writes for task in tasks))
    for task in tasks:
        _check_direction(cfg, task, trunk)
        task.fits(trunk)
        _check_attention(cfg, task, trunk)
    encoder = build_encoder(cfg, trunk)
    heads = build_heads(tasks, trunk.hidden_size, cfg.seed, trunk.output)
    model = MultiTaskModel(trunk, tasks, heads)
    stores = _encode(cfg, model, encoder, splits)
    for store in stores["train"]:
        task = model.tasks[store.task]
        check_masses(task, model.head(task.name), store)
        check_metric_names(task, store)
        check_metrics(task, store)
    for line in (line for task in tasks for line in remarks(task)):
        tell(line)
    _say_what_is_written(tasks, stores["validation"])
    _say_what_learns(cfg, trunk)
    columns = {name: spec.columns for name, spec in cfg.tasks.items()}
    write_rejected(splits, run_dir)
    return Prepared(model, encoder, _data(cfg, trunk, tasks, stores, resting), splits, columns)


def _learn(task: Task, splits: Splits) -> Learned:
    """Return what a task learns: from training, and labels from other splits if it counts them.

    The labels of rows that were cut from train belong to it.
    """
    assert splits.train is not None
    if "labels" not in task.learns.model_fields:
        return learn(task, splits.train)
    learned = _learn_labels(task, splits)
    counts = getattr(learned, "counts", None)
    if counts is None or counts == Counts():
        return learned
    trained = learn(task, splits.train)  # Rows that are not trained on weigh nothing.
    return learned.model_copy(update={"counts": getattr(trained, "counts", counts)})


def _learn_labels(task: Task, splits: Splits) -> Learned:
    assert splits.train is not None
    learned = learn(task, splits.uncut or splits.train)
    if task.labels.unseen_labels == "error":
        return learned
    every = (splits.train, splits.validation, splits.test)
    wider = learn(task, [row for rows in every for row in rows or ()])
    both = [getattr(one, "labels", []) for one in (wider, learned)]
    unseen = [label for label in both[0] if label not in both[1]]
    if unseen:
        note(
            f"tasks.{task.name}: {len(unseen):,} labels have no row in training and always count "
            f"as wrong ({few(unseen)})."
        )
    return wider


def corpus_of(prepared: Prepared) -> Corpus:
    """Return what was prepared as checks of the data look at it."""
    stores = (prepared.data.train, prepared.data.validation, prepared.data.test)
    parts = [
        Part(prepared.model.tasks[store.task], split, rows, store)
        for split, some in zip(SPLITS, stores, strict=True)
        for store in some
        if (rows := getattr(prepared.splits[store.task], split)) is not None
    ]
    notes = [line for own in prepared.splits.values() for line in own.notes]
    return Corpus(parts, prepared.encoder, prepared.tasks, notes)


def _load_state(task: Task, state: State, path: Path) -> None:
    try:
        restore(task, state)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: Expected what task '{task.name}' learned, but got {show(state)}; copy "
            "another checkpoint of the run over it, or train anew."
        ) from error


def read_splits(
    cfg: Config, tasks: Iterable[Task], base: Path | None = None, only: Sequence[str] = SPLITS
) -> dict[str, Splits]:
    """Read the splits of a run's tasks as training reads them; see :func:`load_splits`."""
    wanted, rules = {}, {}
    for task in tasks:
        spec, roles = cfg.tasks[task.name], task.roles(task.options)
        check, rules[task.name] = row_check(task)
        wanted[task.name] = Wanted(spec.data, spec.columns, roles, check)
    splits = load_splits(wanted, cfg.seed, base, only)
    for name, own in splits.items():
        own.notes += rules[name].notes()
    return splits


def _check_present(splits: Mapping[str, Splits], tell: Callable[[str], None]) -> None:
    """Tell what was noted of the splits; training and validation must have rows."""
    for name, own in splits.items():
        for line in own.notes:
            tell(line)
        for split in ("train", "validation"):
            if not getattr(own, split):
                raise DataError(
                    f"Expected `tasks.{name}.data` to give at least one example of {split}, but "
                    "there is none."
                )


def _limit_validation(
    splits: Mapping[str, Splits], tasks: Iterable[Task], limit: int, seed: int
) -> None:
    rows = {name: own.validation for name, own in splits.items() if own.validation is not None}
    roles = {task.name: task.roles(task.options) for task in tasks}
    for name, part in sample(rows, roles, dict.fromkeys(rows, limit), seed).items():
        splits[name].validation = part


def write_rejected(splits: Mapping[str, Splits], run_dir: Path) -> None:
    """Write rows that were left out to ``rejected.jsonl``, if there are any."""
    bad = [s.bad_rows for s in splits.values() if len(s.bad_rows)]
    if bad and is_rank_zero():
        write_rejects(run_dir / "rejected.jsonl", bad)


def build_trunk(cfg: Config, *, writes: bool = False) -> Trunk:
    """Load the trunk, with its output layer if a task `writes`; mark which parameters learn."""
    torch.manual_seed(cfg.seed)
    trunk = load_trunk(cfg.trunk, writes=writes)
    trunk.readers = tuple(cfg.tasks) if cfg.tuning.adapters == "per_task" else ()
    tune, own = _method(TUNINGS, cfg.tuning)
    with torch.random.fork_rng(devices=[]):
        seed_torch(cfg.seed, "tuning")
        trunk.tuning = tune(trunk, own) or trunk.tuning
    compute_in(trunk.model, cfg.trainer.precision)
    if cfg.tuning.layer_decay < 1:
        layer_depths(trunk)
    return trunk


def _method(registry: Registry[T], section: MixingConfig | TuningConfig) -> tuple[T, Section]:
    """Return what a section names, and its options: its own where it has any, else the section."""
    entry = registry.get(section.name)
    own = registry.options(section.name)
    return entry, section if own is None else own.model_validate(section.options)


def _say_what_learns(cfg: Config, trunk: Trunk) -> None:
    for line in idle_lines(cfg):
        note(line)
    if trunk.readers:
        note(
            "tuning.adapters=per_task: each task's documents are read with its own adapter, so one "
            "that several tasks read costs a pass for each of them."
        )
    if cfg.tuning.name != "full":
        sizes = {p: p.numel() for p in trunk.parameters()}
        learning = sum(size for p, size in sizes.items() if p.requires_grad)
        note(
            f"tuning.name={cfg.tuning.name}: {learning:,} of the trunk's {sum(sizes.values()):,} "
            "weights learn."
        )


def build_encoder(cfg: Config, trunk: Trunk) -> TextEncoder:
    """Return the trunk's text encoder."""
    wish = {"true": True, "false": False}.get(cfg.trunk.prefix_space)
    prefix = byte_level(trunk.tokenizer) if wish is None else wish
    limit = document_limit(trunk, cfg.trunk.max_length)
    return trunk.text_encoder(limit, cfg.trunk.stride, prefix_space=prefix)


def attention_of(cfg: Config, task: str, trunk: Trunk) -> str:
    """Return how a task's documents are read: its own wish on decoders, else the trunk's."""
    wish = cfg.tasks[task].attention
    return wish if wish is not None and trunk.architecture == "decoder" else trunk.attention


def _check_attention(cfg: Config, task: Task, trunk: Trunk) -> None:
    found = attention_of(cfg, task.name, trunk)
    known = task.traits.attentions
    if found in known:
        return
    own = f"tasks.{task.name}.attention"
    key = "trunk.attention" if cfg.tasks[task.name].attention is None else own
    raise ConfigError(
        f"Expected `{key}` to be {' or '.join(known)}, because task '{task.name}' reads "
        f"its texts so, but got {found}; set `{own}={known[0]}`."
    )


def _encode(
    cfg: Config, model: MultiTaskModel, encoder: TextEncoder, splits: Mapping[str, Splits]
) -> dict[str, list[ExampleStore]]:
    stores: dict[str, list[ExampleStore]] = {split: [] for split in SPLITS}
    cache = ExampleCache(cache_folder(cfg.cache.dir) if cfg.cache.examples else None, note)
    overfit = cfg.trainer.overfit_examples
    todo: list[tuple[str, Task, Rows]] = []
    for name, task in model.tasks.items():
        found = splits[name]
        for split in SPLITS:
            rows = getattr(found, split if overfit is None else "train")
            if rows is not None and len(rows):
                todo.append((split, task, rows if overfit is None else _first(rows, overfit)))
    with track("Encoding", sum(len(rows) for *_, rows in todo)) as advance:
        for split, task, rows in todo:
            how = attention_of(cfg, task.name, model.trunk)
            stores[split].append(encode_split(task, rows, encoder, how, advance, cache))
    encoder.forget()
    return stores


def _first(rows: Rows, count: int) -> Rows:
    return rows.select(range(min(count, len(rows))))


def _check_direction(cfg: Config, task: Task, trunk: Trunk) -> None:
    can = trunk.capabilities.can_attend_bidirectionally
    if attention_of(cfg, task.name, trunk) == "bidirectional" and not can:
        raise ConfigError(
            f"Expected `tasks.{task.name}.attention` to be causal, but got bidirectional: the "
            f"tokens of a {trunk.config.model_type} model cannot see what comes after them."
        )


def _writes(tasks: Sequence[Task]) -> dict[str, dict[str, Writes]]:
    """Return for which examples texts are written: a bounded part of validation, all of test."""
    asked = [(t.name, t.writer()) for t in tasks]
    return {
        "val": {n: Writes(w.validation_examples, w.new_tokens) for n, w in asked if w},
        "test": {n: Writes(None, w.new_tokens) for n, w in asked if w},
    }


def _say_what_is_written(tasks: Sequence[Task], validation: Sequence[ExampleStore]) -> None:
    sizes = {store.task: len(store) for store in validation}
    for task in tasks:
        writer = task.writer()
        few = writer.validation_examples if writer else None
        if few is not None and few < sizes[task.name]:
            note(
                f"tasks.{task.name}: each validation writes texts for {few:,} of "
                f"{sizes[task.name]:,} examples, always the same, and its scores are of these."
            )


def _data(
    cfg: Config,
    trunk: Trunk,
    tasks: Sequence[Task],
    stores: dict[str, list[ExampleStore]],
    resting: Collection[str],
) -> MultiTaskData:
    sharing = Sharing(
        rows=trunk.capabilities.share_rows and cfg.batching.pack,
        branches=trunk.share_branches,
        pad=pad_id(trunk.tokenizer),
        tasks=not trunk.readers,
    )
    make, options = _method(MIXERS, cfg.mixing)
    mixer = make(options)
    check_scores(cfg.mixing, mixer, tasks)
    check_stages(cfg.mixing, resting)
    every = (cfg.trainer.val_check_interval or 0) if follows(cfg.mixing, mixer) else None
    data = MultiTaskData(
        stores["train"],
        stores["validation"],
        stores["test"],
        batching=cfg.batching,
        sharing=sharing,
        mixer=mixer,
        order=ORDERS.get(cfg.mixing.order)(),
        stages=cfg.mixing.stages,
        every=every,
        seed=cfg.seed,
        max_epochs=cfg.trainer.max_epochs,
        max_steps=cfg.trainer.max_steps,
        writes=_writes(tasks),
        keeps=trunk.keeps,
        resting=resting,
    )
    say_what_stays(cfg.mixing, mixer, data.planner.rounds)
    data.by_task = steps_by_task(cfg, data.steps)
    return data
