"""Every option of a run, typed, with its default and what it means.

The dataclasses are the schema that YAML files and the command line are checked against. Only the
composition root sees them as a configuration; everything below it takes plain arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mtl.config.limits import chosen, limited


@dataclass
class DataConfig:
    """Where a task's examples come from."""

    source: str | None = None
    """Something with all splits: ``bundled:<name>``, ``hub:<dataset>[@revision][:<config>]``, or
    a folder."""
    train: str | None = None
    """A file or glob for this split; wins over the source."""
    validation: str | None = None
    test: str | None = None
    format: str | None = chosen(
        None, "conll", "tsv", "csv", "jsonl", "json", "parquet", "arrow", "squad", "text"
    )
    """``conll | tsv | csv | jsonl | json | parquet | arrow | squad | text``; guessed when unset."""
    header: bool | None = None
    """Whether a TSV or CSV file starts with column names; guessed from the columns when unset."""
    encoding: str = "utf-8"
    on_bad_row: str = chosen("error", "error", "skip")
    """``error`` stops at the first bad row; ``skip`` counts them and writes ``rejected.jsonl``."""
    validation_fraction: float = limited(0.1, above=0, below=1)
    """Share of train that becomes validation when there is no validation split."""
    max_examples: int | None = limited(None, min=1)
    """Use only the first so many rows of each split."""
    max_train_examples: int | None = limited(None, min=1)
    """Use only the first so many rows of train; wins over `max_examples` there."""


@dataclass
class TaskConfig:
    """One task: data, head, metric and options of its type."""

    type: str = "???"
    data: DataConfig = field(default_factory=DataConfig)
    columns: dict[str, Any] = field(default_factory=dict)
    """Role to column: a name, or a number where the file has no header."""
    head: dict[str, Any] = field(default_factory=dict)
    """Options of the task type's head; checked against the type's own dataclass."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the task type; checked against the type's own dataclass."""
    metric: str | None = None
    """The task's primary metric; the task type's default when unset."""
    weight: float = limited(1.0, min=0)
    attention: str | None = chosen(None, "causal", "bidirectional")
    """Overrides `trunk.attention` for this task."""


@dataclass
class TrunkConfig:
    """The shared pretrained transformer."""

    name: str = chosen("tiny", "tiny", "hf", "llama2c")
    """``tiny | hf | llama2c``: how the trunk is built."""
    path: str | None = None
    """Hub name or folder of the model."""
    pretrained: bool = True
    """False: the architecture of `path` with random weights."""
    attention: str = chosen("causal", "causal", "bidirectional")
    """``causal | bidirectional``, for decoders; encoders are always bidirectional."""
    lr: float = limited(5e-5, min=0)
    max_length: int | None = limited(None, min=8)
    """Longest document window in tokens; the model's own limit (at most 512) when unset."""
    stride: int = limited(64, min=0)
    """Tokens that neighbouring windows of a long document share."""
    prefix_space: str = chosen("auto", "auto", "true", "false")
    """``auto | true | false``: whether a byte-level tokenizer sees a space before the text."""
    dropout: float | None = limited(None, min=0, below=1)
    """Overrides every dropout rate of the trunk's own configuration."""
    revision: str | None = None
    trust_remote_code: bool = False
    gradient_checkpointing: bool = False


@dataclass
class TuningConfig:
    """Which parameters of the trunk learn."""

    name: str = chosen("full", "full", "frozen", "last", "lora")
    """``full | frozen | last | lora``."""
    layers: int = limited(2, min=1)
    """For ``last``: how many of the last layers learn."""
    rank: int = limited(8, min=1)
    """For ``lora``: size of the low-rank product that is added to a weight."""
    alpha: float = limited(16.0, above=0)
    """For ``lora``: the product counts alpha / rank."""
    dropout: float = limited(0.0, min=0, below=1)
    """For ``lora``: share of its input that an adapter drops in training."""
    target_modules: list[str] | None = None
    """For ``lora``: the linear layers that have an adapter, by name or end of name; when unset,
    all of the trunk's blocks."""
    cache: str = chosen("auto", "auto", "true", "false")
    """``auto | true | false``, for ``frozen``: keep the trunk's states on disk, so that it runs
    once and not in every epoch. ``auto`` does where it pays and fits; ``true`` or says why not."""
    cache_dir: str | None = None
    """For ``frozen``: a folder of states that runs share; when unset they are the run's own, and
    removed at its end."""


@dataclass
class HeadConfig:
    """What all heads share."""

    lr: float = limited(1e-3, min=0)


@dataclass
class BatchingConfig:
    """How examples become optimiser steps and trunk passes."""

    examples: int = limited(32, min=1)
    """Examples per optimiser step over all ranks and tasks."""
    tokens: int = limited(4096, min=8)
    """Most tokens, padding included, in one trunk pass on one device."""
    max_branches: int = limited(16, min=1)
    """Most branches of one document that share its encoding in a step."""
    pack: bool = True
    """Place several short documents in one row, kept apart by the mask."""


@dataclass
class MixingConfig:
    """How much of each task enters an epoch."""

    name: str = chosen("proportional", "proportional", "uniform", "temperature")
    """``proportional | uniform | temperature``."""
    temperature: float = limited(2.0, above=0)
    """For ``temperature``: shares are size ** (1 / temperature)."""


@dataclass
class BalancingConfig:
    """How the tasks' losses become one update."""

    name: str = chosen("sum", "sum")


@dataclass
class OptimizerConfig:
    """AdamW."""

    weight_decay: float = limited(0.01, min=0)
    betas: list[float] = field(
        default_factory=lambda: [0.9, 0.999], metadata={"min": 0, "below": 1, "length": 2}
    )
    eps: float = limited(1e-8, above=0)


@dataclass
class ScheduleConfig:
    """The learning rate over the run."""

    name: str = chosen("linear", "linear", "cosine", "constant")
    """``linear | cosine | constant``, after the warm-up."""
    warmup: float = limited(0.1, min=0, max=1)
    """Share of all steps in which the rate climbs from zero."""


@dataclass
class TrainerConfig:
    """What Lightning's Trainer is told."""

    accelerator: str = chosen("auto", "auto", "cpu", "gpu", "cuda", "mps")
    devices: int = limited(1, min=1, also=(-1,))
    """Processes of one machine; -1: one for every device."""
    num_nodes: int = limited(1, min=1)
    strategy: str = chosen("auto", "auto", "ddp", "fsdp")
    """``ddp`` has the whole model in each process; ``fsdp`` parts it among them. ``auto`` is ddp
    where there are several."""
    max_restarts: int = limited(0, min=0)
    """How often the processes of one machine start again, from the last checkpoint, after one of
    them has crashed or was killed."""
    precision: str = chosen("32-true", "32-true", "bf16-mixed", "16-mixed")
    max_epochs: int = limited(3, min=1)
    max_steps: int | None = limited(None, min=1)
    """If set, wins over `max_epochs`."""
    val_check_interval: int | None = limited(None, min=1)
    """Optimiser steps between validations, counted across epochs; once an epoch when unset."""
    gradient_clip_val: float | None = limited(1.0, above=0)
    """Largest norm of the gradient of all parameters together."""
    auto_scale_tokens: bool = False
    """Find the largest `batching.tokens` that fits into memory, when training begins."""
    non_finite: str = chosen("stop", "stop", "skip")
    """``stop`` when a loss or the gradient is not finite, or ``skip`` the step and count it."""
    log_every_n_steps: int = limited(10, min=1)
    limit_val_examples: int | None = limited(None, min=1)
    """Validate on the first so many examples of each task."""
    progress: bool = True
    threads: int | None = limited(None, min=1)
    """CPU threads of PyTorch; one per core when unset."""
    deterministic: bool = True
    profiler: str | None = chosen(None, "simple", "advanced", "pytorch")
    detect_anomaly: bool = False
    overfit_examples: int | None = limited(None, min=1)
    """Train and validate on the same first so many examples of each task."""
    test: bool = True
    """Evaluate the best weights on the test splits at the end."""


@dataclass
class CheckpointConfig:
    """Which checkpoints a run keeps."""

    every_n_train_steps: int | None = limited(None, min=1)
    """Also save after every so many steps; after every validation in any case."""
    save_top_k: int = limited(1, min=0, also=(-1,))
    save_last: bool = True


@dataclass
class EarlyStoppingConfig:
    """Stop when the monitored metric no longer improves."""

    patience: int | None = limited(None, min=1)
    """Validations without improvement before the run stops; never when unset."""
    min_delta: float = limited(0.0, min=0)


@dataclass
class CallbacksConfig:
    """Checkpoints and early stopping."""

    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)


@dataclass
class WandbConfig:
    """Weights & Biases."""

    project: str = "mtl"
    entity: str | None = None
    name: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    mode: str = chosen("auto", "auto", "online", "offline")
    """``auto | online | offline``; ``auto`` is online when there is a login."""


@dataclass
class LoggerConfig:
    """Where metrics go."""

    names: list[str] = field(
        default_factory=lambda: ["wandb"],
        metadata={"choices": ("wandb", "tensorboard", "csv")},
    )
    """Any of ``wandb``, ``tensorboard``, ``csv``; an empty list logs nowhere."""
    use: dict[str, bool] = field(default_factory=dict)
    """One entry for each file chosen in the ``logger`` group; `names` is read from its keys."""
    wandb: WandbConfig = field(default_factory=WandbConfig)


@dataclass
class CacheConfig:
    """What is kept on disk between runs, so that it is computed once."""

    dir: str | None = None
    """The folder; when unset, the environment's `MTL_CACHE`, else `~/.cache/mtl`."""
    examples: bool = True
    """Keep the encoded examples of splits with 10,000 rows or more."""


@dataclass
class Config:
    """A run."""

    tasks: dict[str, TaskConfig] = field(default_factory=dict)
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    batching: BatchingConfig = field(default_factory=BatchingConfig)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    balancing: BalancingConfig = field(default_factory=BalancingConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    seed: int = limited(42, min=0, max=2**32 - 1)
    monitor: str = "val/score"
    """The metric that drives checkpoints and early stopping: ``val/score``, or one task's as
    ``val/<task>/<metric>``."""
    resume: str | None = None
    """A run's folder: continue it exactly, with its own configuration."""
    init: str | None = None
    """A run's folder: start from its trunk and from the heads of the tasks that are here too."""
