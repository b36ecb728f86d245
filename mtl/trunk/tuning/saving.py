"""Adapters as files of their own, in peft's format."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mtl.errors import CheckpointError
from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.adapters import ADAPTER, adapt, adapters, linear_layers, those

if TYPE_CHECKING:
    from peft import PeftConfig

FOLDER = "adapter"
"""Where they lie in a model's folder; of tasks that have one each, in folders of their names."""
WEIGHTS = "adapter_model.safetensors"


def save_adapters(trunk: Trunk, folder: Path, base: str | None) -> None:
    """Write a trunk's adapters beside its weights; does nothing if it has none.

    ``PeftModel.from_pretrained(AutoModel.from_pretrained(base), folder / "adapter")`` opens them.

    Args:
        trunk: Perhaps with adapters.
        folder: The model's.
        base: The name or folder of the model that they were made for.
    """
    if not adapters(trunk.model):
        return
    (folder / FOLDER).mkdir()
    if not trunk.readers:
        _save(trunk, ADAPTER, folder / FOLDER, base)
    for name in trunk.readers:
        (folder / FOLDER / name).mkdir()
        _save(trunk, name, folder / FOLDER / name, base)


def _save(trunk: Trunk, name: str, folder: Path, base: str | None) -> None:
    from peft import get_peft_model_state_dict

    found: dict[str, PeftConfig] = trunk.model.peft_config
    config = copy.copy(found[name])
    if hasattr(config, "total_step"):  # AdaLoRA's values that are zero stay in their places.
        config.rank_pattern = None
    trunk.model.peft_config = {**found, name: config}  # By which peft leaves others out.
    try:
        weights = get_peft_model_state_dict(trunk.model, adapter_name=name)
    finally:
        trunk.model.peft_config = found
    named = {f"base_model.model.{n}": v.detach().cpu().contiguous() for n, v in weights.items()}
    save_file(named, folder / WEIGHTS, metadata={"format": "pt"})
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))


def load_adapters(trunk: Trunk, folder: Path, names: Sequence[str]) -> None:
    """Put tasks' own adapters beside a trunk's layers, as :func:`save_adapters` wrote them.

    Args:
        trunk: Without adapters.
        folder: The model's.
        names: The tasks.

    Raises:
        CheckpointError: If one is missing, damaged, or of another trunk.
    """
    from peft import PeftConfig, set_peft_model_state_dict

    trunk.readers = tuple(names)
    made = False
    for name in names:
        place = folder / FOLDER / name
        try:
            config = PeftConfig.from_pretrained(str(place))
            weights = load_file(place / WEIGHTS)
            if not made:
                _make(trunk, config)
                made = True
            bare = {n.removeprefix("base_model.model."): v for n, v in weights.items()}
            found: Any = set_peft_model_state_dict(trunk.model, bare, adapter_name=name)
            own = [n for n in found.missing_keys if f".{name}." in n or n.endswith(f".{name}")]
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().partition(chr(10))[0].rstrip(".")
            raise CheckpointError(
                f"{place}: Expected the adapter of task '{name}', but it cannot be read: {reason}. "
                "Copy the folder again, or train anew."
            ) from error
        if odd := [*own, *found.unexpected_keys]:
            raise CheckpointError(
                f"{place}: Expected the adapter of task '{name}', but '{odd[0]}' is of another "
                "trunk; copy the folder again, or train anew."
            )


def _make(trunk: Trunk, config: PeftConfig) -> None:
    """Make an adapter for each task, all of one kind."""
    from peft import IA3Model, LoraModel

    kinds: dict[str, Any] = {"LORA": LoraModel, "IA3": IA3Model}
    asked: Any = config
    # Of many layers, peft keeps ends of their names.
    names = those(list(linear_layers(trunk.model)), sorted(asked.target_modules))
    adapt(trunk, kinds[asked.peft_type.value], config, names)
