"""A peer in another process: it keeps its state between requests, and its end is noticed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.benchmarks.peers.remote import Remote

SCRIPT = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
total = 0
for line in sys.stdin:
    request = json.loads(line)
    print("what a library says")
    if "end" in request:
        sys.exit(request["end"])
    total += request["add"]
    answer = {"total": total, "path": os.environ.get("PYTHONPATH")}
    print(json.dumps(answer), file=answers, flush=True)
"""


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    script = tmp_path / "adds.py"
    script.write_text(SCRIPT, encoding="utf-8")
    made = Remote(sys.executable, script, {"add": 1})
    yield made
    made.close()


def test_requests_are_answered_by_one_process(remote: Remote) -> None:
    assert remote.ready == {"total": 1, "path": None}
    assert [remote.ask({"add": 2})["total"] for _ in range(3)] == [3, 5, 7]
    remote.close()
    assert remote.process.returncode == 0
    remote.close()


def test_an_end_is_an_error(remote: Remote) -> None:
    with pytest.raises(RuntimeError, match=r"adds\.py ended with exit code 3"):
        remote.ask({"end": 3})
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        remote.ask({"add": 1})
