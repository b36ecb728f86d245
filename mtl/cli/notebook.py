"""Training from Python: what ``python train.py`` does, in this process, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl.cli.train import CONF, Arguments, begin
from mtl.cli.train import train as train_here
from mtl.errors import ConfigError, Problem
from mtl.shipped import program

if TYPE_CHECKING:
    from mtl.config.schema import Config
    from mtl.inference.texts import Predictor


@dataclass(frozen=True)
class Run:
    """A run that has ended."""

    folder: Path
    """What it left: ``model/``, ``checkpoints/``, ``metrics.json``, ``report.html``."""
    metrics: dict[str, float]
    """What ``metrics.json`` has."""

    def load(self, device: str = "auto", **options: Any) -> Predictor:
        """Open its model; options are those of :func:`mtl.load`."""
        from mtl.inference.opening import load

        return load(self.folder, device, **options)


def train(overrides: Sequence[str] = (), *, config_dir: Sequence[str | Path] = ()) -> Run:
    """Train one run, as ``python train.py OVERRIDES`` does.

    Args:
        overrides: As typed behind ``train.py``: ``["task=ner,sentiment", "trunk.lr=1e-4"]``.
        config_dir: Folders with files of your own, as ``--config-dir`` names them.

    Returns:
        Its folder and its metrics.

    Raises:
        MtlError: What the command would say; nothing is left of a run that did not begin.
    """
    if isinstance(overrides, str):
        expected = "to be a list of overrides"
        advice = f"Put it into a list: mtl.train([{overrides[:60]!r}])."
        raise ConfigError(Problem("overrides", expected, f"got {overrides[:60]!r}", advice))
    for text in overrides:
        if text.startswith("-"):
            advice = f"A sweep is started from the command line: {program()} -m …."
            if text.startswith("--config-dir"):
                advice = "Name the folder by the argument: config_dir=['my_conf']."
            raise ConfigError(Problem("overrides", "to be key=value", f"got '{text}'", advice))
        if text.partition("=")[0] == "resume":
            advice = f"Resume it from the command line: {program()} resume=RUN."
            raise ConfigError(Problem("overrides", "to begin a run", f"got '{text}'", advice))
    ended: list[Run] = []

    def keep(cfg: Config, folder: Path) -> dict[str, float]:
        metrics = train_here(cfg, folder)
        ended.append(Run(folder, dict(metrics)))
        return metrics

    arguments = Arguments(list(overrides), config_dir=[Path(folder) for folder in config_dir])
    import torch

    strict = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        begin(arguments, keep, [CONF, *arguments.config_dir])
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warns)
    (run,) = ended
    return run
