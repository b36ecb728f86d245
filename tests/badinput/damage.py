"""Ways in which files break."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests import helpers

Damage = Callable[[Path], object]
LAST = "run/checkpoints/last.ckpt"
DESCRIPTION = "run/model/mtl.json"


def cut(name: str, size: int) -> Damage:
    """Keep a file's first bytes."""

    def go(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return go


def drop(*names: str) -> Damage:
    """Remove files."""

    def go(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return go


def edit(name: str, change: Callable[[Any], object]) -> Damage:
    """Change what a JSON file says."""

    def go(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        change(values)
        (folder / name).write_text(json.dumps(values))

    return go


def trunk(**changes: Any) -> Damage:
    """Change the trunk's configuration, and leave its weights."""
    return edit("trunk/config.json", lambda values: values.update(changes))


def description(change: Callable[[Any], object]) -> Damage:
    """Change the description of the run's model."""
    return edit(DESCRIPTION, change)


def checkpoint(change: Callable[[Any], object]) -> Damage:
    """Change what the last checkpoint holds."""

    def go(folder: Path) -> None:
        values = torch.load(folder / LAST, weights_only=True)
        change(values)
        torch.save(values, folder / LAST)

    return go


def other_trunk(folder: Path) -> None:
    """Put another model where the run's trunk was."""
    config = helpers.llama_config(hidden_size=8)
    helpers.save_tiny(folder / "trunk", config, helpers.bpe_tokenizer())


def other_head(folder: Path) -> None:
    """Put the weights of fewer labels where the run's head was."""
    weights = {"linear.weight": torch.zeros(3, 16), "linear.bias": torch.zeros(3)}
    save_file(weights, folder / "run/model/head-ner.safetensors")


class Code:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return open, ("it-ran", "w")


def code(name: str) -> Damage:
    """Write a pickle that runs code."""

    def go(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": Code()}, folder / name)

    return go


def keep_best(names: dict[str, float]) -> Callable[[Any], object]:
    """Return what makes a checkpoint name other files as the best so far."""

    def go(values: Any) -> None:
        state = next(s for s in values["callbacks"].values() if "kept" in s)
        state["kept"] = names

    return go


def all_of(*damages: Damage) -> Damage:
    """Do one damage after another."""

    def go(folder: Path) -> None:
        for damage in damages:
            damage(folder)

    return go
