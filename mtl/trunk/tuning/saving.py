"""Adapters as files of their own, in peft's format."""

from __future__ import annotations

import copy
from pathlib import Path

from safetensors.torch import save_file

from mtl.trunk.trunk import Trunk
from mtl.trunk.tuning.adapters import ADAPTER, adapters

FOLDER = "adapter"
"""Where they lie in a model's folder."""


def save_adapters(trunk: Trunk, folder: Path, base: str | None) -> None:
    """Write a trunk's adapters beside its merged weights; does nothing if it has none.

    ``PeftModel.from_pretrained(AutoModel.from_pretrained(base), folder / "adapter")`` opens them.

    Args:
        trunk: Perhaps with adapters.
        folder: The model's.
        base: The name or folder of the model that they were made for.
    """
    if not adapters(trunk.model):
        return
    from peft import PeftConfig, get_peft_model_state_dict

    found: dict[str, PeftConfig] = trunk.model.peft_config
    config = copy.copy(found[ADAPTER])
    if hasattr(config, "total_step"):  # AdaLoRA's values that are zero stay in their places.
        config.rank_pattern = None
    trunk.model.peft_config = {ADAPTER: config}
    try:
        weights = get_peft_model_state_dict(trunk.model, adapter_name=ADAPTER)
    finally:
        trunk.model.peft_config = found
    (folder / FOLDER).mkdir()
    named = {f"base_model.model.{n}": v.detach().cpu().contiguous() for n, v in weights.items()}
    save_file(named, folder / FOLDER / "adapter_model.safetensors", metadata={"format": "pt"})
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder / FOLDER))
