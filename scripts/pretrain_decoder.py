"""Pretrain the bundled decoder "tiny" on plain text, through the project's own training.

python scripts/pretrain_decoder.py TEXT... [--tokens 60e6] [--threads 2] [--work outputs/pretrain]

A TEXT is a file of documents, a block each with blank lines between, with a weight if you like:
`news.txt:3` is read three times as often, `books.txt:0.25` a quarter as often. The bundled corpus's
training documents are always read too. A small part of every file, the same on every machine, is
set apart to validate on.

What is written: `train/` and `validation/`, a file a source, and `run/` under `--work`; then
`model.safetensors` (bfloat16) and `config.json` into `--out`. `--resume` continues a stopped run.
The same input and settings give the same files, byte for byte, on the same machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.train_tokenizer import BUNDLED, OUT, weighted  # noqa: E402

HELD = 0.01
"""Share of each file's documents that is set apart."""
HELD_BYTES = 40_000
"""The most text of one file that is set apart."""
WARMUP = 0.02
LARGEST = 10_000_000
"""Bytes of weights that the repository takes."""


def draw(document: str, *purpose: str) -> float:
    """Return a number from 0 to 1 that depends on a document's text, and what it is for."""
    text = "\x1f".join((*purpose, document)).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def documents(path: Path) -> Iterator[str]:
    """Yield the documents of a text file, or of the bundled corpus, in their order."""
    if path == BUNDLED:
        with path.open(encoding="utf-8") as stream:
            yield from (json.loads(line)["text"] for line in stream)
        return
    from mtl.data.readers.base import Source
    from mtl.data.readers.plain import read_text

    yield from (cells[0] for _, cells in read_text(Source(path, (), {})))


def copies(document: str, weight: float, name: str) -> int:
    """Return how often a document is read in an epoch: `weight` times on average."""
    whole = int(weight)
    return whole + (draw(document, "copy", name) < weight - whole)


def prepare(path: Path, weight: float, name: str, work: Path) -> tuple[int, int]:
    """Write a source's two parts.

    Args:
        path: Its documents.
        weight: How often each is read in an epoch.
        name: Of its files.
        work: The folder to write to.

    Returns:
        Bytes of training text in an epoch, and of validation text.
    """
    train = held = 0
    files = [work / part / f"{name}.txt" for part in ("train", "validation")]
    with files[0].open("w", encoding="utf-8") as kept, files[1].open("w", encoding="utf-8") as cut:
        for document in documents(path):
            size = len(document.encode()) + 2
            if draw(document, "validation") < HELD and held + size <= HELD_BYTES:
                cut.write(document + "\n\n")
                held += size
                continue
            count = copies(document, weight, name)
            kept.write((document + "\n\n") * count)
            train += size * count
    for file, size in zip(files, (train, held), strict=True):
        if not size:
            file.unlink()
    return train, held


def names(sources: Sequence[tuple[Path, float]]) -> list[str]:
    """Return a name for the files of each source; the bundled corpus's is its own."""
    found = [p.parent.name if p == BUNDLED else p.stem for p, _ in sources]
    return [n if found.count(n) == 1 else f"{n}-{i}" for i, n in enumerate(found)]


def overrides(options: argparse.Namespace) -> list[str]:
    """Return the command line of the training run, after `train.py`."""
    run, examples = options.work / "run", max(1, options.batch // options.length)
    steps = max(1, round(options.tokens / (examples * options.length)))
    if options.resume:
        return [f"resume={run}"]
    return [
        "task=lm",
        "trunk=hf",
        f"trunk.path={options.trunk}",
        "trunk.pretrained=false",
        "trunk.dropout=0",
        f"trunk.max_length={options.length}",
        f"trunk.lr={options.lr}",
        f"tasks.lm.data.train={options.work}/train/*.txt",
        f"tasks.lm.data.validation={options.work}/validation/*.txt",
        "tasks.lm.data.format=text",
        f"batching.examples={examples}",
        f"batching.tokens={options.pass_}",
        "optimizer.betas=[0.9,0.95]",
        "optimizer.weight_decay=0.1",
        "schedule.name=cosine",
        f"schedule.warmup={WARMUP}",
        f"trainer.max_steps={steps}",
        f"trainer.val_check_interval={min(steps, options.check)}",
        f"trainer.threads={options.threads}",
        "trainer.test=false",
        "logger=csv",
        "monitor=val/lm/loss",
        f"seed={options.seed}",
        f"hydra.run.dir={run}",
        *options.set,
    ]


def export(run: Path, trunk: Path, out: Path) -> int:
    """Write a run's trunk as bfloat16 weights beside a copy of its configuration; returns bytes.

    Raises:
        ValueError: If the file is larger than the repository takes.
    """
    import torch
    from safetensors.torch import load_file, save

    weights = load_file(run / "model" / "model.safetensors")
    halves = {name: weights[name].to(torch.bfloat16) for name in sorted(weights)}
    content = save(halves, metadata={"format": "pt"})
    if len(content) > LARGEST:
        size = f"{len(content):,}"
        raise ValueError(f"Expected at most {LARGEST:,} bytes of weights, but got {size}.")
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.safetensors").write_bytes(content)
    if out.resolve() != trunk.resolve():
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(trunk / name, out / name)
    return len(content)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXT", help="a file, with :WEIGHT")
    add("--out", type=Path, default=OUT, help="folder to write the weights to")
    add("--bundled", type=float, default=4.0, help="weight of the bundled documents")
    add("--trunk", type=Path, default=OUT, help="folder with config.json and the tokenizer")
    add("--work", type=Path, default=ROOT / "outputs" / "pretrain", help="folder for the run")
    add("--tokens", type=float, default=60e6, help="training tokens in all")
    add("--batch", type=int, default=8192, help="tokens of an optimiser step")
    add("--pass", dest="pass_", type=int, default=8192, help="most tokens of one pass")
    add("--length", type=int, default=256, help="tokens of a chunk")
    add("--lr", type=float, default=3e-3, help="highest learning rate")
    add("--check", type=int, default=500, help="steps between validations")
    add("--threads", type=int, default=2, help="CPU threads")
    add("--seed", type=int, default=0)
    add("--resume", action="store_true", help="continue the run under --work")
    add("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of train.py")
    options = parser.parse_args(given)
    options.work, options.trunk = options.work.resolve(), options.trunk.resolve()
    try:
        options.sources = [(BUNDLED, options.bundled), *map(weighted, options.texts)]
    except ValueError as error:
        parser.error(str(error))
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Prepare the text, train, and write the weights; returns the exit code."""
    options = arguments(given)
    if not options.resume:
        for part in ("train", "validation", "run"):
            shutil.rmtree(options.work / part, ignore_errors=True)
        for part in ("train", "validation"):
            (options.work / part).mkdir(parents=True)
        for (path, weight), name in zip(options.sources, names(options.sources), strict=True):
            train, held = prepare(path, weight, name, options.work)
            print(f"{name}: {train / 1e6:.2f} MB an epoch, {held / 1e3:.0f} kB to validate on")
    command = [sys.executable, str(ROOT / "train.py"), *overrides(options)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        return code
    size = export(options.work / "run", options.trunk, options.out)
    print(f"{options.out / 'model.safetensors'}: {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
