"""How often `mtl match` finds the paragraph that answers a question, among many.

MTL_DATA=FOLDER python scripts/quality/matching.py --encoder MODEL

The paragraphs of SQuAD 1.1's dev set are the knowledge file, its questions the texts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mtl.cli import main as mtl  # noqa: E402

FILE = "squad/dev-v1.1.reconstructed.json"


def write(source: Path, folder: Path, paragraphs: int, questions: int) -> tuple[Path, Path]:
    """Write paragraphs and questions as `mtl match` reads them."""
    data = json.loads(source.read_text(encoding="utf-8"))["data"]
    found = [p for article in data for p in article["paragraphs"]][:paragraphs]
    entries = [{"id": str(n), "text": p["context"]} for n, p in enumerate(found)]
    asked = [
        {"text": one["question"], "paragraph": str(n)}
        for n, paragraph in enumerate(found)
        for one in paragraph["qas"]
    ]
    every = max(1, len(asked) // questions)
    files = folder / "knowledge.jsonl", folder / "questions.jsonl"
    for path, rows in zip(files, (entries, asked[::every][:questions]), strict=True):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
    return files


def main() -> None:
    """Print the scores."""
    layout = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--encoder", required=True, help="a model's folder")
    parser.add_argument("--paragraphs", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=1000)
    options = parser.parse_args()
    source = Path(os.environ["MTL_DATA"]) / FILE
    with tempfile.TemporaryDirectory() as folder:
        entries, asked = write(source, Path(folder), options.paragraphs, options.questions)
        given = ["--encoder", options.encoder, "--input", str(asked), "--gold", "paragraph"]
        mtl(["match", str(entries), *given, "--output", str(Path(folder) / "found.jsonl")])


if __name__ == "__main__":
    main()
