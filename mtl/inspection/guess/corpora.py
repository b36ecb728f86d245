"""Which corpora some files and folders are: each a training set, maybe with other splits.

::

    corpus/train.tsv  corpus/dev.tsv            one corpus: a folder with its splits
    data/qa_train.json  data/qa_test.json       one corpus: files whose names differ in the split
    data/reviews.csv                            one corpus, of which validation is cut
    films/pos/1.txt  films/neg/1.txt            one corpus: a folder for each class
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtl.data import hub
from mtl.data.folders import CODE, parallel_split, split_file
from mtl.data.origins import NAMES
from mtl.data.readers.base import FORMATS
from mtl.data.readers.compressed import ENDINGS, ending_of
from mtl.data.readers.files import find
from mtl.data.readers.folders import class_files
from mtl.data.rows import Role
from mtl.errors import DataError

_SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
_SPLIT = re.compile(
    rf"(?:(?P<before>.*?)[._-])?(?P<split>{'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})"
    r"(?:[._-](?P<after>.*))?",
    re.IGNORECASE,
)
_PARALLEL = {
    "token_classification": [Role("tokens", "tokens"), Role("labels", "tags")],
    "text_classification": [Role("text", "text"), Role("label", "label")],
    "generation": [Role("text", "text"), Role("target", "texts")],
}
"""What parallel files hold, by the type of their task."""


@dataclass(frozen=True)
class Corpus:
    """Files that hold the same rows in several splits."""

    name: str
    data: dict[str, str]
    """What a task's ``data`` section says: a source, or a file for a split."""
    sample: Path
    """The file by which the rows are judged."""
    files: dict[str, Path] = field(default_factory=dict)
    """Of parallel files: the file of each role."""
    type: str = ""
    """Of parallel files: the type of their task."""
    classes: bool = False
    """Whether it is a folder for each class."""
    saved: bool = False
    """Whether it is a folder that the ``datasets`` library saved."""


def find_corpora(paths: Sequence[str], notes: list[str]) -> list[Corpus]:
    """Return the corpora that files and folders are.

    Args:
        paths: As a user names them; globs too.
        notes: Takes a sentence for what is left out.

    Raises:
        DataError: If there is no such file.
    """
    found: list[Corpus] = []
    files: list[Path] = []
    for given in paths:
        path = Path(given).expanduser()
        if path.is_dir():
            found += _in_folder(path, notes)
        else:
            files += find(given, "mtl init")
    return found + list(_grouped(files, notes))


def _in_folder(folder: Path, notes: list[str]) -> list[Corpus]:
    """Return what a folder is as a whole, else what its files and folders are."""
    source = {"source": str(folder)}
    if hub.is_saved(folder):
        return [Corpus(folder.name, source, folder, saved=True)]
    for kind, roles in _PARALLEL.items():
        if lined := parallel_split(folder, "train", roles):
            named = {role: Path(file) for role, file in lined.items()}
            return [Corpus(folder.name, source, folder, named, kind)]
    files = [f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith(".")]
    if train := _train(folder):
        others = [file for file in files if not _is_split(file)]
        name = folder.resolve().name
        return [Corpus(name, source, train), *_grouped(others, notes)]
    if marks := _marks(folder):
        return [Corpus(folder.name, {"train": str(folder)}, marks[0])]
    if not files:
        home = next((folder / n for n in NAMES["train"] if (folder / n).is_dir()), folder)
        texts = class_files(home)
        if texts and all(text.suffix.lower() in ("", ".txt") for text in texts):
            return [Corpus(folder.name, source, texts[0], classes=True)]
        inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        return [corpus for path in inner for corpus in _in_folder(path, notes)]
    return list(_grouped(files, notes))


def _train(folder: Path) -> Path | None:
    """Return the training file by which a folder is a source, if it is one."""
    try:
        found = split_file(folder, "train", "data")
    except DataError:  # Several: they are corpora of their own.
        return None
    return None if found is None else find(found, "mtl init")[0]


def _marks(folder: Path) -> list[Path]:
    """Return the files of a format of which a folder is one set of data."""
    endings = [e for n in FORMATS if (f := FORMATS.get(n)).folders for e in f.endings]
    return sorted(file for ending in endings for file in folder.rglob(f"*{ending}"))


def _grouped(files: Iterable[Path], notes: list[str]) -> Iterable[Corpus]:
    """Yield a corpus for each file, or for each set of files whose names differ in the split."""
    groups: dict[tuple[Path, str, str], dict[str, Path]] = {}
    for file in files:
        if file.suffix in CODE:
            notes.append(f"{file}: it is code, and no data.")
            continue
        if not file.stat().st_size:
            notes.append(f"{file}: it is empty.")
            continue
        stem = _stem(file)
        match = _SPLIT.fullmatch(stem)
        split = _SPLIT_OF[match["split"].lower()] if match else "train"
        name = "_".join(filter(None, (match["before"], match["after"]))) if match else stem
        key = (file.parent, name, ending_of(file))
        if split in groups.get(key, {}):
            notes.append(f"{file}: '{groups[key][split]}' is taken for {split}, and not this one.")
        groups.setdefault(key, {}).setdefault(split, file)
    for (folder, name, _), splits in groups.items():
        if "train" not in splits:
            told = ", ".join(map(str, splits.values()))
            notes.append(f"{told}: no file beside it is for training.")
            continue
        data = {split: str(file) for split, file in splits.items()}
        yield Corpus(name or folder.resolve().name, data, splits["train"])


def _is_split(file: Path) -> bool:
    """Whether a file's name is that of a split, and nothing more."""
    match = _SPLIT.fullmatch(_stem(file))
    return match is not None and match["before"] in (None, "eng")


def _stem(file: Path) -> str:
    """Return a file's name without its ending, if that is none of a split's names, twice if two."""
    name = file.with_suffix("").name if file.suffix.lower() in ENDINGS else file.name
    return name if Path(name).suffix[1:] in _SPLIT_OF else Path(name).stem
