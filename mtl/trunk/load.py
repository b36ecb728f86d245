"""Load a pretrained transformer and its tokenizer by name or folder."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mtl.config.schema import TrunkConfig
from mtl.errors import ConfigError, Problem
from mtl.registry import Registry
from mtl.trunk.probe import probe
from mtl.trunk.quantized import loading
from mtl.trunk.safety import CODE, check_config, check_folder, wants_code
from mtl.trunk.trunk import Architecture, Capabilities, Trunk

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
    from transformers.models.auto.auto_factory import _BaseAutoModelClass

log = logging.getLogger(__name__)

BUNDLED = Path(__file__).parent / "bundled"

Build = Callable[[TrunkConfig, bool], "tuple[PreTrainedModel, PreTrainedTokenizerFast]"]
BUILDERS: Registry[Build] = Registry("trunk.name")
"""Name to a function that loads a model and its tokenizer, as a section ``trunk`` says; with its
output layer, where it has one, if that is wanted."""


def load_trunk(options: TrunkConfig, *, writes: bool = False) -> Trunk:
    """Load a trunk with float32 weights.

    Args:
        options: The section ``trunk``.
        writes: Whether to load its output layer too, where the model has one.

    Raises:
        ConfigError: If there is no such trunk, the folder is no model, or the model can only
            read causally and is asked to do otherwise.
    """
    from transformers import GenerationConfig

    path, attention = options.path, options.attention
    build = BUILDERS.get(options.name, "trunk.name")
    with quiet():
        whole, tokenizer = build(options, writes)
    writer = whole if writes and architecture_of(whole.config) != "encoder" else None
    model = whole if writer is None else whole.base_model
    if options.quantization != "none":
        model.is_loaded_in_4bit = True  # Of a body, as of the model around it: peft asks.
    _check_vocabulary(path, model.config, tokenizer)
    architecture = architecture_of(model.config)
    if hasattr(model, "pooler"):
        model.pooler = None  # Feeds no head; unused parameters break DDP.
    if options.gradient_checkpointing:
        _checkpoint_activations(model)
    start = _start(whole) if architecture == "encoder-decoder" else None
    if writer is not None:  # Not as it was last used to write: only a task's options count.
        writer.generation_config = GenerationConfig()
    trunk = Trunk(model, architecture, _capabilities(model), attention, tokenizer, writer, start)
    trunk.capabilities = probe(trunk)
    if trunk.attention == "bidirectional" and not trunk.capabilities.can_attend_bidirectionally:
        raise ConfigError(
            f"Expected `trunk.attention` to be causal, but got bidirectional: '{path}' is a "
            f"{model.config.model_type} model, whose tokens cannot see what comes after them."
        )
    return trunk


def _start(model: PreTrainedModel) -> int | None:
    """Return the token that the decoder of an encoder-decoder begins with."""
    for key in ("decoder_start_token_id", "pad_token_id", "bos_token_id"):
        for place in (model.config, getattr(model, "generation_config", None)):
            found = getattr(place, key, None)
            if isinstance(found, int):
                return found
    return None


def _check_vocabulary(
    path: str | None, config: PretrainedConfig, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Refuse a tokenizer of another model; tokens that were added to it later may be unknown."""
    rows, pieces = getattr(config, "vocab_size", None), tokenizer.vocab_size
    if isinstance(rows, int) and pieces > rows:
        raise ConfigError(
            f"Expected `trunk.path` to hold a model and its own tokenizer, but in '{path}' the "
            f"tokenizer has {pieces} pieces and the model has {rows}."
        )


def _checkpoint_activations(model: PreTrainedModel) -> None:
    if not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"Expected `trunk.gradient_checkpointing` to be false, but got true: "
            f"{type(model).__name__} does not support it."
        )
    # transformers before 5.23 knows the older name only.
    newer = getattr(model, "activation_checkpointing_enable", None)
    (newer or model.gradient_checkpointing_enable)()


def architecture_of(config: PretrainedConfig) -> Architecture:
    """Return ``decoder``, ``encoder`` or ``encoder-decoder`` for a model's configuration."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    if getattr(config, "is_encoder_decoder", False):
        return "encoder-decoder"
    if getattr(config, "is_decoder", False):
        return "decoder"
    # Encoders such as BERT are listed as causal models too, for their decoder mode.
    return (
        "decoder" if config.model_type in CAUSAL and config.model_type not in MASKED else "encoder"
    )


def document_limit(trunk: Trunk, asked: int | None) -> int:
    """Return the most tokens of one document window: `asked`, or at most 512.

    Raises:
        ConfigError: If more is asked than the model has positions for.
    """
    limit = trunk.positions
    if limit is None:
        return asked or 512
    if asked is not None and asked > limit:
        raise ConfigError(
            f"Expected `trunk.max_length` to be at most {limit}, the positions that the trunk "
            f"has, but got {asked}."
        )
    return asked or min(limit, 512)


def override_dropout(config: PretrainedConfig, rate: float | None) -> None:
    """Set every dropout rate of a model's configuration to `rate`, unless it is None."""
    if rate is None:
        return
    for key, value in list(vars(config).items()):
        is_rate = isinstance(value, int | float) and not isinstance(value, bool)
        if is_rate and ("dropout" in key or key.endswith("pdrop")):
            setattr(config, key, float(rate))


@BUILDERS.register("hf")
def build_hf(options: TrunkConfig, writes: bool) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load any model that AutoModel knows, from the Hub or a folder."""
    from transformers import AutoConfig, AutoTokenizer

    path, pretrained = options.path, options.pretrained
    if path is None:
        raise ConfigError(
            "Expected `trunk.path` to name a model on the Hugging Face Hub or a folder, but it is "
            "not set; for example trunk.path=Qwen/Qwen3-0.6B-Base."
        )
    code = options.trust_remote_code
    source = {"revision": options.revision, "trust_remote_code": code}
    if code:
        log.warning("Python code that '%s' brings is run, as you asked (trust_remote_code).", path)
    try:
        check_folder(Path(path), weights=pretrained)
        config = AutoConfig.from_pretrained(path, **source)
        check_config(config)
        override_dropout(config, options.dropout)
        tokenizer = AutoTokenizer.from_pretrained(path, use_fast=True, **source)
        family = _family(config, writes)
        if pretrained:
            model, report = family.from_pretrained(
                path,
                config=config,
                dtype=torch.float32,
                # From a folder, so that no pickle is opened; the Hub's client prefers them.
                use_safetensors=True if Path(path).is_dir() else None,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **loading(options),
                **source,
            )
            _refuse_other_shapes(report["mismatched_keys"])
            _say_what_is_missing(path, report["missing_keys"])
        else:
            model = family.from_config(config, trust_remote_code=code).float()
    except Exception as error:  # whatever transformers makes of a folder that is no model
        raise _no_model(path, error) from error
    if not tokenizer.is_fast:
        raise ConfigError(
            f"`trunk.path`: the tokenizer of '{path}' has no fast version, and character offsets "
            "need one; choose a model with a tokenizer.json."
        )
    return model, tokenizer


def _family(config: PretrainedConfig, writes: bool) -> type[_BaseAutoModelClass]:
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    if not writes:
        return AutoModel
    return {"decoder": AutoModelForCausalLM, "encoder-decoder": AutoModelForSeq2SeqLM}.get(
        architecture_of(config), AutoModel
    )


class NoModel(ConfigError):
    """What transformers cannot load.

    Args:
        problem: About `trunk.path`.
        reason: Why, in a few words.
        wants_code: Whether it is because the model brings code of its own.
    """

    def __init__(self, problem: Problem, reason: str, *, wants_code: bool) -> None:
        super().__init__(problem)
        self.reason = reason
        self.wants_code = wants_code


@BUILDERS.register("tiny")
def build_tiny(
    options: TrunkConfig, writes: bool
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Build the bundled small decoder; `path` replaces its folder."""
    folder = Path(options.path) if options.path else BUNDLED / "tiny"
    has_weights = (folder / "model.safetensors").is_file()
    if options.pretrained and not has_weights:
        log.warning("trunk 'tiny' ships without pretrained weights: it starts at random.")
    own = {
        "path": str(folder),
        "pretrained": options.pretrained and has_weights,
        "revision": None,
        "trust_remote_code": False,
    }
    return build_hf(options.model_copy(update=own), writes)


def _no_model(path: str, error: Exception) -> NoModel:
    expected = "to be a model on the Hugging Face Hub or a folder"
    if Path(path).is_dir():
        files = "config.json, model.safetensors, tokenizer.json"
        expected = f"to be a folder with a Hugging Face model ({files})"
    code = wants_code(error)
    reason = CODE if code else _reason(error)
    problem = Problem("trunk.path", expected, f"'{path}' cannot be loaded: {reason}")
    return NoModel(problem, reason, wants_code=code)


def _reason(error: Exception) -> str:
    """Return what an error says first, in one line without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = lines or [type(error).__name__]
    whole = " ".join(lines).partition(". ")[0] if lines[0].endswith(":") else lines[0]
    return whole.rstrip(".!")


def _refuse_other_shapes(keys: Iterable[tuple[str, torch.Size, torch.Size]]) -> None:
    """Raise ValueError for the first weight whose shape is not the configuration's."""
    for name, found, wanted in sorted(keys):
        raise ValueError(
            f"its weight {name} has shape {tuple(found)}, but its config.json asks for "
            f"{tuple(wanted)}"
        )


def _say_what_is_missing(path: str, keys: Iterable[str]) -> None:
    missing = sorted(k for k in keys if "pooler" not in k)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        log.warning("'%s' has no weights for %s%s: they start at random.", path, missing[0], more)


def _capabilities(model: PreTrainedModel) -> Capabilities:
    config = model.config
    layer_types = getattr(config, "layer_types", None) or []
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)  # RoBERTa's family counts from behind it.
    forward = inspect.signature(
        model.get_encoder().forward if config.is_encoder_decoder else model.forward
    )
    return Capabilities(
        positions="position_ids" in forward.parameters,
        position_offset=0 if padding is None else padding + 1,
        window=_window(config, layer_types),
        window_by_layer="sliding_attention" in layer_types,
    )


def _window(config: PretrainedConfig, layer_types: Sequence[str]) -> int | None:
    """The sliding window, in tokens: one sees less than this many positions away."""
    window = getattr(config, "sliding_window", None)
    unused = getattr(config, "use_sliding_window", True) is False or (
        layer_types and "sliding_attention" not in layer_types
    )
    if not isinstance(window, int) or unused:
        return None
    # Encoders count the last position of the window in (ModernBERT: local_attention / 2).
    return window + 1 if architecture_of(config) == "encoder" else window


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' loading reports and progress bars off the terminal."""
    from transformers.utils import logging as hf_logging

    level = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
