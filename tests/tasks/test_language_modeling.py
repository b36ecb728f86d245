"""Language modeling against transformers' own loss, and figures by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mtl.config.schema import TrunkConfig
from mtl.data.collate import Collator, Sharing
from mtl.errors import ConfigError
from mtl.metrics.scores import Likelihood
from mtl.tasks import Task
from mtl.tasks.encode import encode_split, windows_apart
from mtl.tasks.language_modeling import LanguageModeling
from mtl.training.model import MultiTaskModel, build_heads, make_task, shared
from mtl.trunk.load import load_trunk
from mtl.trunk.text import TextEncoder
from mtl.types import Examples
from tests import helpers
from tests.tasks.samples import place, trunk_of

TEXTS = [" ".join(helpers.CORPUS), helpers.CORPUS[2], "Tea.", " ".join(helpers.CORPUS[:2])]
BPE, METASPACE = helpers.bpe_tokenizer(), helpers.metaspace_tokenizer()


def lm(**head: Any) -> Task:
    return make_task("lm", "language_modeling", options={}, head=head)


def gpt2() -> tuple[Any, Any]:
    """No token before a text: its first one is not predicted."""
    from transformers import GPT2Config

    return GPT2Config(vocab_size=400, n_embd=16, n_layer=2, n_head=2, n_positions=64), BPE


def llama() -> tuple[Any, Any]:
    """A token before every text."""
    return helpers.llama_config(vocab_size=150, tie_word_embeddings=False), METASPACE


FAMILIES = {"gpt2": gpt2, "llama": llama}
Family = Callable[[], tuple[Any, Any]]


def own_loss(model: Any, encoder: TextEncoder, texts: list[str]) -> Tensor:
    """Return the mean of transformers' own losses over all predicted tokens of all texts."""
    total, count, room = torch.zeros(()), 0, encoder.room
    for tokens in encoder.tokenize(texts):
        ids, at = tokens.ids.tolist(), 0
        while True:
            chunk = ids[at : at + room]
            done = at + room >= len(ids)
            read = [*encoder.prefix.tolist(), *chunk, *([encoder.tokenizer.eos_token_id] * done)]
            labels = list(read)
            known = len(encoder.prefix) + (at > 0)
            labels[:known] = [-100] * known
            predicted = sum(label != -100 for label in labels[1:])
            loss = model(input_ids=torch.tensor([read]), labels=torch.tensor([labels])).loss
            total, count = total + loss * predicted, count + predicted
            if done:
                break
            at += room - 1
    return total / count


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("budget", [1000, 40])
def test_loss_and_gradients_are_transformers_own(
    tmp_path: Path, family: Family, budget: int
) -> None:
    """Of long texts in several chunks, packed in rows, in one pass or in many."""
    from transformers import AutoModelForCausalLM

    config, tokenizer = family()
    torch.manual_seed(0)
    whole = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    whole.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    trunk = load_trunk(TrunkConfig(name="hf", path=str(tmp_path)), writes=True)
    encoder = TextEncoder(trunk.tokenizer, 20)
    task = lm()
    model = MultiTaskModel(trunk, [task], build_heads([task], 16, 0, trunk.output)).eval()
    store = encode_split(task, place([{"text": t} for t in TEXTS]), encoder, "causal")
    assert len(store) > 2 * len(TEXTS)
    batches = Collator([store], budget=budget, sharing=Sharing(rows=True, branches=True, pad=0))(
        [[(0, i)] for i in range(len(store))]
    )
    assert (len(batches) > 1) == (budget == 40)
    assert not all(batch.trunk.plain for batch in batches)
    loss = torch.zeros(())
    for batch in batches:
        found = model.head("lm").loss(
            model(batch)["lm"], batch.heads["lm"].targets, float(store.masses.sum())
        )
        found.backward()
        loss += found.detach()
    wanted = own_loss(reference, encoder, TEXTS)
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert trunk.output is not None
    ours = dict(trunk.output.model.named_parameters())
    for name, parameter in reference.named_parameters():
        assert parameter.grad is not None
        difference = (ours[name].grad - parameter.grad).norm()
        assert difference <= 1e-4 * parameter.grad.norm() + 1e-9, name


@given(st.integers(1, 120), st.integers(1, 30), st.booleans())
def test_every_token_is_predicted_once(length: int, room: int, prefixed: bool) -> None:
    """In order, each where the one before it is read, and the end after the last."""
    tokenizer = METASPACE if prefixed else BPE
    encoder = TextEncoder(tokenizer, room + prefixed)
    (tokens,) = encoder.tokenize(["x"])
    tokens.ids = np.arange(10, 10 + length, dtype=np.int32)
    tokens.starts = tokens.ends = np.arange(length, dtype=np.int32)
    end = tokenizer.eos_token_id
    before = {label: label - 1 for label in range(11, 10 + length)} | {end: 9 + length}
    if prefixed:
        before[10] = int(encoder.prefix[-1])
    found = []
    whole = lm().encode({"text": "x" * length}, tokens, encoder, "causal")
    for example in windows_apart(whole):
        (document,) = example.documents
        assert len(document) <= room + prefixed
        labels = example.targets["labels"].tolist()
        found += labels
        if room > 1:  # Else nothing but the token before a text is read before a chunk's first.
            read = document[example.offset].tolist()
            assert read == [before[label] for label in labels]
    wanted = [*range(10, 10 + length), end]
    if prefixed:
        assert found == wanted
    elif room > 1:
        assert found == wanted[1:]
    assert found[-1] == end


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.integers(1, 9))
def test_bytes_of_chunks_are_the_bytes_of_the_text(text: str, room: int) -> None:
    """Also where a token is a part of a character."""
    encoder = TextEncoder(BPE, room)
    (tokens,) = encoder.tokenize([text])
    examples = windows_apart(lm().encode({"text": text}, tokens, encoder, "causal"))
    found = sum(int(e.extra["bytes"][0, 0]) for e in examples)
    first = len(text[: int(tokens.ends[0])].encode())
    assert found <= len(text.encode()) - first
    if room > 1:
        assert found == len(text.encode()) - first


def test_scores_by_hand() -> None:
    """Three tokens of probability 1/2, 1/4 and 1/8 for seven bytes, and an end token of 1/16."""
    text_nats = math.log(2) + math.log(4) + math.log(8)
    sums = Likelihood(text_nats + math.log(16), 4, 1, text_nats, 7)
    assert sums.scores() == pytest.approx(
        {
            "accuracy": 0.25,
            "perplexity": 2 ** (10 / 4),
            "loss": math.log(2) * 10 / 4,
            "bits_per_byte": 6 / 7,
        }
    )


def test_the_baseline_is_the_unigram_distribution() -> None:
    rows = place([{"text": t} for t in ("Tea, bread, tea.", "The pump ran.")])
    encoder = TextEncoder(METASPACE, 8)
    task = lm()
    task.fits(trunk_of())
    assert isinstance(task, LanguageModeling)
    task.vocabulary = len(METASPACE)
    store = encode_split(task, rows, encoder, "causal")
    everything = [[*t.ids.tolist(), 2] for t in encoder.tokenize([r["text"] for r in rows])]
    counts = Counter(i for ids in everything for i in ids)
    total = sum(counts.values()) + len(METASPACE)
    guesses = task.baseline(Examples(store.examples, store.rows))
    chunks = [n for n, row in enumerate(store.rows) if row["_id"] == rows[1]["_id"]]
    found = Likelihood(*map(sum, zip(*guesses(store.select(chunks)), strict=True)))
    nats = [-math.log((counts[i] + 1) / total) for i in everything[1]]
    assert found.nats == pytest.approx(sum(nats))
    assert found.text_nats == pytest.approx(sum(nats[:-1]))
    assert found.tokens == len(nats)
    assert found.bytes == len(b"The pump ran.")
    assert found.correct == everything[1].count(max(counts, key=lambda i: (counts[i], -i)))


def test_a_second_copy_is_read_again() -> None:
    rows = place([{"text": "Tea."}, {"text": "Rain."}, {"text": "Tea."}])
    store = encode_split(lm(), rows, TextEncoder(BPE, 16), "causal")
    assert len(set(store.keys.tolist())) == 3


def test_rows_follow_their_chunks() -> None:
    rows = place([{"text": t} for t in TEXTS])
    store = encode_split(lm(), rows, TextEncoder(BPE, 16), "causal")
    assert len(store.rows) == len(store) > len(rows)
    ids = [row["_id"] for row in store.rows]
    assert list(dict.fromkeys(ids)) == [row["_id"] for row in rows]
    assert ids.count(rows[0]["_id"]) == max(Counter(ids).values())


def test_other_types_cannot_share_its_head() -> None:
    other = make_task("topic", "text_classification", options={}, head={})
    with pytest.raises(ConfigError, match=r"share head 'lm' \(lm, topic\)"):
        shared(lm(), [other])
    assert shared(lm(), [lm()]) == {}
