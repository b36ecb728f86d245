"""Datasets of the Hugging Face Hub, or folders that the ``datasets`` library understands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mtl.data.readers.base import Cells, Source, only_names
from mtl.data.readers.typed import of_dataset, read_rows
from mtl.errors import DataError, MtlError, Problem

if TYPE_CHECKING:
    from datasets import Dataset

PARQUET = "refs/convert/parquet"
"""The branch where the Hub keeps its own Parquet conversion of a dataset."""
_SPEC = re.compile(r"(?P<name>[^@:]+)(?:@(?P<revision>[^:]+))?(?::(?P<config>.+))?")


@dataclass(frozen=True)
class Spec:
    """A parsed ``<dataset>[@revision][:<config>]``."""

    name: str
    revision: str | None = None
    config: str | None = None


def parse(text: str, key: str) -> Spec:
    """Return the parts of a Hub source; an existing folder is a name as a whole.

    Raises:
        DataError: If it is not of that form.
    """
    match = _SPEC.fullmatch(text)
    if Path(text).is_dir():
        return Spec(text)
    if match is None:
        expected = "to be `hub:<dataset>[@revision][:<config>]`"
        raise DataError(Problem(key, expected, f"got 'hub:{text}'"))
    return Spec(**match.groupdict())


def load(text: str, key: str, notes: list[str]) -> Mapping[str, Dataset]:
    """Return a dataset's splits by name; say in `notes` what was used instead of what.

    Args:
        text: ``<dataset>[@revision][:<config>]``.
        key: The config key that holds it.
        notes: Takes a sentence when the Hub's Parquet conversion stands in for a script.

    Raises:
        DataError: If it cannot be loaded.
    """
    spec = parse(text, key)
    try:
        try:
            return _load(spec)
        except RuntimeError as problem:
            if "scripts are no longer supported" not in str(problem):
                raise
            converted = _conversion(spec, key)
        found = _load(converted)
    except MtlError:
        raise
    except Exception as problem:
        raise _unreadable(key, f"hub:{text}", problem) from problem
    notes.append(
        f"{key}: '{spec.name}' is a loading script, which `datasets` no longer runs; "
        f"the Hub's Parquet conversion ({PARQUET}) is used instead."
    )
    return found


def _unreadable(key: str, name: str, problem: Exception) -> DataError:
    reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:400].rstrip(".")
    return DataError(
        Problem(key, "to be a dataset that can be loaded", f"'{name}' failed: {reason}")
    )


def is_saved(folder: Path) -> bool:
    """Whether a folder is what ``save_to_disk`` of the ``datasets`` library wrote."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def _load(spec: Spec) -> Mapping[str, Dataset]:
    import datasets

    if is_saved(Path(spec.name)):
        saved = datasets.load_from_disk(spec.name)
        return saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}

    if spec.revision == PARQUET:  # There, configurations are folders.
        options: dict[str, object] = {"data_dir": spec.config} if spec.config else {}
    else:
        options = {"name": spec.config}
    loaded: Mapping[str, Dataset] = datasets.load_dataset(
        spec.name, revision=spec.revision, **options
    )
    return loaded


def _conversion(spec: Spec, key: str) -> Spec:
    if Path(spec.name).is_dir():
        raise DataError(
            Problem(
                key,
                f"to have data files in '{spec.name}'",
                "it holds a loading script, which is not run",
                "Name the data files themselves in `train`, `validation` and `test`.",
            )
        )
    if spec.revision is not None:
        raise DataError(
            Problem(
                key,
                f"to have data files at revision '{spec.revision}' of '{spec.name}'",
                "it is a loading script",
                f"The Hub converted its newest revision only: `@{PARQUET}`.",
            )
        )
    if spec.config is not None:
        return Spec(spec.name, PARQUET, spec.config)
    configs = converted_configs(spec.name)
    if len(configs) > 1 and "default" not in configs:
        expected = f"to have a configuration, `hub:{spec.name}:<config>`, one of"
        raise DataError(Problem(key, f"{expected} {{{', '.join(configs)}}}", "got none"))
    config = "default" if "default" in configs else next(iter(configs), None)
    return Spec(spec.name, PARQUET, config)


def converted_configs(name: str) -> list[str]:
    """Return the configurations in the Parquet conversion of a dataset: its top folders."""
    import huggingface_hub

    files = huggingface_hub.HfApi().list_repo_files(name, repo_type="dataset", revision=PARQUET)
    return sorted({file.split("/")[0] for file in files if "/" in file})


def read_dataset(dataset: Dataset, source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of a split with their numbers from 1; classes become their names.

    Raises:
        DataError: If a needed column is not there, or the split cannot be read.
    """
    only_names(source)
    damaged = partial(_unreadable, f"{source.section}.source", str(source.path))
    yield from read_rows(source, of_dataset(dataset), damaged)


def is_unlabelled(dataset: Dataset, columns: Sequence[str]) -> bool:
    """Whether a split hides its classes: -1 everywhere in one of `columns`, as in GLUE's tests."""
    return any(
        hasattr(dataset.features.get(name), "int2str") and dataset.unique(name) == [-1]
        for name in columns
    )
