"""A few rows for every registered task type, and what turns them into a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from mtl.data.collate import Collator, Sharing
from mtl.heads.base import Head
from mtl.metrics.registry import feed
from mtl.tasks import Task
from mtl.tasks.base import take
from mtl.tasks.encode import encode_split
from mtl.training.evaluation import computed
from mtl.training.model import make_task
from mtl.trunk import TextEncoder, Trunk
from mtl.trunk.trunk import Capabilities
from mtl.types import Examples, HeadBatch, Row
from tests import helpers

HIDDEN = 48


@dataclass(frozen=True)
class Sample:
    """Rows that a task of some type, with some options, can learn from."""

    type: str
    rows: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    metric: str | None = None
    lengths: tuple[int, int] = (64, 6)
    """Window sizes: each text is one window of the first; some are several of the second."""
    by_window: bool = False
    """Whether every window has outputs and targets of its own."""

    def task(self, name: str = "sample", *, learned: bool = True) -> Task:
        """Return the task."""
        task = make_task(name, self.type, options=self.options, head=self.head, metric=self.metric)
        if learned:
            take(task, task.learn(self.placed()))
            task.fits(trunk_of(max_position_embeddings=512))
        return task

    def placed(self) -> list[Row]:
        """Return the rows as a reader gives them."""
        return place(self.rows)


def place(rows: Sequence[Mapping[str, Any]], file: str = "data.jsonl") -> list[Row]:
    """Return rows with the line that each stands on."""
    return [
        {**row, "_file": file, "_line": line, "_id": f"{file}-{line}"}
        for line, row in enumerate(rows, start=1)
    ]


TAGGED = [
    {"tokens": ["Ines", "Talbot", "left", "."], "labels": ["B-PER", "I-PER", "O", "O"]},
    {"tokens": ["The", "Lantern", "in", "Brackwater"], "labels": ["O", "B-ORG", "O", "B-LOC"]},
    {"tokens": ["Nobody", "asked"], "labels": ["O", "O"]},
    {"tokens": ["Okonkwo"], "labels": ["B-ORG"]},
]
NESTED: list[dict[str, Any]] = [
    {
        "tokens": ["Skerrow", "Town", "Council", "met", "Ines", "Talbot"],
        "labels": ["B-ORG", "I-ORG", "I-ORG", "O", "B-PER", "I-PER"],
        "spans": [
            {"start": 0, "end": 1, "label": "LOC"},
            {"start": 0, "end": 3, "label": "ORG"},
            {"start": 1, "end": 3, "label": "BODY"},
            {"start": 4, "end": 6, "label": "PER"},
            {"start": 4, "end": 6, "label": "GUEST"},
        ],
    },
    {"tokens": ["Nobody", "asked"], "labels": ["O", "O"], "spans": []},
    {
        "tokens": ["Ada", "Bo", "Cy"],
        "labels": ["B-PER", "I-PER", "O"],
        "spans": [{"start": 0, "end": 2, "label": "PER"}, {"start": 1, "end": 3, "label": "PER"}],
    },
]
SPEECH = [
    {"tokens": ["Nobody", "asked", "why"], "labels": ["PRON", "VERB", "ADV"]},
    {"tokens": ["Rain", "fell"], "labels": ["NOUN", "VERB"]},
]
TEXTS = ["Nobody asked why.", "The garden was lovely.", "The pump ran.", "Tea and bread.", "Rain."]


def labelled(labels: Sequence[Any]) -> list[dict[str, Any]]:
    """Return texts with labels."""
    return [{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=True)]


ASKED = [
    ("Ines Talbot left Brackwater before the rain.", "Who left?", "Ines Talbot"),
    ("Ines Talbot left Brackwater before the rain.", "When?", "before the rain"),
    ("Tea and bread were on the table.", "Where?", "on the table"),
    ("The garden was lovely.", "What was it?", "lovely"),
    ("Nobody asked why, and nobody said it.", "Asked what?", "why"),
]


def questions(*impossible: str) -> list[dict[str, Any]]:
    """Return questions with their answers, and some that the first document does not answer."""
    found = [
        {"text": text, "question": asked, "answers": [{"text": a, "start": text.index(a)}]}
        for text, asked, a in ASKED
    ]
    return [*found, *({"text": ASKED[0][0], "question": q, "answers": []} for q in impossible)]


def spans(layout: str, *impossible: str) -> Sample:
    """Return a sample of questions in one layout."""
    rows, options = questions(*impossible), {"layout": layout}
    return Sample("span_extraction", rows, options, lengths=(64, 16), by_window=True)


def chosen_of(*labels: str) -> list[dict[str, Any]]:
    """Return texts with two, three or four choices, the right one named by its label."""
    choices = ["dry", "rain", "no", "it"]
    return [
        {"text": text, "choices": choices[: 2 + n % 3], "label": label}
        for n, (text, label) in enumerate(zip(TEXTS, labels, strict=True))
    ]


def texts_for(targets: Sequence[list[str]]) -> list[dict[str, Any]]:
    """Return texts with right texts."""
    return [{"text": text, "target": right} for text, right in zip(TEXTS, targets, strict=True)]


SAMPLES = {
    "entities": Sample("token_classification", TAGGED),
    "parts of speech": Sample("token_classification", SPEECH, metric="accuracy"),
    "entities in a text": Sample(
        "token_classification", [{**row, "text": "  ".join(row["tokens"])} for row in TAGGED]
    ),
    "entities in chains": Sample("token_classification", TAGGED, head={"decoding": "crf"}),
    "nested spans": Sample("span_classification", NESTED, options={"max_width": 4}),
    "two classes": Sample("text_classification", labelled(["no", "yes", "no", "yes", "no"])),
    "three classes": Sample("text_classification", labelled(["a", "b", "c", "a", "b"])),
    "several labels": Sample(
        "text_classification",
        labelled([["a"], [], ["a", "b"], ["b"], ["c", "a"]]),
        options={"problem": "multi"},
    ),
    "a number": Sample(
        "text_classification",
        labelled([1.0, 2.5, 4.0, 3.0, -2.0]),
        options={"problem": "regression"},
    ),
    "rows of queries": Sample(
        "text_classification",
        [
            {**row, "second": "no", "query": query}
            for row, query in zip(labelled("02101"), "aabbb", strict=True)
        ],
    ),
    "numbers of queries": Sample(
        "text_classification",
        [{**row, "query": q} for row, q in zip(labelled([1, 2.5, 4, 3, 1]), "aabbb", strict=True)],
        options={"problem": "regression", "relevant": "2.5"},
    ),
    "choices in branches": Sample("multiple_choice", chosen_of("0", "2", "3", "1", "0")),
    "choices after texts": Sample(
        "multiple_choice",
        [{**row, "question": "Why?"} for row in chosen_of("B", "A", "D", "B", "C")],
        options={"layout": "joint"},
        lengths=(64, 12),
    ),
    "the text itself": Sample(
        "language_modeling", [{"text": text} for text in TEXTS], head={"tied": False}
    ),
    "question before document": spans("joint"),
    "question in a branch": spans("branch"),
    "impossible questions before documents": spans("joint", "How many?", "Why?"),
    "impossible questions in branches": spans("branch", "How many?", "Why?"),
    "summaries": Sample(
        "generation",
        texts_for([["Nobody did."], ["A garden."], ["It ran."], ["Much food."], ["Wet day."]]),
    ),
    "answers": Sample(
        "generation",
        [
            {**row, "question": question}
            for row, question in zip(
                texts_for([["nobody", "no one"], ["lovely"], ["the pump"], ["bread"], ["rain"]]),
                ["Who?", "How was it?", "What ran?", "And?", "What fell?"],
                strict=True,
            )
        ],
        options={"prompt": "\n{question}:", "scoring": "answers", "max_new_tokens": 8},
        head={"tied": False},
    ),
    "translations": Sample(
        "generation",
        texts_for([["Niemand fragte uns, warum."], ["Wie schön."], ["Sie lief."], ["Tee."], ["A"]]),
        options={"scoring": "bleu", "max_target_tokens": 30, "num_beams": 2},
    ),
}


def encoder(max_length: int = 64, stride: int = 16, tokenizer: Any = None) -> TextEncoder:
    """Return an encoder with GPT-2's kind of tokenizer."""
    return TextEncoder(tokenizer or TOKENIZER, max_length, stride, prefix_space=True)


TOKENIZER = helpers.bpe_tokenizer()


def trunk_of(seed: int = 0, **changes: Any) -> Trunk:
    """Return a small random decoder with its output layer."""
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    sizes = {"hidden_size": HIDDEN, "intermediate_size": 2 * HIDDEN, "num_hidden_layers": 1}
    model: Any = LlamaForCausalLM(helpers.llama_config(**{**sizes, **changes})).eval()
    return Trunk(model.base_model, "decoder", Capabilities(), "causal", TOKENIZER, model).eval()


def head_of(task: Task, trunk: Trunk | None = None) -> Head:
    """Return the task's head as a model has it."""
    head = task.build_head(HIDDEN)
    head.attach((trunk or trunk_of()).output)
    return head


def write_all(task: Task, trunk: Trunk, head: Head, rows: Sequence[Row]) -> list[Any]:
    """Return what a task that writes makes of rows, with or without their targets."""
    store = encode_split(task, rows, encoder(), "causal")
    write = task.writer()
    assert write is not None
    return write(trunk, head, store.examples, bidirectional=False)


def one_pass(
    task: Task, rows: Sequence[Row], by: TextEncoder | None = None, kind: str = "causal"
) -> tuple[HeadBatch, Tensor]:
    """Return what the task reads from one pass over rows, and the pass's token ids, flattened."""
    store = encode_split(task, rows, by or encoder(), kind)
    collator = Collator([store], budget=10**6, sharing=Sharing(rows=True, branches=True, pad=0))
    (batch,) = collator([[(0, number)] for number in range(len(rows))])
    part = batch.heads[task.name]
    assert sorted(part.examples) == list(range(len(rows)))
    return part, batch.trunk.input_ids.flatten()


def chosen(part: HeadBatch, rows: Sequence[Row]) -> Examples:
    """Return what a pass holds, as decoding and scores see it."""
    return Examples(part.encoded, in_order(part, rows))


def every(task: Task, rows: Sequence[Row]) -> Examples:
    """Return rows, encoded."""
    store = encode_split(task, rows, encoder(), "causal")
    return Examples(store.examples, store.rows)


def score_of(task: Task, *batches: tuple[Sequence[Any], Examples]) -> dict[str, float]:
    """Return the scores of outputs."""
    return computed(fed(task, *batches))


def fed(task: Task, *batches: tuple[Sequence[Any], Examples]) -> MetricCollection:
    """Return a task's metrics after they were fed outputs."""
    metrics = task.metrics()
    for outputs, examples in batches:
        for metric in metrics.values():
            feed(metric, task.feed(outputs, examples))
    return metrics


def in_order(part: HeadBatch, rows: Sequence[Row]) -> list[Row]:
    """Return rows in the order in which a pass holds them."""
    return [rows[number] for number in part.examples]


def states(ids: Tensor, seed: int = 0) -> Tensor:
    """Return random hidden states for a pass."""
    return torch.randn(len(ids), HIDDEN, generator=torch.Generator().manual_seed(seed))
