"""What tasks that label words share: the roles of words, and where words stand in a document."""

from __future__ import annotations

import numpy as np

from mtl.data.rows import Role, at_row
from mtl.data.word_rule import WordRule
from mtl.data.words import blanks_after, find_words
from mtl.errors import DataError, Mismatch, Problem
from mtl.types import IntArray, Row

TOKENS = Role("tokens", "tokens", help="the words")
TEXT = Role("text", "text", required=False, help="the text that the words were split from")
SPANS = Role(
    "spans",
    "spans",
    required=False,
    help="spans of characters, each with its label, in place of words and their labels",
    target=True,
    instead_of=("tokens", "labels"),
    needs=("text",),
)


def words_of(row: Row, rule: WordRule, task: str) -> tuple[IntArray, IntArray]:
    """Return the starts and ends (W,) of a row's words in its document.

    Raises:
        DataError: If the row has text and words, and a word is not in the text.
    """
    try:
        return given_words(row, rule, f" of task '{task}'")
    except Mismatch as wrong:
        raise at_row(row, DataError(Problem("", wrong.expected, wrong.found))) from None


def given_words(row: Row, rule: WordRule, of: str = "") -> tuple[IntArray, IntArray]:
    """Return the words of a row that was just read, as :func:`words_of` does.

    Args:
        row: With words, or a text that `rule` splits, or both.
        rule: How the model splits texts.
        of: Whose words they are, for the message.

    Raises:
        ValueError: If the row has text and words, and a word is not in the text.
    """
    if "tokens" not in row:
        return rule.split(row["text"])
    if "text" not in row:
        sizes = np.asarray([len(word) for word in row["tokens"]], dtype=np.int32)
        blanks = np.asarray(blanks_after(row["tokens"]), dtype=np.int32)
        starts = np.cumsum(sizes + blanks, dtype=np.int32) - sizes - blanks
        return starts, starts + sizes
    found = find_words(row["text"], row["tokens"])
    if found is None:
        raise Mismatch(
            f"the tokens{of} to stand in the text in their order",
            "one does not; mend the row, or leave the column `text` unmapped",
        )
    return found
