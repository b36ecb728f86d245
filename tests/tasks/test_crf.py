"""Words whose labels are learned together: links, gaps, and sequences that are always valid."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from mtl.data.label_rules import IGNORED
from mtl.errors import ConfigError
from mtl.heads.crf import BEGINS, ENDS, FOLLOWS, CRFHead
from mtl.labels import transitions
from mtl.tasks.token_classification import TokenClassification
from mtl.types import Encoded, Examples
from tests.tasks.samples import HIDDEN, SPEECH, TAGGED, Sample, encoder, one_pass, place, states

CRF = {"decoding": "crf"}


def task_of(rows: Any = TAGGED, **head: Any) -> TokenClassification:
    metric = None if rows is TAGGED else "accuracy"
    own = {**CRF, "dropout": 0.0, **head}
    task = Sample("token_classification", rows, head=own, metric=metric).task()
    assert isinstance(task, TokenClassification)
    return task


def crf(task: TokenClassification, seed: int = 0) -> CRFHead:
    torch.manual_seed(seed)
    head = task.build_head(HIDDEN)
    assert isinstance(head, CRFHead)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


def test_links_of_words_that_are_read_and_not() -> None:
    """The second word has no token, and nothing is known of the last one's label."""
    row: dict[str, Any] = {
        "tokens": ["Ines", " ", "Talbot", "left", "."],
        "text": "Ines   Talbot left .",
    }
    row |= {"labels": ["B-PER", "O", "B-PER", "O", IGNORED]}
    task = task_of()
    (tokens,) = encoder().tokenize([row["text"]])
    (placed,) = place([row])
    found = task.encode(placed, tokens, encoder(), "causal")
    words, links = found.extra["words"].tolist(), found.inputs["link"].tolist()
    assert words[0] == 0
    assert words[-1] == 3
    assert links[0] == BEGINS
    assert links[-1] & ENDS == 0, "the last word is not read"
    for number, (a, b) in enumerate(pairwise(words), start=1):
        assert bool(links[number] & FOLLOWS) == (b == a + 1)
    no_labels = {name: value for name, value in placed.items() if name != "labels"}
    links = task.encode(no_labels, tokens, encoder(), "causal").inputs["link"].tolist()
    assert links[-1] == FOLLOWS | ENDS


def test_one_pass_is_the_sum_of_its_texts() -> None:
    task, rows = task_of(), place(TAGGED)
    head = crf(task)
    part, ids = one_pass(task, rows)
    hidden = part.read(states(ids))
    whole = head.loss_sum(head.score(hidden, part.given), part.given)
    total, first = 0.0, 0
    for size, example in zip(part.sizes, part.encoded, strict=True):
        given = {**example.targets, **example.inputs}
        own = {name: torch.from_numpy(values) for name, values in given.items()}
        total += head.loss_sum(head(hidden[first : first + size]), own).item()
        first += size
    assert total == pytest.approx(whole.item(), rel=1e-5)
    assert sum(e.mass for e in part.encoded) == head.mass(part.given) == len(hidden)


def random_sentences(task: TokenClassification, count: int) -> tuple[torch.Tensor, Examples]:
    """Return random links and what decoding has to know of sentences, some words without token."""
    numbers = np.random.default_rng(0)
    found: list[Encoded] = []
    for _ in range(count):
        size = int(numbers.integers(1, 9))
        words = np.flatnonzero(numbers.random(size) < 0.95).astype(np.int32)
        follows = np.diff(words, prepend=-2) == 1
        link = follows * FOLLOWS + (words == 0) * BEGINS + (words == size - 1) * ENDS
        nothing = np.zeros(0, dtype=np.int32)
        extra: dict[str, Any] = {"words": words, "gold": np.zeros(size, dtype=np.int64)}
        found.append(Encoded([], nothing, nothing, {}, 0.0, inputs={"link": link}, extra=extra))
    link = torch.from_numpy(np.concatenate([e.inputs["link"] for e in found]))
    return link, Examples(found, [])


def check_valid(count: int) -> None:
    task = task_of()
    head = crf(task)
    link, examples = random_sentences(task, count)
    labels = tuple(task.learned.labels)
    logits = torch.randn(len(link), len(labels), generator=torch.Generator().manual_seed(0)) * 5
    with torch.no_grad():
        outputs = task.decode(head.settled(logits, {"link": link}), examples)
    start, allowed, end = transitions(labels)
    for tags in outputs:
        path = tags.labels
        assert start[path[0]]
        assert end[path[-1]]
        assert allowed[path[:-1], path[1:]].all()


def test_no_sequence_is_invalid() -> None:
    check_valid(500)


@pytest.mark.slow
def test_no_sequence_of_a_hundred_thousand_is_invalid() -> None:
    check_valid(100_000)


def test_decoding_finds_the_most_probable_sequence() -> None:
    task, rows = task_of(SPEECH), place(SPEECH)
    head = crf(task)
    part, ids = one_pass(task, rows)
    with torch.no_grad():
        logits = head.score(part.read(states(ids)), part.given)
        settled = head.settled(logits, part.given)
        outputs = task.decode(settled, Examples(part.encoded, rows))
        for size, output, cut in zip(part.sizes, outputs, settled.split(part.sizes), strict=True):
            assert output.labels.tolist() == cut.argmax(1).tolist()
            assert len(output.labels) == size


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss", "focal"),
        ("label_smoothing", 0.1),
        ("class_weights", {"O": 0.5}),
        ("class_weighting", "balanced"),
    ],
)
def test_losses_of_single_words_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"head\.{key}` to be unset, .*head\.decoding=crf"):
        task_of(**{key: value}).build_head(HIDDEN)
