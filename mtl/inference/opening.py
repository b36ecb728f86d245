"""Opening a model by its folder, or by its name on the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from mtl.errors import CheckpointError, MtlError, Problem, meant_folder
from mtl.inference.predictor import RowPredictor
from mtl.inference.texts import Predictor
from mtl.training.description import DESCRIPTION
from mtl.training.model_io import load_model

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""``owner/name``, perhaps with a revision behind ``@``."""
FILES = ["*.json", "*.safetensors", "*.npy", "*.txt", "*.model", "*.jinja"]
"""What a model folder of ours is made of."""


def load(
    path_or_hub_id: str | Path,
    device: str = "auto",
    tokens: int | None = None,
    *,
    precision: str = "32-true",
    trust_remote_code: bool = False,
) -> Predictor:
    """Open a trained model.

    Args:
        path_or_hub_id: A run's folder, a model's folder, or ``owner/name`` on the Hugging Face Hub,
            perhaps with a revision: ``owner/name@v1``. A folder that is there wins.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        tokens: Most tokens, padding included, in one pass of the trunk.
        precision: ``32-true``, or ``bf16-mixed`` and ``16-mixed`` where the device has them.
        trust_remote_code: Whether to run Python code that the model's trunk brings.

    Raises:
        CheckpointError: If there is no such model, or it cannot be used.
        ConfigError: If there is no such device.
    """
    folder = found(str(path_or_hub_id))
    loaded = load_model(folder, trust_remote_code=trust_remote_code)
    return Predictor(RowPredictor(loaded, device, tokens, precision=precision))


def found(name: str) -> Path:
    """Return the folder of a model; one of the Hub is brought into its cache.

    Raises:
        CheckpointError: If the Hub has no such model, or cannot be reached.
    """
    folder = Path(name).expanduser()
    if folder.exists() or not HUB_NAME.fullmatch(name):
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        brought = Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=FILES)
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise _not_there(name, _first_line(error)) from error
    if not (brought / DESCRIPTION).is_file():
        raise _not_there(name, f"the Hub's repository has no {DESCRIPTION}")
    return brought


def _not_there(name: str, reason: str) -> MtlError:
    expected = "to be the folder of a run or a model, or a model of the Hub that mtl wrote"
    near = meant_folder(Path(name)).strip() or "Check the name;"
    advice = f"{near} A private model needs a login: hf auth login."
    found = f"there is no such folder, and of the Hub: {reason}"
    return CheckpointError(Problem(name, expected, found, advice))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
