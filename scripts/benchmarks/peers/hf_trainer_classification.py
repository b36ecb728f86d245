"""SST-2 sentiment with the Hugging Face Trainer: the baseline for text classification.

Reads `DATA/sst2/{train,dev,test}.tsv`, whose rows look like `one long string of cliches<TAB>0`.

    python scripts/benchmarks/peers/hf_trainer_classification.py --data DATA --seed 1 \
        --group-by-length --out bench-results/hf_sst2_seed1.json
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hf_common
import torch
from datasets import Dataset
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    Trainer,
)

SENTENCES = {"train": 6_920, "dev": 872, "test": 1_821}
"""Sentences in each file: the binary, sentence-level split of Socher et al. (2013), section 5."""

LABELS = ["negative", "positive"]


def read_rows(path: Path) -> Iterator[tuple[str, int]]:
    """Yield text and label (0 or 1) of each line."""
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            text, label = line.rstrip("\r\n").rsplit("\t", 1)
            yield text, int(label)


def load(folder: Path, part: str) -> Dataset:
    """Return one split as a dataset of `text` and `label`.

    Raises:
        ValueError: If the file does not hold the published number of sentences.
    """
    texts, labels = zip(*read_rows(folder / f"{part}.tsv"), strict=True)
    if len(texts) != SENTENCES[part]:
        raise ValueError(
            f"Expected {SENTENCES[part]} sentences in {part}.tsv, but got {len(texts)}."
        )
    return Dataset.from_dict({"text": texts, "label": labels})


def encode(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Tokenise one sentence."""
    return {**tokenizer(row["text"], truncation=True)}


def scores(trainer: Trainer, split: Dataset) -> dict[str, float]:
    """Predict `split` and score it with scikit-learn, as shares of 1.

    Gold labels come from the Trainer's output, because with length grouping it predicts the
    sentences in an order of its own.
    """
    output = trainer.predict(split)
    gold, predicted = output.label_ids, output.predictions.argmax(-1)
    return {
        "accuracy": float(accuracy_score(gold, predicted)),
        "macro_f1": float(f1_score(gold, predicted, average="macro")),
        "mcc": float(matthews_corrcoef(gold, predicted)),
    }


def build_trainer(
    options: hf_common.Options,
    tokenizer: PreTrainedTokenizerBase,
    train: Dataset,
    folder: str,
) -> Trainer:
    """Return a Trainer over a fresh head on the pretrained encoder."""
    model = AutoModelForSequenceClassification.from_pretrained(
        options.model,
        dtype=torch.float32,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    return Trainer(
        model=model,
        args=hf_common.training_arguments(options, folder),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=train,
        processing_class=tokenizer,
    )


def main() -> None:
    """Train, score the validation and test splits, and write the results."""
    options = hf_common.parse_options(__doc__)
    hf_common.prepare(options)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    splits = {
        part: load(options.data / "sst2", part).map(encode, fn_kwargs={"tokenizer": tokenizer})
        for part in SENTENCES
    }
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(options, tokenizer, splits["train"], folder)
        cost = hf_common.train(trainer)
        validation, test = scores(trainer, splits["dev"]), scores(trainer, splits["test"])
    results = {"task": "sst2", "test_accuracy": test["accuracy"], "test": test}
    hf_common.write_results(options, {**results, "validation": validation, "training": cost})


if __name__ == "__main__":
    main()
