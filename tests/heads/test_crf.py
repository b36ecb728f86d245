"""The linear chain against every sequence there is, written out."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from mtl.heads.crf import BEGINS, ENDS, FOLLOWS, CRFHead
from mtl.labels import transitions

LABELS = ("O", "B-X", "I-X", "B-Y")
D, C = 5, len(LABELS)
BOTH = BEGINS | ENDS
"""Links of the words of some texts follow: the fourth has a gap, the last is between two."""
LINKS = [
    [BEGINS, FOLLOWS, FOLLOWS, FOLLOWS | ENDS],
    [BOTH],
    [BEGINS, FOLLOWS | ENDS],
    [BEGINS, FOLLOWS, 0, FOLLOWS | ENDS],
    [0],
]


def head_of(*, constrained: bool = True, seed: int = 0) -> CRFHead:
    torch.manual_seed(seed)
    head = CRFHead(D, C, transitions(LABELS) if constrained else None)
    for parameter in (head.steps, head.begin, head.end):
        torch.nn.init.normal_(parameter)
    return head


def given(seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits and targets of `LINKS`, whose labels are valid."""
    generator = torch.Generator().manual_seed(seed)
    link = torch.tensor([word for text in LINKS for word in text])
    labels = torch.tensor([1, 2, 0, 3, 0, 0, 1, 3, 0, 2, 1, 2])
    return torch.randn(len(link), C, generator=generator), {"labels": labels, "link": link}


def chains(link: list[int]) -> list[list[int]]:
    """Return the words of each chain."""
    found: list[list[int]] = []
    for word, code in enumerate(link):
        if not code & FOLLOWS:
            found.append([])
        found[-1].append(word)
    return found


def score(
    head: CRFHead, logits: Tensor, words: list[int], path: tuple[int, ...], link: list[int]
) -> Tensor:
    """Return the score of labels of a chain, by the definition."""
    total = logits.new_zeros(())
    if link[words[0]] & BEGINS:
        total = total + head.begin[path[0]] + head.begin_forbidden[path[0]]
    if link[words[-1]] & ENDS:
        total = total + head.end[path[-1]] + head.end_forbidden[path[-1]]
    for a, b in pairwise(path):
        total = total + head.steps[a, b] + head.forbidden[a, b]
    for word, label in zip(words, path, strict=True):
        total = total + logits[word, label]
    return total


def brute(head: CRFHead, logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
    link, total = targets["link"].tolist(), logits.new_zeros(())
    for words in chains(link):
        gold = tuple(targets["labels"][words].tolist())
        paths = product(range(C), repeat=len(words))
        every = torch.stack([score(head, logits, words, path, link) for path in paths])
        total = total + every.logsumexp(0) - score(head, logits, words, gold, link)
    return total


@pytest.mark.parametrize("constrained", [False, True])
def test_the_loss_is_that_of_all_sequences_written_out(constrained: bool) -> None:
    head = head_of(constrained=constrained)
    logits, targets = given()
    logits.requires_grad_(True)
    learned = [logits, head.steps, head.begin, head.end]
    found, wanted = head.loss_sum(logits, targets), brute(head, logits, targets)
    torch.testing.assert_close(found, wanted)
    pairs = zip(torch.autograd.grad(found, learned), torch.autograd.grad(wanted, learned))  # noqa: B905
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert head.mass(targets) == len(logits)


def test_without_steps_it_is_cross_entropy() -> None:
    head = CRFHead(D, C)
    logits, targets = given()
    wanted = torch.nn.functional.cross_entropy(logits, targets["labels"])
    torch.testing.assert_close(head.loss(logits, targets), wanted)


def test_passes_add_up() -> None:
    head = head_of()
    logits, targets = given()
    whole = head.loss(logits, targets)
    total, first = 0.0, 0
    for text in LINKS:
        part = slice(first, first + len(text))
        first = part.stop
        own = {name: values[part] for name, values in targets.items()}
        total += float(head.loss(logits[part], own, head.mass(targets)).detach())
    assert total == pytest.approx(float(whole.detach()), rel=1e-5)
    none = {name: values[:0] for name, values in targets.items()}
    assert head.loss(logits[:0], none, 3.0).item() == 0.0


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_settled_logits_are_those_of_the_best_sequences(seed: int, constrained: bool) -> None:
    head = head_of(constrained=constrained, seed=seed)
    logits, targets = given(seed)
    link = targets["link"].tolist()
    with torch.no_grad():
        settled = head.settled(logits, targets)
        for words in chains(link):
            paths = list(product(range(C), repeat=len(words)))
            scores = [float(score(head, logits, words, path, link)) for path in paths]
            best = max(scores)
            for place, word in enumerate(words):
                for label in range(C):
                    own = max(
                        s for s, path in zip(scores, paths, strict=True) if path[place] == label
                    )
                    wanted = max(own - best, -1e4)
                    assert float(settled[word, label]) == pytest.approx(wanted, rel=1e-6, abs=1e-4)
            right = paths[scores.index(best)]
            assert tuple(settled[words].argmax(1).tolist()) == right


def test_long_texts_stay_exact() -> None:
    """Float32 sums over thousands of words would not tell neighbours apart."""
    head = head_of()
    count = 3000
    link = torch.full((count,), FOLLOWS)
    link[0], link[-1] = BEGINS, FOLLOWS | ENDS
    logits = torch.randn(count, C) * 50
    with torch.no_grad():
        settled = head.settled(logits, {"link": link})
    assert settled.amax(1).abs().max() == 0.0
    path = settled.argmax(1)
    allowed = torch.from_numpy(transitions(LABELS).allowed)
    assert bool(allowed[path[:-1], path[1:]].all())
