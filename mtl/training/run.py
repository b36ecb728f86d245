"""``train(cfg)``: the one place where configuration becomes objects, and objects a model."""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import Logger

from mtl.config.schema import Config
from mtl.data.holdout import Keys, text_keys
from mtl.errors import ConfigError, one_of
from mtl.files import write_whole
from mtl.launch.parent import handling
from mtl.launch.processes import METRICS_FILE, read_metrics, sweep_job
from mtl.metrics.names import SCORE, metric_name, parse_metric_name
from mtl.reporting.console import console, note, short_path
from mtl.reporting.loggers import RunFacts, build_loggers, finish_loggers
from mtl.reporting.report.curves import Curves
from mtl.reporting.report.files import FOLDER, PAGE, TUNING
from mtl.reporting.report.page import write_report
from mtl.reporting.summary import closing_table, further_runs, held_lines, next_steps, skipped_line
from mtl.tasks import Task
from mtl.tasks.base import asks, own_metrics, restore
from mtl.training.allocator import give_back, keep_freed_memory
from mtl.training.budget import with_budget
from mtl.training.checkpoint import State, read_checkpoint
from mtl.training.contents import (
    budget_of,
    check_data,
    check_weights,
    digests_of,
    is_finished,
    last_checkpoint,
    stopped_early,
)
from mtl.training.description import files_of
from mtl.training.disk import full_disk
from mtl.training.evaluation import (
    Evaluation,
    baseline_scores,
    higher_is_better,
    lower_is_better,
)
from mtl.training.evidence import KeepEvidence
from mtl.training.memory import memory_advice, what_to_lower
from mtl.training.mixture import following
from mtl.training.model import build_task
from mtl.training.model_io import save_model, trained_on
from mtl.training.module import MultiTaskModule
from mtl.training.opening import tell_opening
from mtl.training.pruning import pruner_of
from mtl.training.setup import Prepared, attention_of, prepare
from mtl.training.sharding import load_whole, make_whole
from mtl.training.start import begin, scores_before
from mtl.training.stopping import StopOnSignal, requeue_if_asked
from mtl.training.trainer import STATES, build_trainer, check_device, keeper_of
from mtl.trunk.quantized import check_quantization

LOAD_LESS = "`tasks.<name>.data.max_examples` or `trunk.max_length`, or choose a smaller trunk"
"""What takes less memory before training begins."""


def train(cfg: Config, run_dir: Path) -> dict[str, float]:
    """Train, keep the best weights, evaluate them, and write the run's folder.

    Args:
        cfg: The whole configuration; `resume` continues the run in `run_dir`.
        run_dir: The run's folder.

    Returns:
        What ``metrics.json`` holds: ``test/<task>/<metric>``, ``val/…`` and ``baseline/…``.

    Raises:
        MtlError: If configuration, data, trunk or checkpoint are wrong.
    """
    _quiet()
    keep_freed_memory()
    L.seed_everything(cfg.seed, verbose=False)
    torch.set_num_threads(cfg.trainer.threads or torch.get_num_threads())
    os.environ.setdefault("RAYON_NUM_THREADS", str(torch.get_num_threads()))  # the tokenizer's
    _check_monitor(cfg.monitor, [build_task(name, spec) for name, spec in cfg.tasks.items()])
    check_device(cfg.trainer.accelerator)
    check_quantization(cfg.trunk, cfg.trainer.accelerator)
    checkpoint = last_checkpoint(run_dir, list(cfg.tasks)) if cfg.resume is not None else None
    states = checkpoint["mtl"]["tasks"] if checkpoint else None
    if checkpoint and cfg.trainer.auto_scale_tokens:
        cfg = with_budget(cfg, budget_of(checkpoint, run_dir))
    with memory_advice(lambda: LOAD_LESS):
        prepared = prepare(cfg, run_dir, states)
    give_back()
    _check_monitor(cfg.monitor, prepared.tasks)
    digests = digests_of(prepared.splits)
    if checkpoint:
        check_weights(checkpoint, prepared.model, run_dir)
        check_data(checkpoint, digests, go_on=cfg.changed_data == "continue")
    copied: list[str] = []
    if cfg.init.run is not None:
        copied = begin(cfg, prepared.model, resumes=checkpoint is not None, tell=note)
    if checkpoint and is_finished(checkpoint, prepared.data.steps, run_dir):
        note(f"This run is finished after {checkpoint['global_step']} steps: nothing to do.")
        return read_metrics(run_dir)
    module = MultiTaskModule(
        prepared.model,
        cfg,
        steps=prepared.data.steps,
        stores={"val": prepared.data.validation, "test": prepared.data.test},
        digests=digests,
    )
    last_step = prepared.data.steps
    if checkpoint and stopped_early(checkpoint):
        last_step = checkpoint["global_step"]
    run_dir.mkdir(parents=True, exist_ok=True)
    loggers = _loggers(cfg, run_dir, prepared.tasks)
    failed = True
    with requeue_if_asked(), full_disk(run_dir):
        try:
            with memory_advice(lambda: what_to_lower(module.cfg, prepared.encoder.max_length)):
                metrics = _fit_and_test(cfg, run_dir, prepared, module, loggers, last_step, copied)
            failed = False
        finally:
            finish_loggers(loggers, failed=failed)
    return metrics


def _fit_and_test(
    cfg: Config,
    run_dir: Path,
    prepared: Prepared,
    module: MultiTaskModule,
    loggers: list[Logger],
    last_step: int,
    old: list[str],
) -> dict[str, float]:
    higher = _higher_is_better(cfg.monitor, prepared.tasks)
    keeper = keeper_of(cfg, run_dir, higher_is_better=higher)
    stopper = StopOnSignal(keeper, run_dir)
    tell = partial(tell_opening, cfg, run_dir, prepared)
    opening = LambdaCallback(on_train_start=lambda trainer, module: tell(trainer))
    pruner = pruner_of(cfg, prepared.data.steps)
    callbacks = [opening, stopper, KeepEvidence(run_dir, keeper), *([pruner] if pruner else [])]
    callbacks += following(cfg.mixing, prepared.data.planner, prepared.model.tasks)
    trainer = build_trainer(cfg, run_dir, prepared.data, keeper, callbacks, loggers, last_step)
    resume = keeper.last_path if cfg.resume is not None else None
    data = prepared.data
    if old and resume is None and cfg.trainer.strategy != "fsdp":
        device, test = trainer.strategy.root_device, cfg.trainer.test
        module.results |= scores_before(prepared.model, data, old, device, test=test)
    with handling(stopper.hear):
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        if pruner and pruner.pruned:
            if trainer.is_global_zero:
                write_metrics(run_dir, module.results)
            return module.results
        if keeper.validated_at != trainer.global_step:
            trainer.validate(module, datamodule=data, verbose=False)
            keeper.consider(trainer, module.results[cfg.monitor])
        if keeper.best_path is not None:
            _take_back(module, read_checkpoint(keeper.best_path))
        if cfg.trainer.test and data.test:
            trainer.test(module, datamodule=data, verbose=False)
        metrics = {
            **module.results,
            **_baselines(prepared, test=cfg.trainer.test, without=cfg.fork.without),
        }
        make_whole(prepared.model)
        if trainer.is_global_zero:
            _save(cfg, run_dir, prepared, metrics)
            write_report(run_dir, [run_dir])
            _show(cfg, run_dir, prepared.tasks, metrics, module.non_finite.skipped)
    return metrics


def _take_back(module: MultiTaskModule, best: State) -> None:
    load_whole(module, module.frozen.put_back(best["state_dict"]))
    module.results.update(best["mtl"]["results"])
    for name, task in module.model.tasks.items():
        restore(task, best["mtl"]["tasks"][name])


def _save(cfg: Config, run_dir: Path, prepared: Prepared, metrics: Mapping[str, float]) -> None:
    model = prepared.model
    save_model(
        run_dir / "model",
        model,
        prepared.encoder,
        prepared.columns,
        attention={name: attention_of(cfg, name, model.trunk) for name in model.tasks},
        tokens=prepared.data.batching.tokens,
        files={n: files_of(cfg.tasks[n].data, own.found) for n, own in prepared.splits.items()},
        base=cfg.trunk.path,
        trained_on=_texts_of(cfg, prepared),
    )
    if facts := model.trunk.tuning.facts():
        write_whole(run_dir / FOLDER / TUNING, json.dumps(facts, indent=2) + "\n")
    write_metrics(run_dir, metrics)
    shutil.rmtree(run_dir / STATES, ignore_errors=True)


def _texts_of(cfg: Config, prepared: Prepared) -> Keys:
    """Return hashes of the texts that the weights have learned from, in this run or before it."""
    learned = {store.task for store in prepared.data.train} - prepared.data.resting
    own = [(name, prepared.splits[name].train) for name in learned]
    found = [text_keys(rows, name) for name, rows in own if rows is not None]
    before = [] if cfg.init.run is None else [trained_on(Path(cfg.init.run))]
    return np.concatenate([*found, *before])


def write_metrics(run_dir: Path, metrics: Mapping[str, float]) -> None:
    """Write ``metrics.json``."""
    text = json.dumps({k: float(v) for k, v in sorted(metrics.items())}, indent=2)
    write_whole(run_dir / METRICS_FILE, text + "\n")


def _higher_is_better(monitor: str, tasks: list[Task]) -> bool:
    name = parse_metric_name(monitor)
    return all(higher_is_better(t, name.metric) for t in tasks if t.name == name.task)


def _check_monitor(monitor: str, tasks: list[Task]) -> None:
    names = [metric_name("val", task.name, m) for task in tasks for m in own_metrics(task)]
    if monitor not in (SCORE, *names):
        raise ConfigError(one_of("monitor", monitor, [SCORE, *names]))


def _baselines(prepared: Prepared, *, test: bool, without: Collection[str]) -> dict[str, float]:
    """Score each task's constant guess on the split that the closing table shows.

    A guess has not every metric, such as perplexity, and no mean where a primary one is missing.
    """
    data = prepared.data
    train = {store.task: store for store in data.train}
    shown = {store.task: store for store in (*data.validation, *(data.test if test else ()))}
    evaluation = Evaluation(prepared.model.tasks, list(shown.values()))
    scores = {t.name: baseline_scores(t, train[t.name], shown[t.name]) for t in prepared.tasks}
    found = {
        metric_name("baseline", task, metric): value
        for task, values in scores.items()
        for metric, value in values.items()
    }
    if all(task.primary_metric in scores[task.name] for task in prepared.tasks):
        found[metric_name("baseline", None, "score")] = evaluation.score(scores, without)
    return found


def _loggers(cfg: Config, run_dir: Path, tasks: list[Task]) -> list[Logger]:
    sweep, job = sweep_job()
    loggers = build_loggers(
        cfg.logger.names,
        run_dir,
        config=cfg.model_dump(),
        tasks={t.name: (own_metrics(t), lower_is_better(t)) for t in tasks},
        wandb=cfg.logger.wandb,
        sweep=sweep,
        job=job,
    )
    return [*loggers, Curves(RunFacts(run_dir))]


def _show(
    cfg: Config, run_dir: Path, tasks: list[Task], metrics: Mapping[str, float], skipped: int
) -> None:
    out = console()
    others = [(t.name, t.primary_metric, own_metrics(t)) for t in tasks]
    lower = {t.name: lower_is_better(t) for t in tasks}
    out.print(closing_table(metrics, metrics, others, lower_is_better=lower))
    for line in held_lines(metrics, others, lower):
        out.print(line, soft_wrap=True, markup=False)
    if skipped:
        out.print(skipped_line(skipped), soft_wrap=True)
    if (page := run_dir / PAGE).is_file():
        out.print(f"Report: {short_path(page)}", soft_wrap=True)
    beside = list(dict.fromkeys(role for t in tasks for role in asks(t)))
    then = further_runs({t.name: cfg.tasks[t.name].data.source for t in tasks}, cfg.trunk.name)
    names, code = [t.name for t in tasks], cfg.trunk.trust_remote_code
    tested = any(name.startswith("test/") for name in metrics) or not cfg.trainer.test
    steps = next_steps(run_dir, names, beside=beside, code=code, tested=tested)
    for line in [*steps, *then]:
        out.print(line, soft_wrap=True)


def _quiet() -> None:
    """Keep libraries' advice off the terminal; errors still show."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # Said, so that forks do not warn.
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
