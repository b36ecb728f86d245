"""Requests that wait together are answered together, in their order, within limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mtl.serving.batcher import Batcher, Job, Speed
from mtl.serving.errors import Refused
from mtl.serving.meters import Meters
from mtl.serving.settings import Limits, Settings


class Slow:
    """A model that answers when it is let; a text's length is its tokens."""

    tokens = 100

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let = threading.Event()
        self.batches: list[list[str]] = []

    def tokens_of(self, rows: list[dict[str, Any]]) -> int:
        if any(row["text"] == "uncounted" for row in rows):
            raise ValueError("uncounted")
        return sum(len(row["text"]) for row in rows)

    def answer(self, rows: list[dict[str, Any]], watch: Any) -> list[dict[str, Any]]:
        self.batches.append([row["text"] for row in rows])
        self.begun.set()
        assert self.let.wait(10)
        if any(row["text"] == "bad" for row in rows):
            raise ValueError("bad")
        for number, row in enumerate(rows):
            watch.answer(number, "echo", {"text": row["text"]})
        return [{"echo": {"text": row["text"]}} for row in rows]


class Client:
    """Keeps what it is told."""

    def __init__(self, *texts: str, model: str = "one", stream: bool = False) -> None:
        self.ended = threading.Event()
        self.found: Any = None
        self.parts: list[tuple[int, str]] = []
        rows: list[dict[str, Any]] = [{"text": text} for text in texts]
        part: Callable[..., None] | None = None
        if stream:

            def part(row: int, task: str, answer: Any) -> None:
                self.parts.append((row, answer["text"]))

        self.job = Job(model, rows, self._end, self._end, part)

    def _end(self, found: Any) -> None:
        self.found = found
        self.ended.set()

    @property
    def texts(self) -> list[str]:
        assert self.ended.wait(10)
        return [answer["echo"]["text"] for answer in self.found]


@contextmanager
def running(limits: Limits | None = None, names: tuple[str, ...] = ("one",)) -> Iterator[Any]:
    models: dict[str, Any] = {name: Slow() for name in names}
    batcher = Batcher(models, Settings(limits or Limits()), Meters())
    batcher.start()
    try:
        yield batcher, models
    finally:
        for model in models.values():
            model.let.set()
        batcher.close()
        batcher.join(10)


def behind(batcher: Batcher, model: Slow, *clients: Client) -> None:
    """Let clients wait behind one that is being answered."""
    first = Client("first")
    batcher.submit(first.job)
    assert model.begun.wait(10)
    for client in clients:
        batcher.submit(client.job)
    model.let.set()
    assert first.texts == ["first"]


def test_those_that_wait_are_answered_together_up_to_a_number_of_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Batcher, "room", lambda self, model: 10)
    clients = [Client("a" * 4), Client("b" * 3, "c" * 3), Client("d"), Client("e" * 99)]
    with running() as (batcher, models):
        behind(batcher, models["one"], *clients)
        assert [client.texts for client in clients] == [
            ["aaaa"],
            ["bbb", "ccc"],
            ["d"],
            ["e" * 99],
        ]
        assert models["one"].batches[1:] == [["aaaa", "bbb", "ccc"], ["d"], ["e" * 99]]


def test_a_batch_s_tokens_follow_from_the_speed() -> None:
    with running() as (batcher, _):
        assert batcher.room("one") == Slow.tokens, "one pass, as long as nothing is known"
        batcher.speeds["one"] = Speed()
        batcher.speeds["one"].learn(tokens=2000, texts=10, seconds=1.0)
        assert batcher.room("one") == 1000, "half a second at 2,000 tokens a second"
        batcher.speeds["one"].learn(tokens=1000, texts=10, seconds=1.0)
        assert batcher.room("one") == 900


def test_a_failure_harms_nobody_else() -> None:
    clients = [Client("a"), Client("bad"), Client("b")]
    with running() as (batcher, models):
        behind(batcher, models["one"], *clients)
        assert clients[0].texts == ["a"]
        assert clients[2].texts == ["b"]
        assert clients[1].ended.wait(10)
        assert clients[1].found.status_code == 500


def test_what_cannot_be_counted_stops_nobody() -> None:
    clients = [Client("uncounted"), Client("a")]
    with running() as (batcher, models):
        behind(batcher, models["one"], *clients)
        assert [client.texts for client in clients] == [["uncounted"], ["a"]]


def test_each_client_is_told_of_its_own_rows() -> None:
    clients = [Client("a", "b", stream=True), Client("c"), Client("d", stream=True)]
    with running() as (batcher, models):
        behind(batcher, models["one"], *clients)
        assert [client.texts for client in clients] == [["a", "b"], ["c"], ["d"]]
        assert clients[0].parts == [(0, "a"), (1, "b")]
        assert clients[1].parts == []
        assert clients[2].parts == [(0, "d")]


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    with running(Limits(queue=3)) as (batcher, models):
        model, first = models["one"], Client("first")
        batcher.submit(first.job)
        assert model.begun.wait(10)
        batcher.submit(Client("a", "b").job)
        with pytest.raises(Refused) as refused:
            batcher.submit(Client("c", "d").job)
        assert refused.value.status_code == 429
        assert int((refused.value.headers or {})["Retry-After"]) >= 1
        batcher.submit(Client("c").job)


def test_what_nobody_waits_for_is_not_answered() -> None:
    gone, waiting = Client("gone"), Client("here")
    gone.job.dropped = True
    with running() as (batcher, models):
        behind(batcher, models["one"], gone, waiting)
        assert waiting.texts == ["here"]
        assert ["gone"] not in models["one"].batches
        assert batcher._texts == 0


def test_models_take_turns_by_age() -> None:
    clients = [Client("a"), Client("x", model="two"), Client("b")]
    with running(names=("one", "two")) as (batcher, models):
        models["two"].let.set()
        behind(batcher, models["one"], *clients)
        assert [client.texts for client in clients] == [["a"], ["x"], ["b"]]
        assert models["one"].batches == [["first"], ["a", "b"]]
        assert models["two"].batches == [["x"]]


def test_a_busy_model_does_not_keep_another_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a batch has no room for the next request of its model, that one is no older for it."""
    monkeypatch.setattr(Batcher, "room", lambda self, model: 10)
    seen: list[str] = []
    clients = [Client("a" * 9), Client("b" * 9), Client("x", model="two"), Client("c" * 9)]
    with running(names=("one", "two")) as (batcher, models):
        models["two"].let.set()
        for name, model in models.items():
            answer = model.answer

            def noted(
                rows: Any, watch: Any, name: str = name, answer: Callable[..., Any] = answer
            ) -> Any:
                seen.append(name)
                return answer(rows, watch)

            model.answer = noted
        behind(batcher, models["one"], *clients)
        assert [len(client.texts) for client in clients] == [1, 1, 1, 1]
    assert seen == ["one", "one", "one", "two", "one"]


def test_closing_answers_what_was_taken() -> None:
    clients = [Client("a"), Client("b")]
    with running() as (batcher, models):
        first = Client("first")
        batcher.submit(first.job)
        assert models["one"].begun.wait(10)
        for client in clients:
            batcher.submit(client.job)
        batcher.close()
        with pytest.raises(Refused) as refused:
            batcher.submit(Client("c").job)
        assert refused.value.status_code == 503
        models["one"].let.set()
        assert [client.texts for client in clients] == [["a"], ["b"]]
