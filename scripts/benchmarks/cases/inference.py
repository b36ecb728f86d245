"""Four tasks on each document: one pass of mtl, and four transformers models, one a task.

All five have the bundled decoder's weights, and heads that were never trained: what an answer says
does not change what it costs. Both sides read the same documents and three questions of each, and
write texts of equally many tokens: the end token is forbidden before the last, and repeated words
are not looked for. Both sides choose their batch sizes first. The models of the other side are fed
by length, so that their batches hold little padding.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtl.config.compose import compose_checked
from mtl.data.collate import Collator, Sharing
from mtl.inference.predictor import RowPredictor
from mtl.inference.questions import Beside, rows_of
from mtl.training.description import describe
from mtl.training.model import MultiTaskModel
from mtl.training.model_io import LoadedModel
from mtl.training.setup import prepare as prepare_run
from mtl.trunk.text import pad_id
from mtl.types import Row
from scripts.benchmarks.runner import ROOT, Case, Check, Prepared, Ratio, Settings

TASKS = ("ner", "sentiment", "qa", "summarization")
QUESTIONS = 3
NEW_TOKENS = 48
LONGEST_ANSWER = 30
SIZES = (1, 4, 8, 16, 32)
"""Batch sizes that the other side may choose from, for each of its models."""
BUDGETS = (4096, 8192, 16384)
"""Tokens of a pass that mtl may choose from."""
BUNDLED = ROOT / "mtl" / "trunk" / "bundled" / "tiny"
CORPUS = ROOT / "mtl" / "data" / "bundled" / "newsroom" / "test.jsonl"


def predictor_of(threads: int) -> RowPredictor:
    """Return mtl's side: the bundled decoder and four fresh heads."""
    line = [
        f"task=[{','.join(TASKS)}]",
        "trunk=tiny",
        "trunk.prefix_space=false",  # So that all tokenize alike.
        f"trainer.threads={threads}",
        "tasks.ner.head.decoding=plain",
        "tasks.sentiment.head.pooling=last",
        f"tasks.qa.options.max_answer_tokens={LONGEST_ANSWER}",
        f"tasks.summarization.options.max_new_tokens={NEW_TOKENS}",
        f"tasks.summarization.options.min_new_tokens={NEW_TOKENS}",
        "tasks.summarization.options.no_repeat_ngram_size=0",
        *(f"tasks.{name}.data.max_examples=40" for name in TASKS),
        "logger=none",
        "seed=1",
    ]
    cfg = compose_checked(line, [ROOT / "conf"]).config
    with tempfile.TemporaryDirectory() as folder:
        ready = prepare_run(cfg, Path(folder))
    nn.init.zeros_(linear_of(ready.model, "sentiment").bias)  # transformers' has none.
    about = describe(ready.model, ready.encoder, ready.columns, {})
    return RowPredictor(LoadedModel(ready.model, ready.encoder, about), "cpu")


def linear_of(model: MultiTaskModel, task: str) -> nn.Linear:
    """Return the one layer of a task's head."""
    found = model.head(task).linear
    assert isinstance(found, nn.Linear)
    return found


class Peers:
    """Four models of the same weights, each with a batch size of its own."""

    def __init__(self, ours: RowPredictor) -> None:
        from transformers import (
            AutoTokenizer,
            LlamaForCausalLM,
            LlamaForQuestionAnswering,
            LlamaForSequenceClassification,
            LlamaForTokenClassification,
            pipeline,
        )

        def load(kind: Any, task: str, layer: str) -> Any:
            head = linear_of(ours.model, task)
            model = kind.from_pretrained(
                BUNDLED, dtype=torch.float32, num_labels=head.weight.shape[0]
            )
            getattr(model, layer).load_state_dict(head.state_dict(), strict=layer != "score")
            return model.eval()

        self.tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
        self.left = AutoTokenizer.from_pretrained(BUNDLED, padding_side="left")
        self.ner = load(LlamaForTokenClassification, "ner", "score")
        self.sentiment = load(LlamaForSequenceClassification, "sentiment", "score")
        self.qa = LlamaForQuestionAnswering(self.ner.config).eval()
        self.qa.transformer.load_state_dict(self.ner.model.state_dict())
        self.writer = LlamaForCausalLM.from_pretrained(BUNDLED, dtype=torch.float32).eval()
        self.prompt = ours.tasks["summarization"].options.prompt
        shared = {"tokenizer": self.tokenizer, "device": "cpu"}
        self.tagging = pipeline("token-classification", model=self.ner, **shared)
        self.judging = pipeline("text-classification", model=self.sentiment, **shared)
        self.sizes = dict.fromkeys(TASKS, 8)

    def tag(self, texts: Sequence[str], questions: Any) -> Any:
        """Return entities."""
        del questions
        return self.tagging(
            list(texts), batch_size=self.sizes["ner"], aggregation_strategy="simple"
        )

    def judge(self, texts: Sequence[str], questions: Any) -> Any:
        """Return labels."""
        del questions
        return self.judging(list(texts), batch_size=self.sizes["sentiment"])

    def answer(self, texts: Sequence[str], questions: Sequence[Sequence[str]]) -> list[str]:
        """Return the likeliest span of each question."""
        pairs = [(q, t) for t, asked in zip(texts, questions, strict=True) for q in asked]
        pairs.sort(key=lambda pair: sum(map(len, pair)))
        return [a for part in batches(pairs, self.sizes["qa"]) for a in self._spans(part)]

    def _spans(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        asked, texts = map(list, zip(*pairs, strict=True))
        found = self.tokenizer(
            asked, texts, padding=True, return_offsets_mapping=True, return_tensors="pt"
        )
        with torch.inference_mode():
            out = self.qa(input_ids=found["input_ids"], attention_mask=found["attention_mask"])
        kinds = [found.sequence_ids(row) for row in range(len(pairs))]
        outside = torch.tensor([[kind != 1 for kind in row] for row in kinds])
        start = out.start_logits.masked_fill(outside, -torch.inf)
        end = out.end_logits.masked_fill(outside, -torch.inf)
        scores = start[:, :, None] + end[:, None, :]
        allowed = torch.ones(scores.shape[1:]).triu().tril(LONGEST_ANSWER - 1).bool()
        best = scores.masked_fill(~allowed, -torch.inf).flatten(1).argmax(1)
        width, offsets = scores.shape[-1], found["offset_mapping"].tolist()
        places = [divmod(int(b), width) for b in best]
        return [
            text[offsets[row][first][0] : offsets[row][last][1]]
            for row, (text, (first, last)) in enumerate(zip(texts, places, strict=True))
        ]

    def summarize(self, texts: Sequence[str], questions: Any) -> list[str]:
        """Return a continuation of each text and the prompt, with cached states."""
        del questions
        found = []
        for part in batches(list(texts), self.sizes["summarization"]):
            given = self.left([t + self.prompt for t in part], padding=True, return_tensors="pt")
            with torch.inference_mode():
                written = self.writer.generate(
                    input_ids=given["input_ids"],
                    attention_mask=given["attention_mask"],
                    max_new_tokens=NEW_TOKENS,
                    min_new_tokens=NEW_TOKENS,
                    do_sample=False,
                )
            new = written[:, given["input_ids"].shape[1] :]
            found += self.left.batch_decode(new, skip_special_tokens=True)
        return found

    @property
    def jobs(self) -> dict[str, Callable[..., Any]]:
        """What answers each task."""
        methods = (self.tag, self.judge, self.answer, self.summarize)
        return dict(zip(TASKS, methods, strict=True))

    def choose(self, texts: Sequence[str], questions: Sequence[Sequence[str]]) -> dict[str, float]:
        """Find each model's best batch size; returns documents a second at it."""
        best = {}
        for task, job in self.jobs.items():
            rates = {}
            for size in SIZES:
                self.sizes[task] = size
                start = time.perf_counter()
                job(texts, questions)
                rates[size] = len(texts) / (time.perf_counter() - start)
            self.sizes[task] = max(rates, key=lambda size: rates[size])
            best[task] = rates[self.sizes[task]]
        return best


def choose_budget(ours: RowPredictor, rows: Sequence[Row]) -> None:
    """Find the tokens of a pass with which mtl is fastest."""
    seconds = {}
    for ours.tokens in BUDGETS:
        start = time.perf_counter()
        list(ours.predict(rows))
        seconds[ours.tokens] = time.perf_counter() - start
    ours.tokens = min(seconds, key=lambda size: seconds[size])


def batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Return items in parts of a size."""
    return [items[at : at + size] for at in range(0, len(items), size)]


def checks_of(ours: RowPredictor, peers: Peers, row: Row) -> list[Check]:
    """Compare logits of a document's tokens and of its label, and what is written after it."""
    text, model = row["text"], ours.model
    stores = [ours.encode(ours.tasks[name], [row], None)[1] for name in ("ner", "sentiment")]
    collator = Collator(
        stores, budget=4096, sharing=Sharing(rows=True, branches=True, pad=pad_id(peers.tokenizer))
    )
    (batch,) = collator([[(0, 0), (1, 0)]])
    ids = peers.tokenizer(text, return_tensors="pt")["input_ids"]
    written = next(iter(ours.predict([row], ["summarization"])))["summarization"]
    (theirs,) = peers.summarize([text], None)
    with torch.inference_mode():
        hidden = model.trunk(batch.trunk)
        tags = linear_of(model, "ner")(hidden)
        label = model(batch)["sentiment"]
        own, other = tags, peers.ner(input_ids=ids).logits[0]
        judged = peers.sentiment(input_ids=ids).logits
    same = sum(a == b for a, b in zip(written["text"].split(), theirs.split(), strict=False))
    return [
        Check("the number of tokens", len(own), len(other), 0.0),
        Check("the logits of entities", _size(own - other) + _size(other), _size(other), 1e-4),
        Check(
            "the logits of sentiment", _size(label - judged) + _size(judged), _size(judged), 1e-4
        ),
        Check("the words of the summary", same, len(theirs.split()), 0.0),
    ]


def _size(values: Tensor) -> float:
    return float(values.double().norm())


def prepare(settings: Settings) -> Prepared:
    """Load both sides, and let the other find its batch sizes."""
    lines = CORPUS.read_text("utf-8").splitlines()
    documents = [json.loads(line) for line in lines][: settings.pick(90, 16)]
    documents.sort(key=lambda row: len(row["text"]))
    texts = [row["text"] for row in documents]
    questions = [[q["question"] for q in row["questions"][:QUESTIONS]] for row in documents]
    assert all(len(asked) == QUESTIONS for asked in questions)
    ours = predictor_of(settings.threads)
    peers = Peers(ours)
    asked = zip(texts, questions, strict=True)
    rows = [r for text, each in asked for r in rows_of([text], Beside(each).parts(ours.tasks))]
    checks = checks_of(ours, peers, {"text": texts[-1], "_file": "", "_line": 1})
    rates = peers.choose(texts, questions)
    choose_budget(ours, rows)

    def timed(work: Callable[[], Any]) -> Callable[[], float]:
        def rate() -> float:
            start = time.perf_counter()
            work()
            return len(texts) / (time.perf_counter() - start)

        return rate

    tokens = [len(ids) for ids in peers.tokenizer(texts)["input_ids"]]
    return Prepared(
        unit="documents/s",
        sides={
            "mtl": timed(lambda: list(ours.predict(rows))),
            "transformers": timed(lambda: [job(texts, questions) for job in peers.jobs.values()]),
        },
        ratios=[Ratio("against four models", "mtl", "transformers", 3.5)],
        checks=checks,
        notes={
            "documents": f"{len(texts)} of {np.mean(tokens):.0f} tokens on average",
            "tokens of a pass of mtl": ours.tokens,
            "batch sizes of transformers": peers.sizes,
            "documents/s of each model": {name: round(rate, 1) for name, rate in rates.items()},
        },
    )


CASE = Case("inference", "entities, sentiment, three answers and a summary a document", prepare)
