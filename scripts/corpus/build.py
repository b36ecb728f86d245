"""Build the bundled corpus "newsroom" from its authored sources, or check the sources.

python scripts/corpus/build.py            # write mtl/data/bundled/newsroom/*.jsonl
python scripts/corpus/build.py --check    # only say what is wrong; exit code 1 if anything is
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from newsroom_checks import check_all  # noqa: E402
from newsroom_source import Document, Finding, parse  # noqa: E402

from mtl.data.words import split_words  # noqa: E402

SOURCES = HERE / "newsroom"
TARGET = ROOT / "mtl" / "data" / "bundled" / "newsroom"
SPLITS = ("train", "validation", "test")


def read(sources: Path) -> tuple[dict[str, list[Document]], list[Finding]]:
    """Return the documents of each split, and everything that is wrong with them."""
    findings: list[Finding] = []
    splits = {
        split: [d for path in sorted(sources.glob(f"{split}-*.txt")) for d in parse(path, findings)]
        for split in SPLITS
    }
    return splits, findings + check_all(splits)


def tokenise(document: Document) -> tuple[list[str], list[str]]:
    """Return the words of a document, cut at entity boundaries too, and their IOB2 tags."""
    text = document.text
    labels = {entity.start: entity.label for entity in document.entities}
    edges = {0, len(text), *(e.start for e in document.entities)}
    edges |= {e.end for e in document.entities}
    tokens: list[str] = []
    tags: list[str] = []
    for start, end in pairwise(sorted(edges)):
        piece = text[start:end]
        words = [piece[a:b] for a, b in zip(*split_words(piece), strict=True)]
        tokens += words
        label = labels.get(start)
        tags += [f"{'I' if i else 'B'}-{label}" if label else "O" for i in range(len(words))]
    return tokens, tags


def record(document: Document) -> dict[str, Any]:
    """Return a document as it ships."""
    tokens, tags = tokenise(document)
    return {
        "id": document.id,
        "domain": document.domain,
        "text": document.text,
        "tokens": tokens,
        "ner_tags": tags,
        "entities": [vars(entity) for entity in document.entities],
        "sentiment": document.sentiment,
        "summary": document.summary,
        "questions": [vars(question) for question in document.questions],
    }


def write(splits: dict[str, list[Document]], target: Path) -> None:
    """Write one JSON object a line for each split that has documents."""
    target.mkdir(parents=True, exist_ok=True)
    for split, documents in splits.items():
        lines = [json.dumps(record(d), ensure_ascii=False) + "\n" for d in documents]
        (target / f"{split}.jsonl").write_bytes("".join(lines).encode("utf-8"))


def describe(split: str, documents: list[Document]) -> str:
    """Return the counts of a split, two lines."""
    entities = Counter(e.label for d in documents for e in d.entities)
    sentiments = Counter(d.sentiment for d in documents)
    words = sum(len(tokenise(d)[0]) for d in documents)
    questions = sum(len(d.questions) for d in documents)
    size = f"{len(documents)} documents, {words:,} tokens, {questions} questions"
    return f"{split}: {size}\n  {_shares(sentiments)}\n  {_shares(entities)}"


def _shares(counts: Counter[str]) -> str:
    total = counts.total() or 1
    return ", ".join(f"{name} {n} ({n / total:.0%})" for name, n in sorted(counts.items()))


def main(arguments: list[str] | None = None) -> int:
    """Check, and write unless told not to; return the exit code."""
    parser = argparse.ArgumentParser(description="Build or check the bundled corpus.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--sources", type=Path, default=SOURCES)
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    splits, findings = read(options.sources)
    for split, documents in splits.items():
        print(describe(split, documents))
    for finding in findings:
        print(finding, file=sys.stderr)
    if not options.check:
        write(splits, options.target)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
