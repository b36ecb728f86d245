"""Where words are read, what their labels mean, and what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mtl.data.collate import Collator, Sharing
from mtl.data.loaders import EvalLoader
from mtl.errors import ConfigError, DataError
from mtl.tasks._words import words_of
from mtl.tasks.base import document, restore
from mtl.tasks.encode import encode_split
from mtl.tasks.token_classification import Tags, TokenClassification
from mtl.training.evaluation import Evaluation
from mtl.training.model import MultiTaskModel
from mtl.types import Encoded, HeadBatch, Row
from tests import helpers
from tests.metrics.conlleval_reference import score
from tests.properties import max_examples
from tests.tasks.samples import (
    HIDDEN,
    TAGGED,
    Sample,
    chosen,
    encoder,
    every,
    head_of,
    in_order,
    one_pass,
    place,
    score_of,
    states,
    trunk_of,
)


def task_of(rows: Any = TAGGED, **changes: Any) -> TokenClassification:
    task = Sample("token_classification", rows, **changes).task()
    assert isinstance(task, TokenClassification)
    return task


def encode(task: TokenClassification, row: Row, at: Any, kind: str = "causal") -> Encoded:
    (tokens,) = at.tokenize([document(row)])
    return task.encode(row, tokens, at, kind)


WORDS = ["Okonkwo", "&", "Sons", "unbelievably", "won't", "1,204", "café", "Straße", "I", "."]


@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
@pytest.mark.parametrize("name", helpers.TOKENIZERS)
@pytest.mark.parametrize("asked", ["auto", "first", "last"])
def test_which_sub_word_speaks(
    tokenizers: dict[str, Any], name: str, kind: str, asked: str
) -> None:
    """The one that no other sub-word of the word comes after, or before."""
    tokenizer = tokenizers[name]
    at = encoder(128, tokenizer=tokenizer)
    task = task_of(head={"subword": asked})
    (row,) = place([{"tokens": WORDS}])
    found = encode(task, row, at, kind)
    text = " " + " ".join(WORDS)
    given_ids = tokenizer(text, return_offsets_mapping=True)
    assert found.documents[0].tolist() == given_ids["input_ids"]
    last = asked == "last" or (asked == "auto" and kind == "causal")
    start = 1
    expected = []
    for word in WORDS:
        inside = [
            n
            for n, (a, b) in enumerate(given_ids["offset_mapping"])
            if a < start + len(word) and b > start and b > a
        ]
        expected.append(inside[-1] if last else inside[0])
        start += len(word) + 1
    assert found.offset.tolist() == expected
    assert found.extra["words"].tolist() == list(range(len(WORDS)))
    assert len({len(w) for w in WORDS}) > 3


def test_the_state_read_is_that_of_the_sub_word() -> None:
    """Through packing and gathering: every hidden state says which token it is."""
    rows = place([{"tokens": WORDS[:4]}, {"tokens": WORDS[3:6]}, {"tokens": ["Nobody"]}])
    task = task_of()
    part, ids = one_pass(task, rows)
    read = part.read(torch.arange(len(ids), dtype=torch.float32)[:, None])[:, 0].long()
    pieces = [encoder().tokenizer.decode([token]) for token in ids[read].tolist()]
    words = [word for row in in_order(part, rows) for word in row["tokens"]]
    assert len(pieces) == len(words)
    assert all(word.endswith(piece.strip()) for word, piece in zip(words, pieces, strict=True))
    assert [w for w, p in zip(words, pieces, strict=True) if w != p.strip()]


@given(st.integers(1, 60), st.integers(6, 20), st.integers(0, 8), st.booleans())
@max_examples(60)
def test_every_word_of_a_long_text_is_read_once_farthest_from_an_edge(
    count: int, length: int, stride: int, last: bool
) -> None:
    at = encoder(length, stride)
    task = task_of(head={"subword": "last" if last else "first"})
    (row,) = place([{"tokens": [WORDS[n * 7 % len(WORDS)] for n in range(count)]}])
    (tokens,) = at.tokenize([document(row)])
    found = task.encode(row, tokens, at, "causal")
    assert found.extra["words"].tolist() == list(range(count))
    whole = encode(task, row, encoder(10**6)).offset.tolist()
    windows = at.windows(len(tokens))
    for token, part, offset in zip(whole, found.part.tolist(), found.offset.tolist(), strict=True):
        assert windows[part][0] + offset == token
        assert found.documents[part][offset] == tokens.ids[token]
        distances = [
            min(
                token - start if start > 0 else 10**6,
                end - 1 - token if end < len(tokens) else 10**6,
            )
            if start <= token < end
            else -1
            for start, end in windows
        ]
        assert distances[part] == max(distances)


IOB1 = [
    {"tokens": list("abcd"), "labels": ["I-PER", "I-PER", "B-PER", "O"]},
    {"tokens": list("efg"), "labels": ["O", "I-ORG", "I-PER"]},
]
IOB2 = [["B-PER", "I-PER", "B-PER", "O"], ["O", "B-ORG", "B-PER"]]


def test_labels_in_iob1_become_iob2() -> None:
    task = task_of(IOB1)
    assert task.learned.model_dump(exclude={"words", "counts"}) == {
        "scheme": "iob1",
        "labels": ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"],
    }
    for row, expected in zip(place(IOB1), IOB2, strict=True):
        assert [task.learned.labels[n] for n in task.gold(row)] == expected
        targets = encode(task, row, encoder()).targets["labels"]
        assert [task.learned.labels[n] for n in targets] == expected


def test_the_scheme_of_training_holds_for_rows_that_show_none() -> None:
    """Alone, these labels would be `io`; beside the training data they are IOB1 still."""
    task = task_of(IOB1)
    (row,) = place([{"tokens": ["a", "b"], "labels": ["I-ORG", "I-PER"]}])
    assert [task.learned.labels[n] for n in task.gold(row)] == ["B-ORG", "B-PER"]


def test_a_scheme_can_be_said() -> None:
    assert task_of(TAGGED, options={"scheme": "none"}, metric="accuracy").learned.labels == [
        "B-LOC", "B-ORG", "B-PER", "I-PER", "O",
    ]  # fmt: skip


@given(st.integers(0, 10**6))
@max_examples(40)
def test_scores_are_conllevals(seed: int) -> None:
    task, rows = task_of(), place(TAGGED)
    random = np.random.default_rng(seed)
    outputs = [
        Tags(random.integers(0, 7, len(row["tokens"])), np.ones(len(row["tokens"]), np.float32))
        for row in rows
    ]
    predicted = [[task.learned.labels[n] for n in output.labels] for output in outputs]
    counts = np.sum(list(score(predicted, [row["labels"] for row in rows]).values()), axis=0)
    correct, guessed, gold = counts.tolist()
    found = score_of(task, (outputs, every(task, rows)))
    assert found["precision"] == pytest.approx(correct / guessed if guessed else 0.0)
    assert found["recall"] == pytest.approx(correct / gold)
    assert found["f1"] == pytest.approx(2 * correct / (guessed + gold))
    same = [
        p == g
        for o, r in zip(predicted, rows, strict=True)
        for p, g in zip(o, r["labels"], strict=True)
    ]
    assert found["accuracy"] == pytest.approx(np.mean(same))


def invalid(labels: list[str]) -> list[str]:
    """Return the I- that continue nothing."""
    return [
        f"{before} {label}"
        for before, label in zip(["O", *labels], labels, strict=False)
        if label.startswith("I-") and before not in (f"B{label[1:]}", label)
    ]


MARK = "\u0000"  # WordPiece drops control characters: a word of one has no token.


def decoded(task: TokenClassification, rows: list[Row], seed: int, at: Any) -> list[list[str]]:
    """Decode random logits."""
    part, _ = one_pass(task, rows, at)
    logits = 3 * torch.randn(
        sum(part.sizes), len(task.learned.labels), generator=torch.Generator().manual_seed(seed)
    )
    outputs = task.decode(logits, chosen(part, rows))
    return [[task.learned.labels[n] for n in output.labels] for output in outputs]


@pytest.mark.parametrize("length", [8, 512])
def test_constrained_decoding_gives_valid_sequences(
    tokenizers: dict[str, Any], length: int
) -> None:
    """Across windows, and across words that have no token and so no logits."""
    at = encoder(length, 3, tokenizers["wordpiece"])
    words = ["Ines", MARK, "Talbot", "left", MARK, MARK, "early", "."]
    rows = place([{"tokens": words}, {"tokens": words[::-1] * 3}, {"tokens": [MARK, "a"]}])
    plain, constrained = (task_of(head={"decoding": how}) for how in ("plain", "constrained"))
    broken = 0
    for seed in range(30):
        broken += sum(bool(invalid(labels)) for labels in decoded(plain, rows, seed, at))
        for labels, row in zip(decoded(constrained, rows, seed, at), rows, strict=True):
            assert len(labels) == len(row["tokens"])
            assert invalid(labels) == []
    assert broken > 20


def test_words_without_a_token_are_outside(tokenizers: dict[str, Any]) -> None:
    at = encoder(64, tokenizer=tokenizers["wordpiece"])
    task = task_of()
    (row,) = place([{"tokens": ["Ines", MARK, "left"], "labels": ["B-PER", "I-PER", "O"]}])
    found = encode(task, row, at)
    assert found.extra["words"].tolist() == [0, 2]
    assert found.mass == 2.0
    part, _ = one_pass(task, [row], at)
    logits = torch.zeros(2, len(task.learned.labels))
    logits[:, task.learned.labels.index("B-PER")] = 9.0
    (output,) = task.decode(logits, chosen(part, [row]))
    assert [task.learned.labels[n] for n in output.labels] == ["B-PER", "O", "B-PER"]
    scores = score_of(task, ([output], chosen(part, [row])))  # All three words count.
    assert scores["accuracy"] == pytest.approx(1 / 3)


def test_probabilities_are_those_of_the_chosen_labels() -> None:
    task, rows = task_of(head={"decoding": "plain"}), place(TAGGED[:1])
    part, ids = one_pass(task, rows)
    logits = task.build_head(HIDDEN)(part.read(states(ids)))
    (output,) = task.decode(logits, chosen(part, rows))
    best = logits.softmax(-1).max(-1)
    assert output.labels.tolist() == best.indices.tolist()
    assert output.scores.tolist() == pytest.approx(best.values.tolist())


@pytest.mark.parametrize(
    ("label", "near"),
    [("B-LOK", "Did you mean 'B-LOC'?"), ("I-MISC", "add rows of it")],
)
def test_a_label_that_training_never_had(label: str, near: str) -> None:
    task = task_of()
    rows = place([TAGGED[0], {"tokens": ["a", "b"], "labels": ["O", label]}], "dev.conll")
    shown = "B-" + label[2:]
    with pytest.raises(DataError) as error:
        one_pass(task, rows)
    assert str(error.value).startswith("dev.conll:2: ")
    assert f"but got '{shown}'" in str(error.value)
    assert near in str(error.value)


def test_nothing_but_o_is_an_error() -> None:
    with pytest.raises(DataError, match=r"`tasks\.sample` to have at least one labelled entity"):
        task_of([{"tokens": ["a"], "labels": ["O"]}])


def test_labels_that_mark_no_spans_need_another_metric() -> None:
    speech = [{"tokens": ["Rain", "fell"], "labels": ["NOUN", "VERB"]}]
    for metric in (None, "f1", "recall"):
        with pytest.raises(ConfigError, match=r"`tasks\.sample\.metric`.*accuracy.*no spans"):
            task_of(speech, metric=metric)
    task = task_of(speech, metric="token_macro_f1")
    assert task.learned.labels == ["NOUN", "VERB"]
    assert task.primary_metric == "token_macro_f1"
    (row,) = place(speech)
    part, _ = one_pass(task, [row])
    logits = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    (output,) = task.decode(logits, chosen(part, [row]))
    shown = {"words": [{"text": "Rain", "label": "VERB"}, {"text": "fell", "label": "VERB"}]}
    assert task.present(output, row) == shown


def loss_of(task: TokenClassification, part: HeadBatch, logits: torch.Tensor) -> float:
    return float(task.build_head(HIDDEN).loss(logits, part.given).detach())


def test_class_weights_and_smoothing_reach_the_head() -> None:
    head = {"class_weights": {"O": 0.25, "B-PER": 3.0}, "label_smoothing": 0.2}
    task, rows = task_of(head=head), place(TAGGED)
    part, _ = one_pass(task, rows)
    logits = torch.randn(sum(part.sizes), len(task.learned.labels))
    weight = torch.tensor([{"O": 0.25, "B-PER": 3.0}.get(n, 1.0) for n in task.learned.labels])
    expected = F.cross_entropy(
        logits, part.targets["labels"], weight, label_smoothing=0.2, reduction="mean"
    )
    assert loss_of(task, part, logits) == pytest.approx(float(expected), rel=1e-5)
    mass = sum(encode(task, row, encoder()).mass for row in rows)
    assert mass == pytest.approx(float(weight[part.targets["labels"]].sum()))


def test_a_weight_for_no_label() -> None:
    task = task_of(head={"class_weights": {"B-LOK": 2.0}})
    with pytest.raises(ConfigError, match=r"tasks\.sample\.head\.class_weights.*B-LOK.*B-LOC"):
        task.build_head(HIDDEN)


def test_a_text_and_its_words() -> None:
    """Words are found in the text in their order; spans index the text."""
    text = "«Ines  Talbot» left-Brackwater."
    rows = place([{"text": text, "tokens": ["Ines", "Talbot", "left", "Brackwater"]}])
    task = task_of()
    part, _ = one_pass(task, rows)
    logits = torch.zeros(4, len(task.learned.labels))
    for word, label in enumerate(["B-PER", "I-PER", "O", "B-LOC"]):
        logits[word, task.learned.labels.index(label)] = 20.0
    (output,) = task.decode(logits, chosen(part, rows))
    found = task.present(output, rows[0])["entities"]
    assert [(e["label"], e["text"]) for e in found] == [
        ("PER", "Ines  Talbot"),
        ("LOC", "Brackwater"),
    ]
    assert all(text[e["start"] : e["end"]] == e["text"] for e in found)
    assert all(e["score"] == pytest.approx(1.0, abs=1e-3) for e in found)


def test_words_that_are_not_in_the_text() -> None:
    rows = place([{"text": "Ines left.", "tokens": ["left", "Ines"]}], "a.jsonl")
    with pytest.raises(DataError, match=r"a\.jsonl:1: .*stand in the text in their order"):
        one_pass(task_of(), rows)


def test_a_model_from_before_splits_texts_as_it_did() -> None:
    task = task_of([{"tokens": ["@rosa_q", "5kg"], "labels": ["B-PER", "O"]}])
    row: Row = {"text": "@rosa_q 东京", "_file": "a", "_line": 1}
    assert [s.tolist() for s in words_of(row, task.learned.words, task.name)] == [
        [0, 8, 9],
        [7, 9, 10],
    ]
    restore(task, {"scheme": "iob2", "labels": ["O", "B-PER"]})
    assert [s.tolist() for s in words_of(row, task.learned.words, task.name)] == [
        [0, 1, 5, 6, 8],
        [1, 5, 6, 7, 10],
    ]


def test_raw_texts_have_the_words_of_training() -> None:
    rows = [
        {"tokens": ["东", "京", "@rosa_q"], "labels": ["B-LOC", "I-LOC", "O"]},
        {"tokens": ["Do", "n't"], "labels": ["O", "O"], "text": "Don't"},
    ]
    task = task_of(rows)
    text = "Didn't 京东 @bo_b"
    row: Row = {"text": text, "_file": "a", "_line": 1}
    cuts = zip(*words_of(row, task.learned.words, task.name), strict=True)
    assert [text[s:e] for s, e in cuts] == ["Did", "n't", "京", "东", "@bo_b"]


def test_sentences_without_any_token_are_counted(tokenizers: dict[str, Any]) -> None:
    """Their entities are missed, and stay in the support."""
    rows = place(
        [
            {"tokens": [MARK], "labels": ["B-PER"]},
            {"tokens": ["Ines", MARK], "labels": ["B-PER", "B-ORG"]},
            {"tokens": [MARK, MARK], "labels": ["B-ORG", "I-ORG"]},
        ]
    )
    task, trunk, by = task_of(), trunk_of(), encoder(64, tokenizer=tokenizers["wordpiece"])
    model = MultiTaskModel(trunk, [task], nn.ModuleDict({task.head_name: head_of(task)}))
    store = encode_split(task, rows, by, "causal")
    collator = Collator([store], budget=64, sharing=Sharing(rows=True, branches=True, pad=0))
    evaluation = Evaluation({task.name: task}, [store])
    outputs: dict[int, Any] = {}
    for rank in range(2):
        for batch in EvalLoader(collator, [store], rank=rank, world=2):
            with torch.no_grad():
                for found in evaluation.count(model, batch):
                    outputs.update(zip(found.numbers, found.outputs, strict=True))
    assert sorted(outputs) == [0, 1, 2]
    overall = evaluation.tables(task.name)["entities"][0]
    assert overall.gold == 4
    for number in (0, 2):
        bare = {key: value for key, value in rows[number].items() if key != "labels"}
        assert task.present(outputs[number], bare) == {"entities": []}
