"""CoNLL-2003 entities with the Hugging Face Trainer: the baseline for token classification.

Reads `DATA/conll2003/eng.{train,testa,testb}`, whose rows look like `EU NNP I-NP I-ORG`.

    python scripts/benchmarks/peers/hf_trainer_ner.py --data DATA --seed 1 --group-by-length \
        --out bench-results/hf_ner_seed1.json
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hf_common
import torch
from datasets import Dataset
from seqeval.metrics import classification_report
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    PreTrainedTokenizerBase,
    Trainer,
)

Sentence = tuple[list[str], list[str]]
"""Words and their tags."""

ENTITIES = {"train": 23_499, "testa": 5_942, "testb": 5_648}
"""Entities in each file, from Tjong Kim Sang and De Meulder (2003), table 2."""

LABELS = ["O", *(f"{p}-{kind}" for kind in ("LOC", "MISC", "ORG", "PER") for p in "BI")]
IGNORED = -100


def iob2(tags: list[str]) -> list[str]:
    """Convert IOB1 to IOB2: the first tag of each entity becomes `B-`."""
    converted, previous = [], "O"
    for tag in tags:
        starts = tag.startswith("I-") and tag[2:] != previous[2:]
        converted.append(f"B-{tag[2:]}" if starts else tag)
        previous = tag
    return converted


def read_sentences(path: Path) -> Iterator[Sentence]:
    """Yield the sentences of a CoNLL-2003 file, document marks left out, tags in IOB2."""
    rows: list[list[str]] = []
    with path.open(encoding="utf-8") as lines:
        for line in [*lines, ""]:
            columns = line.split()
            if columns and columns[0] != "-DOCSTART-":
                rows.append(columns)
            elif rows:
                yield [row[0] for row in rows], iob2([row[-1] for row in rows])
                rows = []


def load(folder: Path, part: str) -> Dataset:
    """Return one split as a dataset of `words` and `tags`.

    Raises:
        ValueError: If the file does not hold the published number of entities.
    """
    words, tags = zip(*read_sentences(folder / f"eng.{part}"), strict=True)
    entities = sum(tag.startswith("B-") for sentence in tags for tag in sentence)
    if entities != ENTITIES[part]:
        raise ValueError(f"Expected {ENTITIES[part]} entities in eng.{part}, but got {entities}.")
    return Dataset.from_dict({"words": words, "tags": tags})


def encode(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Tokenise one sentence and label the first sub-word of each word.

    Returns:
        The tokenizer's fields and `labels` of shape (tokens,).

    Raises:
        ValueError: If a word has no sub-word or is cut off: its entity would go unscored.
    """
    encoded = tokenizer(row["words"], is_split_into_words=True, truncation=True)
    labels = [IGNORED] * len(encoded["input_ids"])
    labelled = set()
    for position, word in enumerate(encoded.word_ids()):
        if word is not None and word not in labelled:
            labels[position] = LABELS.index(row["tags"][word])
            labelled.add(word)
    if len(labelled) != len(row["words"]):
        raise ValueError(f"Expected a sub-word for each word, but got {encoded.tokens()}.")
    return {**encoded, "labels": labels}


def entity_scores(trainer: Trainer, split: Dataset) -> dict[str, Any]:
    """Predict `split` and score its entities with seqeval.

    Gold tags come from the Trainer's output, because with length grouping it predicts the
    sentences in an order of its own.

    Returns:
        Precision, recall, F1 and support over all entities (`micro avg`) and for each type, as
        shares of 1.
    """
    output = trainer.predict(split)
    gold, predicted = [], []
    for guesses, labels in zip(output.predictions.argmax(-1), output.label_ids, strict=True):
        kept = labels != IGNORED
        gold.append([LABELS[label] for label in labels[kept]])
        predicted.append([LABELS[guess] for guess in guesses[kept]])
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    return {
        kind: {name: float(value) for name, value in scores.items()}
        for kind, scores in report.items()
    }


def build_trainer(
    options: hf_common.Options,
    tokenizer: PreTrainedTokenizerBase,
    train: Dataset,
    folder: str,
) -> Trainer:
    """Return a Trainer over a fresh head on the pretrained encoder."""
    model = AutoModelForTokenClassification.from_pretrained(
        options.model,
        dtype=torch.float32,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    return Trainer(
        model=model,
        args=hf_common.training_arguments(options, folder),
        data_collator=DataCollatorForTokenClassification(tokenizer),
        train_dataset=train,
        processing_class=tokenizer,
    )


def main() -> None:
    """Train, score the validation and test splits, and write the results."""
    options = hf_common.parse_options(__doc__)
    hf_common.prepare(options)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    splits = {
        part: load(options.data / "conll2003", part).map(encode, fn_kwargs={"tokenizer": tokenizer})
        for part in ENTITIES
    }
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(options, tokenizer, splits["train"], folder)
        cost = hf_common.train(trainer)
        validation = entity_scores(trainer, splits["testa"])
        test = entity_scores(trainer, splits["testb"])
    f1 = test["micro avg"]["f1-score"]
    results = {"task": "conll2003", "test_f1": f1, "test": test, "validation": validation}
    hf_common.write_results(options, {**results, "training": cost})


if __name__ == "__main__":
    main()
