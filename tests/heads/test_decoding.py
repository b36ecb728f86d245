import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mtl.errors import ConfigError
from mtl.heads.decoding import viterbi_packed
from mtl.labels import Bools, transitions
from tests.properties import max_examples

SCHEMES = ("iob1", "iob2", "bioes")
LABELS = {
    "iob1": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "iob2": ["B-LOC", "I-LOC", "O", "B-PER", "I-PER"],
    "bioes": ["O", *(f"{p}-{t}" for t in ("A", "B-x") for p in "BIES")],
}


def viterbi(scores: Tensor, start: Bools, allowed: Bools, end: Bools) -> Tensor:
    """Return the best allowed labels of one sentence, shape (T,)."""
    return viterbi_packed(scores, [len(scores)], start, allowed, end)


def tags(length: int, kind: str, scheme: str, divided: bool) -> list[str]:
    """One entity's tags; `divided` says that an entity of its type stands right before it."""
    if scheme == "iob1":
        return [("B-" if divided else "I-") + kind, *[f"I-{kind}"] * (length - 1)]
    if scheme == "iob2":
        return [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
    if length == 1:
        return [f"S-{kind}"]
    return [f"B-{kind}", *[f"I-{kind}"] * (length - 2), f"E-{kind}"]


def valid_sequences(length: int, kinds: list[str], scheme: str) -> set[tuple[str, ...]]:
    """Every valid sequence, made by writing down every segmentation into entities and gaps."""
    found: set[tuple[str, ...]] = set()

    def extend(done: list[str], last: str | None) -> None:
        if len(done) == length:
            found.add(tuple(done))
            return
        extend([*done, "O"], None)
        for kind in kinds:
            for size in range(1, length - len(done) + 1):
                extend([*done, *tags(size, kind, scheme, last == kind)], kind)

    extend([], None)
    return found


def kinds_of(labels: list[str]) -> list[str]:
    return sorted({label.partition("-")[2] for label in labels if label != "O"})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_masks_allow_exactly_the_sequences_of_the_scheme(scheme: str) -> None:
    labels = LABELS[scheme]
    start, allowed, end = transitions(tuple(labels), scheme)
    for length in (1, 2, 3):
        accepted = {
            tuple(labels[i] for i in path)
            for path in itertools.product(range(len(labels)), repeat=length)
            if start[path[0]]
            and end[path[-1]]
            and all(allowed[a, b] for a, b in itertools.pairwise(path))
        }
        assert accepted == valid_sequences(length, kinds_of(labels), scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("length", [1, 2, 4])
def test_viterbi_equals_brute_force(scheme: str, length: int) -> None:
    labels = LABELS[scheme]
    masks = transitions(tuple(labels), scheme)
    index = {label: i for i, label in enumerate(labels)}
    valid = torch.tensor(
        [[index[x] for x in s] for s in valid_sequences(length, kinds_of(labels), scheme)]
    )
    generator = torch.Generator().manual_seed(length)
    for _ in range(20):
        scores = torch.randn(length, len(labels), generator=generator)
        sums = scores.double()[torch.arange(length), valid].sum(dim=1)
        assert viterbi(scores, *masks).tolist() == valid[sums.argmax()].tolist()


@max_examples(60)
@given(
    scheme=st.sampled_from(SCHEMES),
    lengths=st.lists(st.integers(0, 7), max_size=6),
    seed=st.integers(0, 2**31),
)
def test_no_invalid_sequence_over_random_logits(scheme: str, lengths: list[int], seed: int) -> None:
    labels = LABELS[scheme]
    start, allowed, end = transitions(tuple(labels), scheme)
    scores = torch.randn(sum(lengths), len(labels), generator=torch.Generator().manual_seed(seed))
    packed = viterbi_packed(scores, lengths, start, allowed, end)
    assert packed.shape == (sum(lengths),)
    for path, part in zip(packed.split(lengths), scores.split(lengths), strict=True):
        assert path.tolist() == viterbi(part, start, allowed, end).tolist()
        if len(path):
            assert start[path[0]]
            assert end[path[-1]]
            assert all(allowed[a, b] for a, b in itertools.pairwise(path.tolist()))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_diverged_model_still_gives_valid_sequences(bad: float) -> None:
    masks = transitions(tuple(LABELS["iob2"]))
    path = viterbi(torch.full((5, 5), bad), *masks).tolist()
    assert masks.start[path[0]]
    assert all(masks.allowed[a, b] for a, b in itertools.pairwise(path))


def test_equals_argmax_when_everything_is_allowed() -> None:
    scores = torch.randn(200, 9, generator=torch.Generator().manual_seed(0))
    start, allowed = np.ones(9, dtype=bool), np.ones((9, 9), dtype=bool)
    assert torch.equal(viterbi(scores, start, allowed, np.ones_like(start)), scores.argmax(dim=1))
    packed = viterbi_packed(scores, [50, 0, 1, 149], start, allowed, np.ones_like(start))
    assert torch.equal(packed, scores.argmax(dim=1))


def test_half_precision_and_order_of_sentences_do_not_matter() -> None:
    masks = transitions(tuple(LABELS["iob2"]))
    scores = torch.randn(30, 5, generator=torch.Generator().manual_seed(1)).bfloat16()
    a, b = scores.split([10, 20])
    forth = viterbi_packed(scores, [10, 20], *masks)
    back = viterbi_packed(torch.cat([b, a]), [20, 10], *masks)
    assert torch.equal(forth, torch.cat([back[20:], back[:20]]))


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = transitions(tuple(LABELS["bioes"]), "bioes")
    scores = torch.randn(60, 9, generator=torch.Generator().manual_seed(2))
    lengths = [5, 20, 1, 14, 20]
    whole = viterbi_packed(scores, lengths, *masks)
    monkeypatch.setattr("mtl.heads.decoding._BLOCK", 100)
    assert torch.equal(viterbi_packed(scores, lengths, *masks), whole)


def test_thousands_of_sentences_are_decoded_as_one_by_one() -> None:
    masks = transitions(("O", *(f"{p}-{t}" for t in ("LOC", "MISC", "ORG", "PER") for p in "BI")))
    lengths = [1 + i % 40 for i in range(4000)]
    scores = torch.randn(sum(lengths), 9)
    together = viterbi_packed(scores, lengths, *masks).split(lengths)
    alone = scores.split(lengths)
    for number in range(0, len(lengths), 97):
        one = viterbi_packed(alone[number], [lengths[number]], *masks)
        assert torch.equal(together[number], one)


def test_an_unreachable_label_is_never_chosen() -> None:
    masks = transitions(("O", "B-X"), "bioes")  # B-X could never be closed
    assert viterbi(torch.tensor([[0.0, 9.0], [0.0, 9.0]]), *masks).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("labels", "scheme", "message"),
    [
        (["O", "B-X"], "iob3", "Expected `scheme` to be one of"),
        (["O", "S-X"], "iob2", "but got 'S-X'"),
        (["O", "NN"], "iob2", "but got 'NN'"),
        (["O", "O-X"], "iob2", "but got 'O-X'"),
        (["I-X"], "iob2", "Expected a label set in which one token can be labelled"),
    ],
)
def test_wrong_labels_are_named(labels: list[str], scheme: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        transitions(tuple(labels), scheme)


def test_a_text_without_end_takes_little_memory() -> None:
    scheme = transitions(("O", "B-A", "I-A", "B-B", "I-B"))
    scores = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0))
    viterbi(scores[:10], *scheme)
    tracemalloc.start()
    try:
        viterbi(scores, *scheme)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / 20_000 < 150  # Bytes a token: less than one small array each.
