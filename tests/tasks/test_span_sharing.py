"""Five questions of one paragraph in one row are what they are in a row each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtl.data.collate import Collator, Sharing
from mtl.tasks import Task
from mtl.tasks.base import take
from mtl.tasks.encode import encode_split
from mtl.trunk import TextEncoder, Trunk
from mtl.types import MicroBatch, Row
from tests import helpers
from tests.tasks.samples import place, spans
from tests.trunk.alone import assert_same_gradients

TEXT = " ".join(helpers.CORPUS[:2])
QUESTIONS = [
    ("Who left?", "Ines Talbot"),
    ("Left what?", "Brackwater"),
    ("When will the council vote?", "Thursday"),
    ("What will the council do on Thursday?", "vote"),
    ("Who has said so?", "two members"),
]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return place(
        [
            {"text": TEXT, "question": q, "answers": [{"text": a, "start": TEXT.index(a)}]}
            for q, a in QUESTIONS
        ]
    )


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Trunk:
    from mtl.config.schema import TrunkConfig
    from mtl.trunk.load import load_trunk

    folder = tmp_path_factory.mktemp("llama")
    config = helpers.llama_config(max_position_embeddings=256)
    helpers.save_tiny(folder, config, helpers.bpe_tokenizer())
    return load_trunk(TrunkConfig(name="hf", path=str(folder)))


def run(trunk: Trunk, head: Any, batches: list[MicroBatch]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of all batches together, and every gradient."""
    modules = torch.nn.ModuleDict({"trunk": trunk, "head": head})
    modules.zero_grad()
    total = torch.zeros(())
    for batch in batches:
        part = batch.heads["sample"]
        logits = head.score(part.read(trunk(batch.trunk)), part.given)
        total = total + head.loss(logits, part.given, denominator=7.0)
    total.backward()
    found = {n: p.grad.clone() for n, p in modules.named_parameters() if p.grad is not None}
    return total.detach(), found


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
@pytest.mark.parametrize("length", [200, 40])
def test_questions_in_one_row_equal_a_row_each(
    trunk: Trunk, rows: list[Row], attention: str, length: int
) -> None:
    """Loss to 1e-5 and gradients to 1e-4 relative; with one window and with several."""
    task: Task = spans("branch").task()
    by = TextEncoder(trunk.tokenizer, length, 8, prefix_space=True)
    store = encode_split(task, rows, by, attention)
    assert len(set(store.keys.tolist())) == 1
    assert (len(store.examples[0].documents) > 1) == (length == 40)
    head = task.build_head(trunk.hidden_size).eval()
    collate = Collator([store], budget=10**6, sharing=Sharing(rows=True, branches=True, pad=0))
    together = collate([[(0, i) for i in range(5)]])
    alone = [batch for i in range(5) for batch in collate([[(0, i)]])]
    assert len(together) == 1
    assert sum(b.trunk.tokens for b in alone) > 2 * together[0].trunk.tokens
    loss, gradients = run(trunk, head, together)
    wanted, slow = run(trunk, head, alone)
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=0.0)
    assert_same_gradients(gradients, slow, relative=1e-4)


def test_the_document_is_one_that_another_task_reads_too(trunk: Trunk, rows: list[Row]) -> None:
    from mtl.training.model import make_task

    by = TextEncoder(trunk.tokenizer, 40, 8, prefix_space=True)
    topic = make_task("topic", "text_classification", options={}, head={})
    labelled = [{**rows[0], "label": "a"}, {**rows[0], "label": "b"}]
    take(topic, topic.learn(labelled))
    stores = [
        encode_split(topic, labelled[:1], by, "causal"),
        encode_split(spans("branch").task(), rows, by, "causal"),
    ]
    collate = Collator(stores, budget=10**6, sharing=Sharing(rows=True, branches=True, pad=0))
    (batch,) = collate([[(0, 0), *((1, i) for i in range(5))]])
    document = sum(map(len, stores[0].examples[0].documents))
    questions = sum(len(b.ids) for e in stores[1].examples for b in e.branches)
    assert batch.trunk.tokens == document + questions
