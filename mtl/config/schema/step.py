"""A step: which examples it holds, and how their losses become one update."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mtl.config.section import Field, Flag, Lower, Number, Section, Text, Whole

Probability = Annotated[Number, Field(ge=0, lt=1)]


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

    name: Text = "auto"
    """A registered balancing: ``sum``, one of ``docs/balancing.md``, or one of another package;
    ``auto`` is ``equal_norms`` where two tasks or more train a trunk and nothing stands against it,
    else ``sum``."""
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
