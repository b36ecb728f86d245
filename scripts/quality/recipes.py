"""What the recipes for news and for support give on texts that people wrote and rated.

MTL_DATA=FOLDER python scripts/quality/recipes.py --trunk MODEL --ratings FOLDER [--intents FOLDER]

``--ratings`` is the folder of Hutto and Gilbert's rated sentences (2014), which is
`hutto_ICWSM_2014.tar.gz` in the source distribution of vaderSentiment 3.3.2 (MIT): sentences of
editorials of the New York Times and of product reviews, each with the mean of 20 people's ratings
from -4 to 4. At least 0.5 from 0 they are positive or negative here, else neutral; all sentences of
an article or a review are in one split.

``--intents`` holds `train.csv` and `test.csv` with the columns `text` and `category`, as Banking77
is published (Casanueva et al. 2020). Entities are those of CoNLL-2003.

- news: `experiment=news_watch`, entities beside the editorials' sentiment; and that sentiment alone
- support: `experiment=helpdesk`, the mood of product reviews, beside intents where they are given

Each run's scores are kept in a JSON file, so a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.quality.study import Options, carry_out_all, scores_of, table  # noqa: E402

APART = 0.5
"""How far from 0 a mean rating is positive or negative."""
SPLITS = {"train": 0.7, "validation": 0.1, "test": 0.2}
FILES = {"editorials": "nytEditorialSnippets", "reviews": "amazonReviewSnippets"}
METRICS = [f"test/sentiment/{name}" for name in ("accuracy", "macro_f1")]


def rated(file: Path) -> list[tuple[str, dict[str, str]]]:
    """Return the sentences of a file of ids, ratings and texts: what each is of, and its row."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip():
            key, rating, text = line.split("\t")
            found.append((key.partition("_")[0], {"text": text, "label": mood(float(rating))}))
    return found


def mood(rating: float) -> str:
    """Return what a mean rating says."""
    if abs(rating) < APART:
        return "neutral"
    return "positive" if rating > 0 else "negative"


def split(
    rows: Sequence[tuple[str, dict[str, str]]], seed: int = 0
) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each split, all of a source in one; of equal texts there is one."""
    sources = sorted({source for source, _ in rows})
    random.Random(seed).shuffle(sources)
    first = {row["text"]: (source, row) for source, row in reversed(rows)}
    found: dict[str, list[dict[str, str]]] = {}
    at = 0.0
    for name, share in SPLITS.items():
        begin, end = round(at * len(sources)), round((at + share) * len(sources))
        inside = set(sources[begin:end])
        found[name] = [row for source, row in first.values() if source in inside]
        at += share
    return found


def write(rows: dict[str, list[dict[str, str]]], folder: Path, most: int | None) -> Path:
    """Write each split as JSON lines, at most so many of train."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in rows.items():
        kept = part[:most] if name == "train" else part
        lines = "".join(json.dumps(row) + "\n" for row in kept)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        print(
            f"{folder.name} {name}: {len(kept):,} rows, {dict(Counter(r['label'] for r in kept))}"
        )
    return folder


def sentiment(folder: Path) -> list[str]:
    """Return the settings of a sentiment that learns from a folder's files."""
    task = "tasks.sentiment"
    files = [f"{task}.data.{name}={folder / name}.jsonl" for name in SPLITS]
    return [*files, f"{task}.columns={{text: text, label: label}}", f"{task}.metric=macro_f1"]


def runs(options: argparse.Namespace, data: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the settings of every run of the study."""
    folders = {
        name: write(
            split(rated(options.ratings / f"{file}_GroundTruth.txt")),
            options.out / "rows" / name,
            options.rows,
        )
        for name, file in FILES.items()
    }
    conll = zip(SPLITS, ("eng.train", "eng.testa", "eng.testb"), strict=True)
    ner = [f"tasks.ner.data.{name}={data / 'conll2003' / file}" for name, file in conll]
    ner.append(f"tasks.ner.data.max_train_examples={options.rows or options.entities}")
    common = ["trunk=hf", f"trunk.path={options.trunk}", "trunk.lr=1e-4", "batching.examples=32"]
    common += ["trainer.max_epochs=3", "trainer.val_check_interval=100000", "logger=csv"]
    news = ["experiment=news_watch", *sentiment(folders["editorials"])]
    support = ["experiment=helpdesk", *sentiment(folders["reviews"])]
    choices = {
        "news": [*news, *ner],
        "news-sentiment": [*news, "task=sentiment"],
        "support-mood": [*support, "task=sentiment", "~tasks.intent", "~tasks.reply"],
    }
    if options.intents is not None:
        files = {name: options.intents / f"{name}.csv" for name in ("train", "test")}
        own = [f"tasks.intent.data.{name}={file}" for name, file in files.items()]
        own += ["tasks.intent.columns={text: text, label: category}", "~tasks.reply"]
        choices["support"] = [*support, "task=sentiment", *own]
    for seed in range(1, options.seeds + 1):
        for name, line in choices.items():
            yield f"{name}.{seed}", [*line, *common, f"seed={seed}", *options.set]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = Options(__doc__, "recipes", ["conll2003"])
    parser.add_argument("--ratings", type=Path, required=True, help="of Hutto and Gilbert")
    parser.add_argument("--intents", type=Path, help="with train.csv and test.csv")
    parser.add_argument("--entities", type=int, default=5000, help="sentences of CoNLL-2003")
    parser.add_argument("--rows", type=int, help="of training, of every task; all when unset")
    return parser.read(given)


def main() -> None:
    """Run what is missing; print all."""
    options = arguments()
    todo = list(runs(options, Path(os.environ["MTL_DATA"])))
    carry_out_all(todo, options.out, options.jobs)
    for name, scores in scores_of(todo, options.out).items():
        own = {"news": ["test/ner/f1"], "support": ["test/intent/accuracy"]}.get(name, [])
        guesses = [metric.replace("test/", "baseline/") for metric in METRICS]
        print(f"\n{name}\n\n{table({name: scores}, [*METRICS, *own, *guesses])}")


if __name__ == "__main__":
    main()
