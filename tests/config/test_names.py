"""The key that a person most likely meant."""

import pytest

from mtl.config.keys import dotted_keys
from mtl.config.names import suggest_key, unknown_key

KEYS = dotted_keys(names=("ner",))


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
        ("trunk.0ttention", "trunk.attention"),
    ],
)
def test_suggests_the_key_that_was_meant(key: str, near: str) -> None:
    assert f"`{near}`" in (suggest_key(key, KEYS) or "")


def test_names_all_keys_when_none_is_near() -> None:
    assert str(unknown_key("trunk.zzz", ["lr", "path"], (), "trunk")) == (
        "Expected `trunk.zzz` to be a key of `trunk`, one of {lr, path}, but it is none."
    )
