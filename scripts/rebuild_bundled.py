"""Rebuild everything bundled from its sources: the corpus, the tokenizer, the decoder.

python scripts/rebuild_bundled.py TEXTS [--out outputs/bundled] [--only corpus tokenizer decoder]

TEXTS is a folder with the ten text files that the model card names. Each rebuilt file is compared
with the one in the repository; the exit code is 1 if any differs. Corpus and tokenizer are the same
bytes on every machine. The decoder, about an hour on one core, is the same on the same kind of
processor with the same versions of the packages: elsewhere sums are rounded in another order.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "mtl" / "trunk" / "bundled" / "tiny"
NEWSROOM = ROOT / "mtl" / "data" / "bundled" / "newsroom"

WEIGHTS = {
    "openstax": (0.2, 1),
    "us_presidential_speeches": (0.4, 1),
    "usgov_blogs": (0.4, 2),
    "sgd_dialogues": (1, 2),
    "scitldr_train_abstracts": (1, 2),
    "squad_train_contexts": (3, 6),
    "cia_world_factbook": (1, 2),
    "wikipedia_current_events": (4, 6),
    "gum_wiki_news": (4, 6),
    "standardebooks_classics": (1, 2),
}
"""How often the lines of a text count for the tokenizer, and its documents for the decoder."""
PRETRAINING = (
    *("--tokens", "25e6", "--batch", "4096", "--pass", "4096", "--lr", "2e-3"),
    *("--threads", "1", "--check", "1000", "--set", "trainer.precision=bf16-mixed"),
)
PARTS = {
    "corpus": (NEWSROOM, ("train.jsonl", "validation.jsonl", "test.jsonl")),
    "tokenizer": (TINY, ("config.json", "tokenizer.json", "tokenizer_config.json")),
    "decoder": (TINY, ("model.safetensors",)),
}
"""Where the files of each part lie in the repository."""


def command(part: str, texts: Path, out: Path) -> list[str]:
    """Return the command line that builds a part into `out`."""
    if part == "corpus":
        return ["scripts/corpus/build.py", "--target", str(out)]
    which = 0 if part == "tokenizer" else 1
    given = [f"{texts / name}.txt:{weights[which]}" for name, weights in WEIGHTS.items()]
    if part == "tokenizer":
        return ["scripts/train_tokenizer.py", *given, "--out", str(out)]
    folders = ["--work", str(out / "work"), "--out", str(out)]
    return ["scripts/pretrain_decoder.py", *given, *folders, *PRETRAINING]


def compare(part: str, out: Path) -> bool:
    """Say of each file of a part whether it is the repository's; returns whether all are."""
    folder, names = PARTS[part]
    equal = {name: (out / name).read_bytes() == (folder / name).read_bytes() for name in names}
    for name, same in equal.items():
        print(f"{out / name}: {'the same bytes' if same else 'DIFFERS'}")
    return all(equal.values())


def main(given: Sequence[str] | None = None) -> int:
    """Build and compare; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("texts", type=Path, metavar="TEXTS", help="folder with the text files")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "bundled")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args(given)
    missing = [n for n in WEIGHTS if not (options.texts / f"{n}.txt").is_file()]
    if missing and options.only != ["corpus"]:
        parser.error(f"Expected {missing[0]}.txt in {options.texts}, but there is none.")
    same = True
    for part in options.only:
        out = options.out.resolve() / part
        line = [sys.executable, *command(part, options.texts.resolve(), out)]
        code = subprocess.run(line, cwd=ROOT, check=False).returncode
        if code:
            return code
        same = compare(part, out) and same
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
