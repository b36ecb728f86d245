"""Every option of a run, typed, with its default and what it means.

The one schema: Hydra composes over its defaults, pydantic checks the result against it, and the
code that uses a section is handed that section. A default stands here and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import field_validator

from mtl.config.section import (
    MISSING,
    Blank,
    Field,
    Files,
    Flag,
    Lower,
    Number,
    Section,
    Text,
    Whole,
)

Attention = Annotated[Literal["causal", "bidirectional"], Lower]
Switch = Annotated[Literal["auto", "true", "false"], Lower]
Probability = Annotated[Number, Field(ge=0, lt=1)]


class LabelConfig(Section):
    """What is known of a task's labels beside its data."""

    labels: list[Blank] | None = None
    """All labels that there are; a number in a file is the place of one, counted from 0."""
    unseen_labels: Annotated[Literal["error", "count"], Lower] = "error"
    """``count``: a label that training has no row of is learned to be one, so that rows of
    validation and test that have it count as wrong."""
    ignore_labels: list[Blank] = []
    """Labels that are none, such as ``_`` or ``-100``: rows with one are left out, in tagging
    words."""


class FileConfig(Section):
    """How a task's files are written, where it is said and not guessed."""

    format: Text | None = None
    """A registered reader, such as ``conll | tsv | csv | xlsx | jsonl | json | parquet``, or one of
    another package; guessed from the file's name and content when unset."""
    columns: dict[str, dict[str, Any]] = {}
    """By split: columns of its own, where its files have others than the task's `columns` say."""
    header: Flag | None = None
    """Whether a TSV or CSV file starts with column names; guessed from the columns when unset."""
    encoding: Text = "utf-8"
    delimiter: Blank | None = None
    """What cells of a CSV or TSV file are apart by: a character, or ``comma | semicolon | tab |
    pipe | space``; found from the first rows when unset."""
    quoting: Flag | None = None
    """Whether a quotation mark that begins a cell of a CSV or TSV file encloses it; when unset, it
    does in CSV, and in TSV if the file is written so."""
    comment: Blank | None = None
    """What comment lines before a sentence of a CoNLL file begin with, ``none`` where every line is
    a word; when unset ``#``, where the line is not like those of words."""


class DataConfig(FileConfig, LabelConfig):
    """Where a task's examples come from."""

    source: Text | None = None
    """Something with all splits: ``bundled:<name>``, ``hub:<dataset>[@revision][:<config>]``, or
    a folder."""
    train: Files | None = None
    """A file or glob for this split, or a list of them; or by role files of which line n belongs
    together, such as ``{tokens: seq.in, labels: seq.out}``. Wins over the source."""
    validation: Files | None = None
    test: Files | None = None
    on_bad_row: Annotated[Literal["error", "skip"], Lower] = "error"
    """``error`` stops at the first bad row; ``skip`` counts them and writes ``rejected.jsonl``."""
    validation_fraction: Number = Field(0.1, gt=0, lt=1)
    """Share of train that becomes validation when there is no validation split."""
    fold: Text | None = None
    """``2/5``: validate on the second of five parts of train, and train on the others."""
    group: Text | None = None
    """A column: rows with the same value stay on one side when validation is cut from train."""
    max_examples: Whole | None = Field(None, ge=1)
    """Use only a sample of so many rows of each split, in which labels have their shares; of test,
    too, so that scores are of fewer rows: `max_train_examples` leaves them whole."""
    max_train_examples: Whole | None = Field(None, ge=1)
    """The same for train; wins over `max_examples` there."""


class TaskConfig(Section):
    """One task: data, head, metric and options of its type."""

    type: Text = MISSING
    data: DataConfig = DataConfig()
    columns: dict[str, Any] = {}
    """Role to column: a name, or a number where the file has no header."""
    head: dict[str, Any] = {}
    """Options of the task type's head; checked against the type's own dataclass."""
    options: dict[str, Any] = {}
    """Options of the task type; checked against the type's own dataclass."""
    metric: Text | None = None
    """The task's primary metric; the task type's default when unset."""
    metrics: list[Any] = []
    """Further metrics, by registered name, or as ``{name: auroc, average: weighted}``."""
    weight: Number = Field(1.0, ge=0)
    attention: Attention | None = None
    """Overrides `trunk.attention` for this task."""


class TrunkConfig(Section):
    """The shared pretrained transformer."""

    name: Annotated[Literal["tiny", "hf"], Lower] = "tiny"
    """``tiny``, the bundled decoder, or ``hf``, a model of transformers, by its `path`."""
    path: Text | None = None
    """Hub name or folder of the model."""
    pretrained: Flag = True
    """False: the architecture of `path` with random weights."""
    attention: Attention = "causal"
    """``causal | bidirectional``, for decoders; encoders are always bidirectional."""
    lr: Number = Field(5e-5, ge=0)
    max_length: Whole | None = Field(None, ge=8)
    """Longest document window in tokens; the model's own limit (at most 512) when unset."""
    stride: Whole = Field(64, ge=0)
    """Tokens that neighbouring windows of a long document share."""
    prefix_space: Switch = "auto"
    """``auto | true | false``: whether a byte-level tokenizer sees a space before the text."""
    dropout: Number | None = Field(None, ge=0, lt=1)
    """Overrides every dropout rate of the trunk's own configuration."""
    revision: Text | None = None
    trust_remote_code: Flag = False
    gradient_checkpointing: Flag = False
    quantization: Annotated[Literal["none", "nf4", "fp4"], Lower] = "none"
    """``none | nf4 | fp4``: hold the weights in four bits, beside which adapters learn (QLoRA); for
    GPUs of CUDA."""


class TuningConfig(Section):
    """Which parameters of the trunk learn."""

    name: Text = "full"
    """A registered method: ``full | gradual | last | frozen``, adapters: ``lora | rslora | dora |
    adalora | ia3 | vera``, or one of another package."""
    options: dict[str, Any] = {}
    """Options of a method of another package; checked against the method's own `Options`."""
    layers: Whole = Field(2, ge=1)
    """For ``last``: how many of the last layers learn."""
    layer_decay: Number = Field(1.0, gt=0, le=1)
    """Rate of each layer over that of the layer above it; the last one has ``trunk.lr``."""
    unfreeze_every: Whole | None = Field(None, ge=1)
    """For ``gradual``: steps between two layers that begin to learn; when unset, all do from the
    middle of the run on."""
    rank: Whole = Field(8, ge=1)
    """For ``lora`` and its kin: size of the low-rank product that is added to a weight; for
    ``adalora`` the mean at the end, for ``vera`` the size of the random matrices."""
    alpha: Number = Field(16.0, gt=0)
    """For ``lora`` and its kin: the product counts alpha / rank; in ``rslora`` alpha / sqrt(rank),
    in ``adalora`` alpha / initial_rank."""
    dropout: Number = Field(0.0, ge=0, lt=1)
    """For adapters but ``ia3``: share of its input that an adapter drops in training."""
    target_modules: list[Text] | None = None
    """For adapters: the linear layers that have one, by name or end of name; when unset, all of the
    trunk's blocks; with ``ia3`` keys, values and feed-forward layers, where they are known."""
    feedforward_modules: list[Text] | None = None
    """For ``ia3``: those of them whose inputs are scaled, not their outputs."""
    adapters: Annotated[Literal["shared", "per_task"], Lower] = "shared"
    """``shared | per_task``, for ``lora``, ``rslora``, ``dora`` and ``ia3``: one adapter for all
    tasks, or one for each, with which its documents are read. A document that several tasks read
    is then read once for each of them."""
    initial_rank: Whole = Field(12, ge=2)
    """For ``adalora``: the rank that every adapter begins with."""
    rank_warmup: Number = Field(0.1, ge=0, lt=1)
    """For ``adalora``: share of the steps before ranks begin to fall."""
    rank_settled: Number = Field(0.3, ge=0, lt=1)
    """For ``adalora``: share of the steps at the end in which ranks stay as they are."""
    rank_every: Whole = Field(10, ge=1)
    """For ``adalora``: steps between two choices of what is kept."""
    orthogonality: Number = Field(0.5, ge=0)
    """For ``adalora``: weight of the penalty that keeps its factors near to orthogonal."""
    cache: Switch = "auto"
    """``auto | true | false``, for ``frozen``: keep the trunk's states on disk, so that it runs
    once and not in every epoch. ``auto`` does where it pays and fits; ``true`` or says why not."""
    cache_dir: Text | None = None
    """For ``frozen``: a folder of states that runs share; when unset they are the run's own, and
    removed at its end."""


class HeadConfig(Section):
    """What all heads share."""

    lr: Number = Field(1e-3, ge=0)


class BatchingConfig(Section):
    """How examples become optimiser steps and trunk passes."""

    examples: Whole = Field(32, ge=1)
    """Examples per optimiser step over all ranks and tasks."""
    tokens: Whole = Field(4096, ge=8)
    """Most tokens, padding included, in one trunk pass on one device."""
    max_branches: Whole = Field(16, ge=1)
    """Most branches of one document that share its encoding in a step."""
    pack: Flag = True
    """Place several short documents in one row, kept apart by the mask."""


class StageConfig(Section):
    """A part of a run that trains some of its tasks."""

    tasks: list[Text] = []
    """Their names."""
    epochs: Whole | None = Field(None, ge=1)
    """How long it lasts, in epochs of its own tasks; the last stage lasts as long as the run."""


class MixingConfig(Section):
    """How much of each task enters an epoch, and in what order."""

    name: Text = "proportional"
    """A registered mixing: ``proportional | uniform | temperature | annealed | dynamic``, or one of
    another package."""
    options: dict[str, Any] = {}
    """Options of the mixing, where it has any; checked against its own `Options`."""
    temperature: Number = Field(2.0, gt=0)
    """For ``temperature``: shares are size ** (1 / temperature)."""
    order: Text = "mixed"
    """``mixed``; ``round_robin``: one task a step, in turn; ``every_step``: every task in each."""
    stages: list[StageConfig] = []
    """Tasks that are trained one after the other, then together, and for how many epochs."""
    patience: Whole | None = Field(None, ge=1)
    """Validations without a better score after which a task leaves the mixture."""
    min_delta: Number = Field(0.0, ge=0)
    """How much better counts as better, of the task's own metric."""


class BalancingConfig(Section):
    """How the tasks' losses become one update."""

    name: Text = "sum"
    """A registered balancing: ``sum``, one of ``docs/balancing.md``, or one of another package."""
    options: dict[str, Any] = {}
    """Options of the method; checked against its own `Options`."""
    parameters: Annotated[Text, Lower] = "trunk"
    """``trunk | last | adapters``, where each task's own gradient is asked for: all parameters of
    the trunk that learn, those of its last `layers` layers, or those of adapters. What is left of
    the trunk gets the weighted sum."""
    layers: Whole = Field(1, ge=1)
    """For ``parameters=last``: how many layers."""
    conflict: Flag = False
    """Log the norm of each task's own gradient, and the cosine between those of each two tasks,
    whenever training is logged."""


class OptimizerConfig(Section):
    """AdamW."""

    weight_decay: Number = Field(0.01, ge=0)
    betas: list[Probability] = Field([0.9, 0.999], min_length=2, max_length=2)
    eps: Number = Field(1e-8, gt=0)


class ScheduleConfig(Section):
    """The learning rate over the run."""

    name: Annotated[Literal["linear", "cosine", "constant"], Lower] = "linear"
    """``linear | cosine | constant``, after the warm-up."""
    warmup: Number = Field(0.1, ge=0, le=1)
    """Share of all steps in which the rate climbs from zero."""


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


class InitConfig(Section):
    """What a run begins with of another, and how it holds what that one had learned."""

    run: Text | None = None
    """A run's folder: start from its trunk and from the heads of the tasks that are here too.
    ``init=RUN`` is short for it."""
    rehearse: Number | None = Field(None, ge=0, le=1)
    """Share of the training rows that the tasks of the other run are trained with; when unset, all
    of them where the trunk learns, and none, so that nothing of them changes, where it does not."""
    keep: Annotated[Literal["nothing", "distill"], Lower] = "nothing"
    """``distill``: what the other run's heads say of each text is to stay as it was."""
    weight: Number = Field(1.0, gt=0)
    """For ``distill``: how much that counts beside the losses of the tasks."""


class ForkConfig(Section):
    """A run that `mtl fork` made of another one."""

    run: Text | None = None
    """The other run's folder."""
    step: Whole = Field(0, ge=0)
    """Of which it goes on; 0 from the beginning."""
    without: list[Text] = []
    """Tasks whose losses teach nothing from there on. They still stand in every step, so that
    passes, data and dropout are the other run's, and are validated and tested."""


class Config(Section):
    """A run."""

    tasks: dict[str, TaskConfig] = {}
    trunk: TrunkConfig = TrunkConfig()
    tuning: TuningConfig = TuningConfig()
    head: HeadConfig = HeadConfig()
    batching: BatchingConfig = BatchingConfig()
    mixing: MixingConfig = MixingConfig()
    balancing: BalancingConfig = BalancingConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    trainer: TrainerConfig = TrainerConfig()
    logger: LoggerConfig = LoggerConfig()
    callbacks: CallbacksConfig = CallbacksConfig()
    cache: CacheConfig = CacheConfig()
    search: SearchConfig = SearchConfig()
    seed: Whole = Field(42, ge=0, le=2**32 - 1)
    monitor: Text = "val/score"
    """The metric that drives checkpoints and early stopping: ``val/score``, or one task's as
    ``val/<task>/<metric>``."""
    resume: Text | None = None
    """A run's folder: continue it exactly, with its own configuration."""
    changed_data: Annotated[Literal["error", "continue"], Lower] = "error"
    """What a resumed run does whose rows are not those that it began with."""
    init: InitConfig = InitConfig()
    fork: ForkConfig = ForkConfig()

    @field_validator("init", mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        """Read a folder alone, as files and older runs have it."""
        return {"run": given} if given is None or isinstance(given, str) else given


def dotted_keys(
    section: type[Section] = Config, names: tuple[str, ...] = (), prefix: str = ""
) -> list[str]:
    """Return every key of a section and of the sections in it, groups of keys included.

    Args:
        section: Where to begin.
        names: The keys of mappings to sections: the chosen tasks.
        prefix: What each key begins with.
    """
    keys: list[str] = []
    for name, field in section.model_fields.items():
        keys.append(f"{prefix}{name}")
        inner, mapped = _section_of(field.annotation)
        for parent in [f"{prefix}{name}.{one}" for one in names] if mapped else [keys[-1]]:
            keys += [parent] if mapped else []
            keys += dotted_keys(inner, names, f"{parent}.") if inner is not None else []
    return keys


def _section_of(hint: object) -> tuple[type[Section] | None, bool]:
    """Return the section that an annotation is or maps names to, and whether it maps them."""
    mapped = get_origin(hint) is dict
    inner = get_args(hint)[1] if mapped else hint
    if isinstance(inner, type) and issubclass(inner, Section):
        return inner, mapped
    return None, False
