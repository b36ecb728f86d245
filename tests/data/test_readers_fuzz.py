"""Any bytes into each reader: either rows, or the project's own error in one line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.fuzzing import TARGETS, read
from tests.properties import max_examples

FEW = max_examples(25)
POLICIES = st.sampled_from(["error", "skip"])
MARKS = [b"", b"\n", b"\r", b"\t", b'"', b",", b"\0", b"[", b"{", b"]", b"}", b":", b"\xff", b" "]
WORDS = [
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b'"text"',
    b'"\\ud800"',
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
]
PIECES = st.sampled_from([*MARKS, *WORDS])
EDITS = st.lists(
    st.tuples(st.integers(0, 1 << 12), st.integers(0, 40), PIECES | st.binary(max_size=6)),
    min_size=1,
    max_size=6,
)
TARGET = pytest.mark.parametrize("name", TARGETS)


def edited(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Return a file with some of its parts replaced."""
    for at, length, piece in edits:
        place = at % (len(content) + 1)
        content = content[:place] + piece + content[place + length :]
    return content


@TARGET
@FEW
@given(content=st.binary(max_size=200), policy=POLICIES, guess=st.booleans())
def test_any_bytes(name: str, content: bytes, policy: str, guess: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read(TARGETS[name], content, Path(folder), policy, guess)


@TARGET
@FEW
@given(edits=EDITS, policy=POLICIES)
def test_a_good_file_with_parts_replaced(
    name: str, edits: list[tuple[int, int, bytes]], policy: str
) -> None:
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        read(target, edited(target.seed, edits), Path(folder), policy)


@TARGET
def test_the_good_file_itself(name: str, tmp_path: Path) -> None:
    from mtl.data.readers import read_split

    target = TARGETS[name]
    file = tmp_path / "good"
    file.write_bytes(target.seed)
    file.with_suffix(".txt").write_bytes(target.beside)
    rows = read_split(
        file, columns=target.columns, roles=target.roles, format=target.format, header=target.header
    )
    assert len(rows) >= 1
