"""Bits per byte of held-out text, a file a domain, under trunks and a 5-gram model.

python scripts/quality/perplexity.py tiny hf:FOLDER RUN \
    --texts outputs/pretrain/validation/*.txt --ngram outputs/pretrain/train/*.txt

A model is a run's folder, or a trunk's name as in `trunk=`, with a path where it needs one. Texts
are read in chunks as in training, of `--length` tokens. The 5-gram model (Kneser-Ney) counts the
tokens of the `--ngram` files, each document once, by the tokenizer of the first model. Bits per
byte do not depend on the tokenizer, so that all columns can be compared.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mtl.config.schema import TrunkConfig
from mtl.data.readers import read_split
from mtl.data.rows import Rows
from mtl.inference.evaluator import score
from mtl.inference.predictor import RowPredictor
from mtl.tasks.language_modeling import LanguageModeling
from mtl.training.model import MultiTaskModel, build_heads, make_task
from mtl.training.model_io import LoadedModel
from mtl.trunk import TextEncoder
from mtl.trunk.load import document_limit, load_trunk
from mtl.trunk.text import byte_level
from scripts.quality.ngram import KneserNey

TASK = "lm"


@dataclass
class Sums:
    """Bits and bytes of some texts."""

    bits: float = 0.0
    size: int = 0

    @property
    def rate(self) -> float:
        """Bits per byte."""
        return self.bits / max(self.size, 1)


def open_model(name: str, length: int | None) -> RowPredictor:
    """Return a run's trunk, or one that `trunk=` knows, with a task that predicts its text."""
    kind, _, path = name.partition(":")
    if (Path(name) / "model").is_dir():
        kind, path = "hf", str(Path(name) / "model")
    trunk = load_trunk(TrunkConfig(name=kind, path=path or None), writes=True)
    task = make_task(TASK, "language_modeling", options={}, head={})
    task.fits(trunk)
    heads = build_heads([task], trunk.hidden_size, seed=0, output=trunk.output)
    encoder = TextEncoder(
        trunk.tokenizer,
        document_limit(trunk, length),
        prefix_space=byte_level(trunk.tokenizer),
        architecture=trunk.architecture,
    )
    model = MultiTaskModel(trunk, [task], heads).eval()
    about = {"tasks": {TASK: {"attention": "causal"}}}
    return RowPredictor(LoadedModel(model, encoder, about), tokens=4096)


def read(path: Path) -> Rows:
    """Return the documents of a file of text."""
    roles = LanguageModeling.roles()
    return read_split(path, columns={"text": "text"}, roles=roles, format="text")


def by_trunk(predictor: RowPredictor, rows: Rows) -> Sums:
    """Return the bits that a trunk needs for some texts."""
    found = score(predictor, {TASK: rows})[TASK]
    size = next(row.value for row in found.tables["likelihood"] if row.name == "bytes")
    return Sums(found.scores["bits_per_byte"] * size, int(size))


def token_ids(encoder: TextEncoder, files: Sequence[Path]) -> Iterator[np.ndarray]:
    """Yield the tokens of each different document."""
    seen: set[int] = set()
    for rows in map(read, files):
        for start in range(0, len(rows), 1000):
            texts = [row["text"] for row in rows[start : start + 1000]]
            new = [t for t in dict.fromkeys(texts) if hash(t) not in seen]
            seen.update(map(hash, new))
            yield from (tokens.ids for tokens in encoder.tokenize(new))


def train_ngram(encoder: TextEncoder, files: Sequence[Path], order: int) -> KneserNey:
    """Return a model of the files' documents, which stand between tokens that are no text."""
    tokenizer = encoder.tokenizer
    return KneserNey(token_ids(encoder, files), len(tokenizer), int(tokenizer.eos_token_id), order)


def by_ngram(model: KneserNey, encoder: TextEncoder, rows: Rows) -> Sums:
    """Return the bits that an n-gram model needs for some texts."""
    sums = Sums()
    for row in rows:
        (tokens,) = encoder.tokenize([row["text"]])
        sums.bits -= float(np.log2(model.probabilities(tokens.ids)).sum())
        sums.size += len(row["text"].encode())
    return sums


def total(parts: Sequence[Sums]) -> Sums:
    """Return the sums over all files."""
    return Sums(math.fsum(p.bits for p in parts), sum(p.size for p in parts))


def show(table: dict[str, dict[str, Sums]], files: Sequence[str]) -> None:
    """Print a line a file and a column a model."""
    wide = max(map(len, [*files, "all"]))
    heads = (name.rstrip("/").rpartition("/")[2][-14:] for name in table)
    print(" " * wide, *(f"{head:>14}" for head in heads), f"{'bytes':>10}")
    for file in [*files, "all"]:
        cells = [column[file] for column in table.values()]
        figures = (f"{cell.rate:>14.3f}" for cell in cells)
        print(f"{file:{wide}}", *figures, f"{cells[0].size:>10,}")


def main() -> None:
    """Read the arguments, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--texts", nargs="+", type=Path, required=True)
    parser.add_argument("--ngram", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--length", type=int, help="tokens of a chunk; the trunk's limit if unset")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    rows = {path.stem: read(path) for path in given.texts}
    table: dict[str, dict[str, Sums]] = {}
    encoder: TextEncoder | None = None
    for name in given.models:
        predictor = open_model(name, given.length)
        encoder = encoder or predictor.loaded.encoder
        table[name] = {file: by_trunk(predictor, part) for file, part in rows.items()}
    if given.ngram and encoder is not None:
        model = train_ngram(encoder, given.ngram, given.order)
        parts = {file: by_ngram(model, encoder, part) for file, part in rows.items()}
        table[f"{given.order}-gram"] = parts
    for column in table.values():
        column["all"] = total(list(column.values()))
    if given.json:
        print(json.dumps({n: {f: s.rate for f, s in c.items()} for n, c in table.items()}))
    else:
        show(table, list(rows))


if __name__ == "__main__":
    main()
