"""A run: where and how long it trains, what it keeps and logs, and runs that search or fork."""

from __future__ import annotations

from typing import Annotated, Literal

from mtl.config.section import Field, Flag, Lower, Number, Section, Text, Whole


class TrainerConfig(Section):
    """What Lightning's Trainer is told."""

    accelerator: Annotated[Literal["auto", "cpu", "gpu", "cuda", "mps"], Lower] = "auto"
    devices: Whole = Field(1, ge=-1)
    """Processes of one machine; -1: one for every device."""
    num_nodes: Whole = Field(1, ge=1)
    strategy: Annotated[Literal["auto", "ddp", "fsdp"], Lower] = "auto"
    """``ddp`` has the whole model in each process; ``fsdp`` parts it among them. ``auto`` is ddp
    where there are several."""
    max_restarts: Whole = Field(0, ge=0)
    """How often the processes of one machine start again, from the last checkpoint, after one of
    them has crashed or was killed."""
    precision: Annotated[Literal["32-true", "bf16-mixed", "16-mixed"], Lower] = "32-true"
    max_epochs: Whole = Field(3, ge=1)
    max_steps: Whole | None = Field(None, ge=1)
    """If set, wins over `max_epochs`."""
    val_check_interval: Whole | None = Field(None, ge=1)
    """Optimiser steps between validations, counted across epochs; once an epoch when unset."""
    gradient_clip_val: Number | None = Field(1.0, gt=0)
    """Largest norm of the gradient of all parameters together."""
    auto_scale_tokens: Flag = False
    """Find the largest `batching.tokens` that fits into memory, when training begins."""
    non_finite: Annotated[Literal["stop", "skip"], Lower] = "stop"
    """``stop`` when a loss or the gradient is not finite, or ``skip`` the step and count it."""
    log_every_n_steps: Whole = Field(10, ge=1)
    limit_val_examples: Whole | None = Field(None, ge=1)
    """Validate on a sample of so many examples of each task, in which labels have their shares."""
    progress: Flag = True
    threads: Whole | None = Field(None, ge=1)
    """CPU threads of PyTorch; one per core when unset."""
    deterministic: Flag = True
    profiler: Annotated[Literal["simple", "advanced", "pytorch"] | None, Lower] = None
    detect_anomaly: Flag = False
    overfit_examples: Whole | None = Field(None, ge=1)
    """Train and validate on the same first so many examples of each task."""
    test: Flag = True
    """Evaluate the best weights on the test splits at the end."""


class CheckpointConfig(Section):
    """Which checkpoints a run keeps."""

    every_n_train_steps: Whole | None = Field(None, ge=1)
    """Also save after every so many steps; after every validation in any case."""
    save_top_k: Whole = Field(1, ge=-1)
    save_last: Flag = True


class EarlyStoppingConfig(Section):
    """Stop when the monitored metric no longer improves."""

    patience: Whole | None = Field(None, ge=1)
    """Validations without improvement before the run stops; never when unset."""
    min_delta: Number = Field(0.0, ge=0)


class CallbacksConfig(Section):
    """Checkpoints and early stopping."""

    checkpoint: CheckpointConfig = CheckpointConfig()
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()


class WandbConfig(Section):
    """Weights & Biases."""

    project: Text = "mtl"
    entity: Text | None = None
    name: Text | None = None
    group: Text | None = None
    tags: list[Text] = []
    notes: Text | None = None
    """What the run is about; the command that repeats it when unset."""
    job_type: Text = "train"
    log_model: Flag = False
    """Upload the model's folder at the end of the run, as an artifact of it."""
    mode: Annotated[Literal["auto", "online", "offline"], Lower] = "auto"
    """``auto | online | offline``; ``auto`` is online when there is a login."""


class LoggerConfig(Section):
    """Where metrics go."""

    names: list[Annotated[Literal["wandb", "tensorboard", "csv", "mlflow"], Lower]] = ["wandb"]
    """Any of ``wandb``, ``tensorboard``, ``csv``, ``mlflow``; an empty list logs nowhere."""
    use: dict[str, Flag] = {}
    """One entry for each file chosen in the ``logger`` group; `names` is read from its keys."""
    wandb: WandbConfig = WandbConfig()


class CacheConfig(Section):
    """What is kept on disk between runs, so that it is computed once."""

    dir: Text | None = None
    """The folder; when unset, the environment's `MTL_CACHE`, else `~/.cache/mtl`."""
    examples: Flag = True
    """Keep the encoded examples of splits with 10,000 rows or more."""


class SearchConfig(Section):
    """A sweep whose jobs are the trials of a search; see ``sweep=optuna``."""

    engine: Annotated[Literal["optuna"] | None, Lower] = None
    """What proposes the values of each trial; unset, a sweep has a job for each combination."""
    trials: Whole = Field(20, ge=1)
    """How many there are, those included that fail or are pruned."""
    workers: Whole = Field(1, ge=1)
    """Trials that are proposed, and given to Hydra's launcher, at once."""
    objectives: list[Text] = []
    """Metrics that are to be best, such as ``val/ner/f1``; `monitor` when empty. Of several, the
    search finds the trials of which none is better in all, and prunes none."""
    sampler: Annotated[Literal["tpe", "random"], Lower] = "tpe"
    """``tpe`` learns from the trials before, after `startup` at random; or ``random``."""
    pruner: Annotated[Literal["median", "none"], Lower] = "median"
    """``median`` ends a trial whose best validation so far is below the median of earlier trials'
    at the same validation."""
    startup: Whole = Field(5, ge=1)
    """Trials before sampler and pruner learn from them."""
    warmup: Whole = Field(1, ge=0)
    """Validations of a trial after which it may be pruned."""
    seed: Whole | None = Field(None, ge=0)
    """Of the sampler; the run's `seed` when unset."""
    study: Text | None = None
    """The study's file; a search sets it for its jobs."""
    trial: Whole | None = Field(None, ge=0)
    """The trial's number; a search sets it for its jobs."""


class ForkConfig(Section):
    """A run that `mtl fork` made of another one."""

    run: Text | None = None
    """The other run's folder."""
    step: Whole = Field(0, ge=0)
    """Of which it goes on; 0 from the beginning."""
    without: list[Text] = []
    """Tasks whose losses teach nothing from there on. They still stand in every step, so that
    passes, data and dropout are the other run's, and are validated and tested."""
