"""Every option of a run, typed, with its default and what it means.

The one schema: Hydra composes over its defaults, pydantic checks the result against it, and the
code that uses a section is handed that section. A default stands here and nowhere else. Sections
stand in a file for each part of a run; who uses one imports it from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import field_validator

from mtl.config.schema.model import (
    Attention,
    HeadConfig,
    InitConfig,
    TrunkConfig,
    TuningConfig,
)
from mtl.config.schema.run import (
    CacheConfig,
    CallbacksConfig,
    CheckpointConfig,
    EarlyStoppingConfig,
    ForkConfig,
    LoggerConfig,
    SearchConfig,
    TrainerConfig,
    WandbConfig,
)
from mtl.config.schema.step import (
    BalancingConfig,
    BatchingConfig,
    MixingConfig,
    OptimizerConfig,
    ScheduleConfig,
    StageConfig,
)
from mtl.config.schema.task import DataConfig, FileConfig, LabelConfig, TaskConfig
from mtl.config.section import Field, Lower, Section, Text, Whole


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
