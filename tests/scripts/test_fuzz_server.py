"""The fuzzer of the server: what it objects to, and a small form of its run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from scripts.fuzz_server import JSON, broken, fuzz, right, summary, wrong, wrong_stream
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


def test_what_is_wrong_with_a_stream() -> None:
    answer = {"label": "good", "probabilities": {"good": 0.5}}
    place = {"text": 0, "number": 0}
    result = {"text": "a", "mood": answer, "gist": {"text": "Ines left. \ufffd"}}
    expected = summary([result])
    told = ("answer", {**place, "task": "mood", "answer": answer})
    pieces = [("piece", {**place, "task": "gist", "piece": p}) for p in ("Ines", " left.")]
    done = ("done", {"results": [result]})
    assert wrong_stream([told, *pieces, done], expected, whole=True) is None
    assert wrong_stream([told, pieces[0]], expected, whole=False) is None
    assert wrong_stream([told, *pieces], expected, whole=True) is not None
    assert wrong_stream([told, pieces[0], done], expected, whole=False) is not None
    assert wrong_stream([*pieces, done], [{"text": "b"}], whole=True) is not None
    assert wrong_stream([("422", {})], expected, whole=True) is not None
    other = ("answer", {**place, "task": "mood", "answer": {"label": "bad"}})
    assert wrong_stream([other, done], expected, whole=True) is not None


@pytest.mark.slow
def test_a_few_hundred_requests(tmp_path: Path) -> None:
    found = fuzz(train_tiny(tmp_path), 240, seed=1)
    assert found.faults == []
    assert sum(found.statuses.values()) > 150
    counts = [found.statuses[kind] for kind in ("right 200", "stream", "stream, left")]
    assert counts == [60, 10, 10]
