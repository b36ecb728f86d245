from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl.config.keys import dotted_keys, is_key
from mtl.config.nearest import choose, edit_distance, nearest, suggest_key, unknown_key
from mtl.config.schema import Config

KEYS = list(dotted_keys(Config, ("ner",)))
WORDS = st.text("abc", max_size=5)


def slow_distance(left: str, right: str) -> int:
    """The same distance from its recursive definition."""

    @cache
    def between(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        cost = left[i - 1] != right[j - 1]
        best = min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + cost)
        if i > 1 and j > 1 and left[i - 1] == right[j - 2] and left[i - 2] == right[j - 1]:
            best = min(best, between(i - 2, j - 2) + 1)
        return best

    return between(len(left), len(right))


@given(WORDS, WORDS)
def test_distance_equals_its_definition(left: str, right: str) -> None:
    assert edit_distance(left, right) == slow_distance(left, right) == edit_distance(right, left)


def test_nearest_only_if_few_edits() -> None:
    assert nearest("acuracy", ["f1", "accuracy"]) == "accuracy"
    assert nearest("bleu", ["f1", "accuracy"]) is None
    assert nearest("x", []) is None


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("trunk.learning_rate", "trunk.lr"),
        ("trnk.lr", "trunk.lr"),
        ("max_epochs", "trainer.max_epochs"),
        ("trainer.epochs", "trainer.max_epochs"),
        ("batch_size", "batching.examples"),
        ("tasks.ner.wieght", "tasks.ner.weight"),
        ("patiense", "callbacks.early_stopping.patience"),
    ],
)
def test_suggests_the_key_that_was_meant(key: str, near: str) -> None:
    assert f"`{near}`" in (suggest_key(key, KEYS) or "")


def test_names_all_keys_when_none_is_near() -> None:
    assert unknown_key("trunk.zzz", ["lr", "path"], ()) == (
        "Unknown key `trunk.zzz`. Expected one of {lr, path} in `trunk`, but got 'zzz'."
    )


def test_choice_names_the_nearest() -> None:
    assert choose("trunk", "tyni", ["tiny", "hf"]) == (
        "Expected `trunk` to be one of {hf, tiny}, but got 'tyni'. Did you mean 'tiny'?"
    )


def test_dotted_keys_and_is_key_agree() -> None:
    assert all(is_key(Config, key) for key in KEYS)
    assert is_key(Config, "tasks.other.head.anything")
    assert not is_key(Config, "tasks.ner.wieght")
    assert not is_key(Config, "trunk.lr.more")
    assert len(KEYS) == len(set(KEYS))
