"""The fuzzer of the server: what it objects to, and a small form of its run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from scripts.fuzz_server import JSON, broken, fuzz, right, summary, wrong
from tests.serving.runs import train_tiny


def test_what_is_wrong_with_an_answer() -> None:
    error = {"error": {"status": 422, "message": "Expected `texts` to be right."}}
    result = {"text": "a", "ner": {"entities": [{"label": "PER", "start": 0, "score": 0.5}]}}
    decided = [{"text": "a", "ner": {"entities": [{"label": "PER", "start": 0}]}}]
    answer = json.dumps({"results": [result]}).encode()
    assert wrong(422, json.dumps(error).encode()) is None
    assert wrong(200, answer, decided) is None
    assert wrong(503, b"") is not None
    assert wrong(404, json.dumps(error).encode()) is not None
    assert wrong(200, answer, [{"text": "b"}]) is not None
    assert summary([result]) == decided


def test_requests_follow_from_the_seed_and_are_of_every_kind() -> None:
    one, other = (random.Random(1) for _ in range(2))
    bodies = [broken(one) for _ in range(200)]
    assert bodies == [broken(other) for _ in range(200)]
    assert len({content for content, _ in bodies}) > 100
    assert any(headers != JSON for _, headers in bodies)
    assert right(one)["texts"]


@pytest.mark.slow
def test_a_few_hundred_requests(tmp_path: Path) -> None:
    found = fuzz(train_tiny(tmp_path), 240, seed=1)
    assert found.faults == []
    assert sum(found.statuses.values()) > 150
    assert found.statuses["right 200"] == 80
