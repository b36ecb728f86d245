"""Choices on every kind of trunk, beside a text, with a question or without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl.data.collate import Collator, Sharing
from mtl.errors import DataError
from mtl.heads.base import Head
from mtl.tasks import Task
from mtl.tasks.base import asks, remarks, row_check
from mtl.tasks.encode import encode_split
from mtl.trunk.trunk import Trunk
from mtl.types import Row
from tests import helpers
from tests.tasks.samples import Sample, chosen_of, every, place, score_of
from tests.tasks.test_pairs import trunk_in

TEXT = "The pump failed at noon, and nobody in Brackwater asked why; nobody in Lyme did, at one."
CHOICES = ["It broke.", "It was the rain.", "Nobody knows who did it.", "Ines."]


def sample(**options: Any) -> Sample:
    """Rows with two, three and four choices on one text, with questions."""
    asked = ["Why?", "Who was it?", "What happened?"]
    rows = [
        {"text": TEXT, "question": q, "choices": CHOICES[: 2 + n], "label": str(n)}
        for n, q in enumerate(asked)
    ]
    return Sample("multiple_choice", rows, options={"label": "0", **options})


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Trunk:
    from transformers import BertConfig

    folder = tmp_path_factory.mktemp("bert")
    return trunk_in(folder, BertConfig(**helpers.shape()), helpers.wordpiece_tokenizer())


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Trunk:
    folder = tmp_path_factory.mktemp("llama")
    return trunk_in(
        folder, helpers.llama_config(max_position_embeddings=256), helpers.bpe_tokenizer()
    )


def scores_of(
    task: Task, trunk: Trunk, head: Head, rows: list[Row], length: int = 100, kind: str = "causal"
) -> tuple[list[Tensor], float, int]:
    """Return each row's scores, the loss, and the tokens of the pass."""
    store = encode_split(task, rows, trunk.text_encoder(length, 8, prefix_space=True), kind)
    keys = np.unique(store.keys)
    groups = [[(0, n) for n in np.flatnonzero(store.keys == key).tolist()] for key in keys]
    sharing = Sharing(rows=True, branches=trunk.share_branches, pad=0)
    (batch,) = Collator([store], budget=10**6, sharing=sharing)(groups)
    part = batch.heads[task.name]
    with torch.no_grad():
        logits = head(part.read(trunk(batch.trunk)))
        loss = float(head.loss(logits, part.given))
    parts = logits[:, 0].split(part.sizes)
    order = torch.tensor(part.examples).argsort().tolist()
    return [parts[n] for n in order], loss, batch.trunk.tokens


def test_on_an_encoder_each_choice_is_a_pair_of_texts(bert: Trunk) -> None:
    """As transformers' own model reads the tokenizer's own pairs, one by one."""
    from transformers import BertModel

    task, rows = sample().task(), sample().placed()
    head = task.build_head(bert.hidden_size).eval()
    found, loss, _ = scores_of(task, bert, head, rows, kind="bidirectional")
    model = BertModel.from_pretrained(bert.config.name_or_path).eval()
    tokenizer = bert.text_encoder(100, 8, prefix_space=True).tokenizer
    losses = []
    for row, scores in zip(rows, found, strict=True):
        alone = []
        for choice in row["choices"]:
            ids = tokenizer(row["text"], f"{row['question']} {choice}")["input_ids"]
            with torch.no_grad():
                state = model(input_ids=torch.tensor([ids])).last_hidden_state.mean(1)
                alone.append(head(state)[0, 0])
        torch.testing.assert_close(scores, torch.stack(alone), rtol=1e-4, atol=1e-5)
        losses.append(-torch.stack(alone).log_softmax(0)[int(row["label"])])
    assert loss == pytest.approx(float(torch.stack(losses).mean()), rel=1e-4)


@pytest.mark.parametrize("length", [100, 40])
@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_on_a_decoder_all_choices_of_all_questions_share_a_text(
    llama: Trunk, kind: str, length: int
) -> None:
    """A row has the scores that it has alone, and that its choices have as pairs, alone."""
    task, rows = sample().task(), sample().placed()
    head = task.build_head(llama.hidden_size).eval()
    together, _, tokens = scores_of(task, llama, head, rows, length, kind)
    each = [scores_of(task, llama, head, [row], length, kind) for row in rows]
    for row, found, (alone, _, _) in zip(rows, together, each, strict=True):
        torch.testing.assert_close(found, alone[0], rtol=0, atol=1e-5)
        first = [{**row, "choices": [choice, "No."], "label": "0"} for choice in row["choices"]]
        pairs = [scores_of(task, llama, head, [one], length, kind)[0][0][0] for one in first]
        torch.testing.assert_close(found, torch.stack(pairs), rtol=0, atol=1e-5)
        assert len({round(float(one), 6) for one in found}) == len(row["choices"])
    assert tokens < 0.85 * sum(e[2] for e in each)


def test_joint_and_branch_may_be_chosen(llama: Trunk) -> None:
    for layout, branches in (("joint", 0), ("branch", 2), ("auto", 2)):
        task = sample(layout=layout).task()
        by = llama.text_encoder(100, 8, prefix_space=True)
        example = encode_split(task, sample().placed()[:1], by, "causal").examples[0]
        assert len(example.branches) == branches
        assert len(example.documents) == (1 if branches else 2)
        assert (example.outputs, example.windows, example.mass) == (2, 1, 1.0)


def test_chance_is_one_of_the_choices_of_each_row() -> None:
    """Exactly, wherever the right ones stand: a half, a third and a fourth."""
    for labels in (("0", "0", "0", "0", "0"), ("1", "2", "3", "1", "0")):
        picks = Sample("multiple_choice", chosen_of(*labels), options={"label": "0"})
        task = picks.task()
        examples = every(task, picks.placed())
        found = score_of(task, (task.baseline(examples)(examples), examples))
        assert found == {"accuracy": pytest.approx((1 / 2 + 1 / 3 + 1 / 4 + 1 / 2 + 1 / 3) / 5)}


def test_what_was_found_is_said_and_kept() -> None:
    counted = Sample("multiple_choice", chosen_of("1", "3", "1", "2", "2"))
    task = counted.task()
    assert remarks(task) == [
        "tasks.sample: 5 labels are read as numbers counted from 1 (options.label=1)."
    ]
    assert task.learned.model_dump() == {"form": "1", "question": False}
    probabilities = torch.tensor([0.25, 0.75]).numpy()
    assert task.present(probabilities, counted.placed()[0]) == {
        "choice": "rain", "label": "2", "probabilities": [0.25, 0.75],
    }  # fmt: skip
    late = place(chosen_of("0", "1", "1", "1", "1"), "late.jsonl")
    with pytest.raises(DataError, match=r"late\.jsonl:1: Expected a number counted from 1 of 2"):
        every(task, late)


def test_a_label_that_is_no_choice_is_a_bad_row() -> None:
    check, _ = row_check(sample().task())
    (row, *_) = sample().placed()
    assert check(dict(row)) == row
    with pytest.raises(ValueError, match=r"one of 2 choices for a label, but got '7'"):
        check({**row, "label": "7"})


def test_a_question_is_asked_for_where_training_had_one(llama: Trunk) -> None:
    assert asks(sample().task()) == ["question", "choices"]
    bare = Sample("multiple_choice", chosen_of("0", "2", "3", "1", "0"))
    assert asks(bare.task()) == ["choices"]
    (row, *_) = sample().placed()
    without = {key: value for key, value in row.items() if key != "question"}
    fault = r"data\.jsonl:1: Expected a question \(`tasks\.sample\.columns\.question`\)"
    by = llama.text_encoder(100, 8, prefix_space=True)
    with pytest.raises(DataError, match=fault):
        encode_split(sample().task(), [without], by, "causal")


@pytest.mark.parametrize("layout", ["joint", "branch"])
def test_a_choice_may_be_too_long(llama: Trunk, layout: str) -> None:
    rows = place([{"text": TEXT, "choices": ["why " * 60, "No."], "label": "0"}])
    task = Sample("multiple_choice", rows, options={"layout": layout, "label": "0"}).task()
    by = llama.text_encoder(40, 8, prefix_space=True)
    with pytest.raises(DataError, match=r"data\.jsonl:1: Expected a choice that leaves 5 of"):
        encode_split(task, rows, by, "causal")
