"""``mtl fork``: a run goes on from one of its steps without some tasks, all else being equal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf, open_dict

from mtl.cli.folders import claim_run, release_run_dir
from mtl.cli.objectives import higher_is_better, primary_metrics
from mtl.config.saved import HYDRA, saved_cfg, saved_config, saved_file
from mtl.config.schema import Config, ForkConfig
from mtl.errors import CheckpointError, ConfigError, Problem, one_of
from mtl.launch.processes import METRICS_FILE, read_metrics
from mtl.metrics.names import SCORE, metric_name
from mtl.reporting.fork import Difference
from mtl.reporting.report.curves import Curve, read_curves
from mtl.reporting.report.files import CURVES, FOLDER, RUN, VALIDATION

if TYPE_CHECKING:
    from mtl.training.checkpoint import State

WITHOUT, AT = "--without", "--at-step"
KEEP_ALL = "callbacks.checkpoint.save_top_k=-1"


@dataclass(frozen=True)
class Fork:
    """What is asked for.

    Args:
        run: The folder of a run that has ended.
        step: Of which it goes on; 0 from the beginning.
        without: Tasks that teach nothing from there on.
    """

    run: Path
    step: int
    without: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the folder beside the run is called, where none is named."""
        less = f"without-{'-'.join(self.without)}" if self.without else "again"
        return f"{self.run.absolute().name}-{less}-from-{self.step}"


def check(fork: Fork, config: Config) -> None:
    """Refuse what would not tell what tasks bring.

    Raises:
        CheckpointError: If the run has not ended.
        ConfigError: If the tasks are not its own, or its settings let no task be taken out alone.
    """
    if not (fork.run / METRICS_FILE).is_file():
        expected, advice = "to be a run that has ended", f"End it with resume={fork.run}."
        found = f"{fork.run} has no {METRICS_FILE}"
        raise CheckpointError(Problem("mtl fork", expected, found, advice))
    for name in fork.without:
        if name not in config.tasks:
            raise ConfigError(one_of(WITHOUT, name, config.tasks))
    left = [n for n, task in config.tasks.items() if n not in fork.without and task.weight > 0]
    if not left:
        expected = "to leave a task that learns"
        raise ConfigError(Problem(WITHOUT, expected, f"got {', '.join(fork.without)}"))
    if fork.without and (reason := _tied(config, fork.without)):
        expected = f"to be unset for a run with {reason}"
        advice = "`mtl transfer task=…` compares trainings of any settings."
        raise ConfigError(Problem(WITHOUT, expected, f"got {fork.without[0]}", advice))


def _tied(config: Config, without: Sequence[str]) -> str:
    """Return why a task cannot be taken out of a run alone; empty where it can."""
    from mtl.data.mixing import MIXERS

    balancing, mixing = config.balancing, config.mixing
    if balancing.conflict:
        return "balancing.conflict=true, which compares the tasks' gradients"
    changing = getattr(MIXERS.get(mixing.name, "mixing.name"), "follows_scores", False)
    if changing or mixing.patience is not None:
        key = "mixing.patience" if mixing.patience is not None else f"mixing={mixing.name}"
        return f"{key}, whose data follow the scores"
    watched = config.monitor.split("/")[1] if config.monitor != SCORE else ""
    return f"monitor={config.monitor}" if watched in without else ""


def make(fork: Fork, output: str | None) -> tuple[Config, Path]:
    """Make the folder of a fork; returns the configuration to train with, and the folder.

    From step 0 it begins as the run began; else it is resumed from the run's checkpoint.

    Raises:
        MtlError: If the run cannot be forked so, or the folder not be made.
    """
    from mtl.cli.resume import load_run

    config = saved_config(fork.run)
    check(fork, config)
    source = None if fork.step == 0 else _checkpoint(fork)
    state = None if source is None else _state(fork, source)
    ends = state["mtl"]["config"]["trainer"] if state else None
    _check_end(fork, config, ends)
    folder = claim_run(output or str(fork.run.absolute().parent / fork.name), output is not None)
    cfg = saved_cfg(fork.run)
    given = ForkConfig(run=str(fork.run.absolute()), step=fork.step, without=list(fork.without))
    with open_dict(cfg):
        cfg.fork = given.model_dump()
        if ends:
            cfg.trainer.update({key: ends[key] for key in ("max_steps", "max_epochs")})
        if state is None and config.trainer.auto_scale_tokens:
            cfg.batching.tokens, cfg.trainer.auto_scale_tokens = _budget(fork.run), False
    OmegaConf.save(cfg, saved_file(folder))
    for file in ("overrides.yaml", "hydra.yaml"):
        if (fork.run / HYDRA / file).is_file():
            shutil.copy(fork.run / HYDRA / file, folder / HYDRA)
    if state is None or source is None:
        return saved_config(folder), folder
    _put(fork, source, state, folder)
    return load_run(str(folder), [])


def _checkpoint(fork: Fork) -> Path:
    """Return the run's checkpoint of a step.

    Raises:
        CheckpointError: If there is none, with the steps that have one.
    """
    from mtl.training.checkpoint import BEST, LAST, OWN, read_checkpoint

    folder = fork.run / "checkpoints"
    found = folder / BEST.format(f"{fork.step:07d}")
    if found.is_file():
        return found
    steps = [int(f.stem.partition("=")[2]) for f in folder.glob("*.ckpt") if OWN.fullmatch(f.name)]
    if (folder / LAST).is_file():
        last = int(read_checkpoint(folder / LAST)["global_step"])
        if last == fork.step:
            return folder / LAST
    listed = ", ".join(map(str, [0, *sorted(steps)]))
    expected = f"to be a step that {fork.run} has a checkpoint of before its end: {listed}"
    advice = f"A run that is trained with {KEEP_ALL} keeps those of all validations."
    raise CheckpointError(Problem(AT, expected, f"got {fork.step}", advice))


def _state(fork: Fork, source: Path) -> State:
    """Return a checkpoint as the fork begins with it.

    Where tasks are taken out, what was best until then was judged with them, and is forgotten.
    """
    from mtl.training.checkpoint import read_checkpoint

    state = read_checkpoint(source)
    if fork.without and state["mtl"]["config"]["monitor"] == SCORE:
        for callback in state["callbacks"].values():
            if "kept" in callback:
                callback |= {"kept": {}, "best_score": None}
            if "wait_count" in callback:
                worst = callback["best_score"].new_tensor(float("-inf"))
                callback |= {"wait_count": 0, "best_score": worst}
    return state


def _check_end(fork: Fork, config: Config, ends: Mapping[str, object] | None) -> None:
    """Refuse a fork at the run's end, or of a run that was made longer after that step.

    Raises:
        CheckpointError: Then.
    """
    from mtl.training.checkpoint import LAST, read_checkpoint

    last = fork.run / "checkpoints" / LAST
    if not last.is_file():
        return
    final = read_checkpoint(last)
    if fork.step >= final["global_step"]:
        expected = f"to be below {final['global_step']}, where the run ended"
        raise CheckpointError(Problem(AT, expected, f"got {fork.step}"))
    own = ends or config.trainer.model_dump()
    for key in ("max_steps", "max_epochs"):
        before, now = own.get(key), final["mtl"]["config"]["trainer"].get(key)
        if before != now:
            expected = f"to be a step after the run was made longer (trainer.{key}={now})"
            raise CheckpointError(Problem(AT, expected, f"got {fork.step}"))


def _budget(run: Path) -> int:
    """Return the tokens of a pass that a run found when it began."""
    from mtl.training.description import model_folder, read_description

    found = read_description(model_folder(run)).tokens
    assert found is not None
    return found


def _put(fork: Fork, source: Path, state: State, folder: Path) -> None:
    """Put into the fork's folder what a stopped run would have there."""
    from mtl.training.checkpoint import LAST, AtomicCheckpointIO

    checkpoints = folder / "checkpoints"
    AtomicCheckpointIO().save_checkpoint(state, checkpoints / LAST)
    kept = {n for callback in state["callbacks"].values() for n in callback.get("kept", {})}
    for name in kept:
        if (source.parent / name).is_file():
            shutil.copy(source.parent / name, checkpoints / name)
    (folder / FOLDER).mkdir(exist_ok=True)
    evidence = fork.run / FOLDER / VALIDATION
    if (fork.run / FOLDER / CURVES).is_file():
        shutil.copy(fork.run / FOLDER / CURVES, folder / FOLDER / CURVES)
    if kept and evidence.is_file() and _step_of(evidence) <= fork.step:
        shutil.copy(evidence, folder / FOLDER / VALIDATION)


def discard(folder: Path) -> None:
    """Take away what was made of a fork that never began to train."""
    if (folder / FOLDER / RUN).is_file():
        return
    for name in ("checkpoints", FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)
    release_run_dir(folder)


def _step_of(file: Path) -> int:
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 2**63


def differences(fork: Fork, config: Config, folder: Path) -> list[Difference]:
    """Return what each task that was left has of those that were taken out.

    Args:
        fork: What was asked for.
        config: The run's.
        folder: Of the fork, which has ended.
    """
    ours, theirs = read_metrics(fork.run), read_metrics(folder)
    primary = primary_metrics(config, ours)
    curves, others = read_curves(fork.run), read_curves(folder)
    found = []
    for task, metric in primary.items():
        if task in fork.without:
            continue
        name = metric_name("val", task, metric)
        higher = higher_is_better(config, name)
        test = metric_name("test", task, metric)
        whole = test if test in ours else name
        pair = (ours[whole], theirs[whole]) if whole in ours and whole in theirs else None
        last = _last_of_both(curves.get(name, []), others.get(name, []), fork.step)
        found.append(Difference(task, whole, pair, higher, name, last))
    return found


def _last_of_both(one: Curve, other: Curve, after: int) -> tuple[int, float, float] | None:
    """Return the last step after the fork that both runs were validated at, and their values."""
    mine, theirs = dict(one), dict(other)
    steps = [step for step in mine if step in theirs and step > after]
    return (max(steps), mine[max(steps)], theirs[max(steps)]) if steps else None
