"""What a model folder may not ask for: code of its own, pickles, files of other folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig

ADAPTER = "adapter_config.json"
INDEX = "model.safetensors.index.json"
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_folder(folder: Path, *, weights: bool = True) -> None:
    """Refuse a model folder that leads elsewhere, or has its weights in pickles only.

    transformers would follow an adapter to its base model, and an index to any file.

    Args:
        folder: The model's folder; nothing happens if it is none, as for a name on the Hub.
        weights: Whether its weights are wanted.

    Raises:
        ValueError: With what is wrong, to be read after "cannot be loaded:".
    """
    if (folder / ADAPTER).exists():
        raise ValueError(
            f"it is an adapter of another model ({ADAPTER}); merge it into its model first "
            "(PEFT's `merge_and_unload`) and save that"
        )
    for name in _shards(folder / INDEX):
        if Path(name).name != name or "\\" in name:
            raise ValueError(f"{INDEX} names '{name}', which is not a file of the folder")
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if weights and pickles and not list(folder.glob("*.safetensors")):
        raise ValueError(
            f"its weights are a pickle ({pickles[0]}), which could run code and is not opened; "
            "convert it to model.safetensors with `save_pretrained` where you trust it"
        )


def _shards(index: Path) -> Iterator[str]:
    """Yield the files that an index names."""
    if not index.is_file():
        return
    found = json.loads(index.read_text(encoding="utf-8"))
    weights = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(weights, dict):
        raise TypeError(f"{INDEX} has no `weight_map`")
    yield from map(str, weights.values())


def check_config(config: PretrainedConfig) -> None:
    """Refuse a configuration whose attention is a kernel that would be fetched and run.

    Raises:
        ValueError: With what is wrong, to be read after "cannot be loaded:".
    """
    asked = getattr(config, "_attn_implementation", None)
    for name in asked.values() if isinstance(asked, dict) else [asked]:
        if name is not None and "/" in str(name):
            raise ValueError(
                f"its config.json asks for code from elsewhere ('{name}' as attention), which is "
                "not run; take `attn_implementation` out of it"
            )


def wants_code(error: Exception) -> bool:
    """Whether transformers refused a model since it brings Python code of its own."""
    return "trust_remote_code" in str(error) or "custom code" in str(error)


OWN_CODE = (
    "it brings Python code of its own (`auto_map` in its JSON files), which is not run unless you "
)
CODE = f"{OWN_CODE}set trunk.trust_remote_code=true; read the code first"
