"""The model: its trunk, which parameters of it learn, its heads, and what it begins with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mtl.config.section import Field, Flag, Lower, Number, Section, Text, Whole

Attention = Annotated[Literal["causal", "bidirectional"], Lower]
Switch = Annotated[Literal["auto", "true", "false"], Lower]


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
