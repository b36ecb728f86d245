"""``resume=RUN``: a run's own configuration, past Hydra, so that its ``.hydra`` stays as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtl.cli.folders import release_run_dir
from mtl.config.compose import checked
from mtl.config.saved import HYDRA, saved_cfg, saved_config, saved_file
from mtl.config.schema import Config
from mtl.config.section import Values
from mtl.errors import CheckpointError, ConfigError, Problem, meant_folder

AUTO = "auto"
"""Continue the run in `hydra.run.dir`, or begin it: one command line for a job that is repeated."""
HIDDEN = "(hidden)"
"""What stands in a run's files in place of a secret."""
ALLOWED = ("trainer.max_steps", "trainer.max_epochs", "trainer.non_finite", "changed_data")


def resumed_run(overrides: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the run to continue and the other overrides, or None if none is to be.

    Raises:
        ConfigError: If ``resume=`` is given without a folder.
    """
    mine = [text for text in overrides if _key(text) == "resume"]
    if not mine:
        return None
    value = mine[-1].partition("=")[2].strip().strip("'\"")
    if value == "null":
        return None
    if not value:
        raise ConfigError("Expected `resume` to be a run's folder, but got nothing.")
    return value, [text for text in overrides if _key(text) != "resume"]


def load_run(run: str, overrides: Sequence[str]) -> tuple[Config, Path]:
    """Return the configuration to continue a run with, and its folder.

    Args:
        run: The run's folder.
        overrides: What else was typed; only a later end is allowed, and to skip steps.

    Raises:
        CheckpointError: If there is no run.
        ConfigError: If anything else is to change, or the end is to be earlier.
    """
    folder = Path(run).absolute()
    if others := [text for text in overrides if _key(text) not in ALLOWED]:
        raise ConfigError(
            f"Expected only {_listed(ALLOWED)} beside resume={run}, which continues with its own "
            f"configuration, but got {', '.join(f'`{text}`' for text in others)}."
        )
    _check_run(folder, run)
    own, cfg = saved_config(folder), saved_cfg(folder)
    try:
        for override in OverridesParser.create().parse_overrides(list(overrides)):
            OmegaConf.update(cfg, override.key_or_group, override.value())
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"Cannot read {' '.join(overrides)}: {error}.") from error
    config = checked(cfg)
    _check_end(own, config)
    config.resume = str(folder)
    return config, folder


def _check_run(folder: Path, run: str) -> None:
    """Refuse a folder that holds no run."""
    if saved_file(folder).is_file():
        return
    found, near = f"{run} does not exist", meant_folder(Path(run)).strip()
    if folder.is_dir():
        found, near = f"{run} has no {HYDRA}/config.yaml", ""
    raise CheckpointError(Problem("resume", "to be a run's folder", found, near))


def load_same(folder: Path, asked: Config, overrides: Sequence[str]) -> Config:
    """Return the configuration to continue the run that a command line began, for resume=auto.

    Args:
        folder: The run's folder.
        asked: What the command line asks for now.
        overrides: What was typed, from which a later end is taken.

    Raises:
        ConfigError: If it asks for another run than that of the folder.
    """
    ends = [text for text in overrides if _key(text) in ALLOWED]
    config, _ = load_run(str(folder), ends)
    there, here = _flat(config.model_dump()), _flat(asked.model_dump())
    same = (*ALLOWED, "resume")
    changed = [k for k in here.keys() | there.keys() if here.get(k) != there.get(k)]
    if wrong := sorted(key for key in changed if key not in same and there.get(key) != HIDDEN):
        shown = ", ".join(f"`{k}` is {here.get(k)} instead of {there.get(k)}" for k in wrong[:3])
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ConfigError(
            f"Expected resume=auto with the same settings as the run in {folder}, but {shown}{more}"
            "; choose another `hydra.run.dir` for another run."
        )
    return config


def has_checkpoint(folder: Path) -> bool:
    """Whether a run has saved anything to go on from."""
    return (folder / "checkpoints" / "last.ckpt").is_file()


def begin_again(folder: Path) -> None:
    """Let a run that ended before it saved its state be begun anew in its folder.

    It may have been ended in its first validation, with its best checkpoint written but not its
    last, or with one half written.
    """
    if (folder / HYDRA).is_dir():
        for pattern in ("best-step=*.ckpt", "*.part"):
            for path in (folder / "checkpoints").glob(pattern):
                path.unlink(missing_ok=True)
        release_run_dir(folder)


def _flat(values: Mapping[str, object], prefix: str = "") -> Values:
    flat: Values = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:-1]) + f" and `{names[-1]}`"


def _check_end(own: Config, config: Config) -> None:
    """Refuse an earlier end than the run's own."""
    for name in ("max_steps", "max_epochs"):
        before, now = getattr(own.trainer, name), getattr(config.trainer, name)
        if before is not None and now is not None and now < before:
            expected = f"to be at least the run's own {before}"
            raise ConfigError(Problem(f"trainer.{name}", expected, f"got {now}"))


def _key(text: str) -> str:
    return text.lstrip("+~").partition("=")[0].strip()
