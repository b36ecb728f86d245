"""``train(cfg)``: the one place where configuration becomes objects, and objects a model."""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from mtl.config.schema import Config
from mtl.data.datamodule import MultiTaskData
from mtl.errors import ConfigError, one_of
from mtl.files import write_whole
from mtl.launch.place import place
from mtl.launch.processes import METRICS_FILE, sweep_job
from mtl.metrics.names import SCORE, metric_name, parse_metric_name
from mtl.reporting.console import console, note
from mtl.reporting.loggers import build_loggers, finish_loggers
from mtl.reporting.opening import Opening, opening_lines
from mtl.reporting.progress import ProgressReport
from mtl.reporting.summary import closing_table, further_runs, next_steps, skipped_line
from mtl.tasks import Task
from mtl.tasks.base import asks, own_metrics, restore
from mtl.training.allocator import GiveBack, give_back, keep_freed_memory
from mtl.training.budget import ScaleTokens
from mtl.training.checkpoint import AtomicCheckpointIO, RunCheckpoint, read_checkpoint
from mtl.training.devices import environment, processes
from mtl.training.disk import full_disk
from mtl.training.evaluation import (
    Evaluation,
    baseline_scores,
    higher_is_better,
    lower_is_better,
)
from mtl.training.memory import memory_advice, what_to_lower
from mtl.training.model_io import save_model, start_from
from mtl.training.module import MultiTaskModule
from mtl.training.resumed import (
    budget_of,
    check_weights,
    is_finished,
    last_checkpoint,
    stopped_early,
)
from mtl.training.setup import Prepared, attention_of, build_task, prepare
from mtl.training.sharding import load_whole, make_whole
from mtl.training.state_cache import StateCache
from mtl.training.stopping import StopOnSignal, requeue_if_asked

STATES = "states"
"""Folder that holds a frozen trunk's states: of a run while it trains, or one that runs share."""

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
    _check_device(cfg.trainer.accelerator)
    checkpoint = last_checkpoint(run_dir, list(cfg.tasks)) if cfg.resume is not None else None
    states = checkpoint["mtl"]["tasks"] if checkpoint else None
    if checkpoint and cfg.trainer.auto_scale_tokens:
        tokens = budget_of(checkpoint, run_dir)
        batching = cfg.batching.model_copy(update={"tokens": tokens})
        cfg = cfg.model_copy(update={"batching": batching})
    with memory_advice(lambda: LOAD_LESS):
        prepared = prepare(cfg, run_dir, states)
    give_back()
    _check_monitor(cfg.monitor, prepared.tasks)
    if checkpoint:
        check_weights(checkpoint, prepared.model, run_dir)
    elif cfg.init is not None:
        _start_from(prepared, Path(cfg.init))
    if checkpoint and is_finished(checkpoint, prepared.data.steps, run_dir):
        note(f"This run is finished after {checkpoint['global_step']} steps: nothing to do.")
        found: dict[str, float] = json.loads((run_dir / METRICS_FILE).read_text("utf-8"))
        return found
    module = MultiTaskModule(
        prepared.model,
        cfg,
        steps=prepared.data.steps,
        stores={"val": prepared.data.validation, "test": prepared.data.test},
    )
    last_step = prepared.data.steps
    if checkpoint and stopped_early(checkpoint):
        last_step = checkpoint["global_step"]
    run_dir.mkdir(parents=True, exist_ok=True)
    loggers = _loggers(cfg, run_dir, prepared.tasks)
    failed = True
    with requeue_if_asked(), full_disk(run_dir):
        try:
            with memory_advice(partial(_memory_settings, module, prepared)):
                metrics = _fit_and_test(cfg, run_dir, prepared, module, loggers, last_step)
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
) -> dict[str, float]:
    keeper = _keeper(cfg, run_dir, prepared.tasks)
    stopper = StopOnSignal(keeper, run_dir)
    try:
        trainer = _trainer(cfg, run_dir, prepared.data, keeper, stopper, loggers, last_step)
    except (MisconfigurationException, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(
            f"Expected the settings of `trainer` to fit each other and this machine, but Lightning "
            f"refuses them: {reason}."
        ) from error
    with stopper.listening():
        return _steps(cfg, run_dir, prepared, module, trainer, keeper)


def _steps(
    cfg: Config,
    run_dir: Path,
    prepared: Prepared,
    module: MultiTaskModule,
    trainer: L.Trainer,
    keeper: RunCheckpoint,
) -> dict[str, float]:
    """Fit, evaluate the best weights, and write the results."""
    if trainer.is_global_zero:
        tell = partial(_open, cfg, run_dir, prepared)
        trainer.callbacks.append(LambdaCallback(on_train_start=lambda t, _: tell(t)))  # type: ignore[attr-defined]
    resume = keeper.last_path if cfg.resume is not None else None
    trainer.fit(module, datamodule=prepared.data, ckpt_path=resume, weights_only=True)
    if keeper.validated_at != trainer.global_step:
        trainer.validate(module, datamodule=prepared.data, verbose=False)
        keeper.consider(trainer, module.results[cfg.monitor])
    if keeper.best_path is not None:
        best = read_checkpoint(keeper.best_path)
        load_whole(module, module.frozen.put_back(best["state_dict"]))
        module.results.update(best["mtl"]["results"])
        for name, task in prepared.model.tasks.items():
            restore(task, best["mtl"]["tasks"][name])
    if cfg.trainer.test and prepared.data.test:
        trainer.test(module, datamodule=prepared.data, verbose=False)
    metrics = {**module.results, **_baselines(prepared, test=cfg.trainer.test)}
    make_whole(prepared.model)
    if trainer.is_global_zero:
        trunk = prepared.model.trunk
        save_model(
            run_dir / "model",
            prepared.model,
            prepared.encoder,
            prepared.columns,
            attention={t.name: attention_of(cfg, t.name, trunk) for t in prepared.tasks},
            tokens=prepared.data.batching.tokens,
        )
        _write_json(run_dir / METRICS_FILE, metrics)
        shutil.rmtree(run_dir / STATES, ignore_errors=True)
        _show(cfg, run_dir, prepared.tasks, metrics, module.non_finite.skipped)
    return metrics


def _memory_settings(module: MultiTaskModule, prepared: Prepared) -> str:
    """Return the settings that memory depends on, as the run has them by now."""
    now = module.plain_config
    return what_to_lower(
        now["batching"]["tokens"],
        prepared.encoder.max_length,
        checkpointing=now["trunk"]["gradient_checkpointing"],
        precision=now["trainer"]["precision"],
        learns=now["tuning"]["name"],
        scaled=now["trainer"]["auto_scale_tokens"],
    )


def _trainer(
    cfg: Config,
    run_dir: Path,
    data: MultiTaskData,
    keeper: RunCheckpoint,
    stopper: StopOnSignal,
    loggers: list[Logger],
    last_step: int,
) -> L.Trainer:
    options = cfg.trainer
    progress = ProgressReport(
        data.steps,
        enabled=options.progress,
        monitor=cfg.monitor,
        higher_is_better=keeper.sign > 0,
    )
    callbacks: list[L.Callback] = [progress, stopper, GiveBack()]
    if options.auto_scale_tokens and cfg.resume is None:
        callbacks.append(ScaleTokens(data))
    callbacks += _state_cache(cfg, run_dir, data)  # which depends on the budget
    patience = cfg.callbacks.early_stopping.patience
    if patience is not None:
        callbacks.append(
            EarlyStopping(
                cfg.monitor,
                patience=patience,
                min_delta=cfg.callbacks.early_stopping.min_delta,
                mode="max" if keeper.sign > 0 else "min",
                check_on_train_epoch_end=False,
                check_finite=False,  # `trainer.non_finite` says what to do
                verbose=False,
            )
        )
    interval = options.val_check_interval or data.planner.steps_per_epoch
    return L.Trainer(
        accelerator=options.accelerator,
        **processes(options),
        precision=_precision(options.precision, options.accelerator),  # type: ignore[arg-type]
        max_epochs=1,  # The loader spans the whole run; its steps end it.
        max_steps=last_step,
        val_check_interval=min(interval, data.steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        logger=loggers or False,
        callbacks=[*callbacks, keeper],
        plugins=[AtomicCheckpointIO(), *environment()],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        inference_mode=options.strategy != "fsdp",  # Whose gathered parameters are used again.
        deterministic=options.deterministic,
        profiler=options.profiler,
        detect_anomaly=options.detect_anomaly,
        default_root_dir=run_dir,
    )


def _state_cache(cfg: Config, run_dir: Path, data: MultiTaskData) -> list[L.Callback]:
    """Return what keeps a frozen trunk's states, where the run reads them more than once."""
    options = cfg.tuning
    if options.name != "frozen" or options.cache == "false":
        return []
    if cfg.trainer.strategy == "fsdp":  # Ranks run every layer together, or none.
        if options.cache == "true":
            raise ConfigError(
                "Expected `tuning.cache` to be auto or false under fsdp, but got true."
            )
        return []
    again = options.cache_dir is not None or data.steps > data.planner.steps_per_epoch
    here = place()
    near = options.cache_dir is not None or here is None or here.nodes == 1
    forced = options.cache == "true"
    if not forced and not (again and near):
        return []
    folder = run_dir if options.cache_dir is None else Path(options.cache_dir).expanduser()
    return [StateCache(folder / STATES, forced=forced)]


def _precision(asked: str, accelerator: str) -> str:
    """Fall back to float32, and say so, where bf16 is asked for and the GPU has none."""
    on_gpu = torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")
    if "bf16" in asked and on_gpu and not torch.cuda.is_bf16_supported():
        note(f"trainer.precision: this GPU has no {asked}; training in 32-true instead.")
        return "32-true"
    return asked


def _keeper(cfg: Config, run_dir: Path, tasks: list[Task]) -> RunCheckpoint:
    options = cfg.callbacks.checkpoint
    return RunCheckpoint(
        run_dir / "checkpoints",
        cfg.monitor,
        higher_is_better=_higher_is_better(cfg.monitor, tasks),
        every_n_train_steps=options.every_n_train_steps,
        save_top_k=options.save_top_k,
        save_last=options.save_last,
    )


def _higher_is_better(monitor: str, tasks: list[Task]) -> bool:
    name = parse_metric_name(monitor)
    return all(higher_is_better(t, name.metric) for t in tasks if t.name == name.task)


def _check_monitor(monitor: str, tasks: list[Task]) -> None:
    """Refuse a monitor that no validation will produce: before data is read, and after."""
    names = [metric_name("val", task.name, m) for task in tasks for m in own_metrics(task)]
    if monitor not in (SCORE, *names):
        raise ConfigError(one_of("monitor", monitor, [SCORE, *names]))


def _check_device(asked: str) -> None:
    """Refuse an accelerator that this machine does not have."""
    gpus = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    found = ["auto", "cpu", *(name for name, there in gpus.items() if there)]
    if asked not in found and not (asked == "gpu" and any(gpus.values())):
        raise ConfigError(
            f"Expected `trainer.accelerator` to be one of {{{', '.join(found)}}}, which this "
            f"machine has, but got '{asked}'."
        )


def _start_from(prepared: Prepared, folder: Path) -> None:
    copied = start_from(prepared.model, folder)
    fresh = [t.name for t in prepared.tasks if t.name not in copied]
    note(
        f"init: the trunk and the heads of {{{', '.join(copied)}}} come from {folder}; "
        f"new heads: {{{', '.join(fresh)}}}."
    )


def _baselines(prepared: Prepared, *, test: bool) -> dict[str, float]:
    """Score each task's constant guess on the split that the closing table shows."""
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
    found[metric_name("baseline", None, "score")] = evaluation.score(scores)
    return found


def _loggers(cfg: Config, run_dir: Path, tasks: list[Task]) -> list[Logger]:
    sweep, job = sweep_job()
    return build_loggers(
        cfg.logger.names,
        run_dir,
        config=cfg.model_dump(),
        tasks={t.name: (own_metrics(t), lower_is_better(t)) for t in tasks},
        wandb=cfg.logger.wandb.model_dump(),
        sweep=sweep,
        job=job,
    )


def _open(cfg: Config, run_dir: Path, prepared: Prepared, trainer: L.Trainer) -> None:
    """Say what the run is."""
    data, trunk = prepared.data, prepared.model.trunk
    device = trainer.strategy.root_device
    searches = cfg.trainer.auto_scale_tokens and cfg.resume is None
    on_cpu = device.type == "cpu"
    stores = (data.train, data.validation, data.test)
    sizes = [{store.task: len(store) for store in found} for found in stores]
    facts = Opening(
        tasks={t.name: [split.get(t.name, 0) for split in sizes] for t in prepared.tasks},
        trunk=cfg.trunk.path or cfg.trunk.name,
        kind=trunk.config.model_type,
        parameters=sum(p.numel() for p in trunk.parameters()),
        tuning=cfg.tuning.name,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        processes=trainer.world_size,
        threads=torch.get_num_threads() if on_cpu else None,
        precision=str(trainer.precision),
        steps=data.steps,
        steps_per_epoch=data.planner.steps_per_epoch,
        examples=cfg.batching.examples,
        tokens=None if searches else data.batching.tokens,
        folder=run_dir,
        bf16_units=on_cpu and multiplies_bf16(),
    )
    for line in opening_lines(facts):
        console().print(line, soft_wrap=True)


def multiplies_bf16() -> bool:
    """Return whether this CPU has units for products of bf16 numbers, and PyTorch uses them."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def _show(
    cfg: Config, run_dir: Path, tasks: list[Task], metrics: Mapping[str, float], skipped: int
) -> None:
    out = console()
    others = [(t.name, t.primary_metric, own_metrics(t)) for t in tasks]
    lower = {t.name: lower_is_better(t) for t in tasks}
    out.print(closing_table(metrics, metrics, others, lower_is_better=lower))
    if skipped:
        out.print(skipped_line(skipped), soft_wrap=True)
    question = any("question" in asks(t) for t in tasks)
    then = further_runs({t.name: cfg.tasks[t.name].data.source for t in tasks}, cfg.trunk.name)
    names, code = [t.name for t in tasks], cfg.trunk.trust_remote_code
    for line in [*next_steps(run_dir, names, question=question, code=code), *then]:
        out.print(line, soft_wrap=True)


def _write_json(path: Path, values: Mapping[str, float]) -> None:
    text = json.dumps({k: float(values[k]) for k in sorted(values)}, indent=2)
    write_whole(path, text + "\n")


def _quiet() -> None:
    """Keep libraries' advice off the terminal; errors still show."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # Said, so that forks do not warn.
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
