"""The endpoints: answers equal to the Python API's, and what is refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import mtl
from mtl.inference.predictor import RowPredictor
from mtl.inference.texts import Predictor
from mtl.serving.app import Serving, create_app
from mtl.serving.settings import Limits
from tests.serving.conftest import client_of, read_events, running
from tests.serving.runs import QUESTIONS, TEXTS

PREDICT = "/v1/predict"
ASKED: dict[str, Any] = {"texts": TEXTS, "questions": QUESTIONS}


def ask(client: TestClient, **body: Any) -> Any:
    return client.post(PREDICT, json=body)


def refusal(response: Any, status: int) -> str:
    """Return the one sentence that a request is refused with."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(response.json()) == {"error"}
    assert set(error) == {"status", "message"}
    assert error["status"] == status
    return str(error["message"])


def test_answers_are_those_of_python(client: TestClient, model: RowPredictor) -> None:
    found = ask(client, **ASKED)
    assert found.status_code == 200, found.text
    expected = [one.to_dict() for one in Predictor(model).predict(TEXTS, questions=QUESTIONS)]
    assert found.json() == {"model": "run", "results": expected}
    alone = ask(client, texts=TEXTS[0], tasks=["sentiment"]).json()
    (one,) = alone["results"]
    assert one == Predictor(model).predict(TEXTS[0], ["sentiment"]).to_dict()


def test_a_stream_ends_with_the_whole_answer(client: TestClient) -> None:
    whole = ask(client, **ASKED).json()
    found = ask(client, **ASKED, stream=True)
    assert found.headers["content-type"].startswith("text/event-stream")
    events = read_events(found.text)
    kinds = [kind for kind, _ in events]
    assert kinds[-1] == "done"
    assert kinds.count("done") == 1
    assert events[-1][1] == whole
    answers = [what for kind, what in events if kind == "answer"]
    assert len(answers) == 2 * (3 + 2)
    for what in answers:
        own = whole["results"][what["text"]][what["task"]]
        assert what["answer"] == (own[what["number"]] if isinstance(own, list) else own)


def test_texts_come_piece_by_piece_after_the_labels(client: TestClient) -> None:
    events = read_events(ask(client, texts=TEXTS[0], questions=["Who?"], stream=True).text)
    pieces = [what["piece"] for kind, what in events if kind == "piece"]
    assert len(pieces) > 1
    whole = events[-1][1]["results"][0]["summary"]["text"]
    assert whole.startswith("".join(pieces))
    first = next(n for n, (kind, _) in enumerate(events) if kind == "piece")
    before = {what["task"] for kind, what in events[:first] if kind == "answer"}
    assert before == {"ner", "sentiment", "qa"}


def test_the_document_is_read_once_for_labels_and_the_summary(
    client: TestClient, model: RowPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtl.trunk.recall import Recall

    taken: list[int] = []
    take = Recall.take

    def counted(self: Recall, task: str, examples: Any) -> Any:
        taken.extend(examples)
        return take(self, task, examples)

    monkeypatch.setattr(Recall, "take", counted)
    ask(client, texts=TEXTS[0], questions=["Who?"], stream=True)
    assert taken == [0], "the summary goes on from what the pass for the heads has read"


def test_many_clients_at_once_each_get_their_own(client: TestClient, model: RowPredictor) -> None:
    texts = [f"{'Tea and bread. ' * n}Ines Talbot left {n}." for n in range(12)]
    labels = [ask(client, texts=text, tasks=["ner", "sentiment"]).json() for text in texts]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda t: ask(client, texts=t, tasks=["ner", "sentiment"]), texts))
    for text, one, alone in zip(texts, found, labels, strict=True):
        (result,), (expected,) = one.json()["results"], alone["results"]
        assert result["text"] == text
        assert result["sentiment"]["label"] == expected["sentiment"]["label"]
        spans = [[(e["start"], e["end"]) for e in r["ner"]["entities"]] for r in (result, expected)]
        assert spans[0] == spans[1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Expected `texts`, but it is missing."),
        ({"text": "a"}, "Expected `texts`, but got `text`. Did you mean 'texts'?"),
        ({"texts": []}, "a list of texts, at least one, but got an empty list."),
        ({"texts": ["a", 3]}, "at least one, but got a number as number 2 of the list."),
        ({"texts": None}, "`texts` to be a text or a list of texts, at least one, but got null."),
        ({"texts": "a", "stream": "maybe"}, "`stream` to be true or false, but got a text."),
        ({"texts": "a", "questions": "b"}, "`questions` to be a list of texts, but got a text."),
        ({"texts": " "}, "texts:1: Expected a text"),
        ({"texts": ["a", ""]}, "texts:2: Expected a text"),
        (
            {"texts": "a", "tasks": []},
            "`tasks` to be a list of names of tasks, at least one, but got an empty",
        ),
        ({"texts": "a", "tasks": ["nerr"]}, "Did you mean 'ner'?"),
        ({"texts": "a", "tasks": ["ner"], "questions": ["b"]}, "`questions` to be for a task"),
        ({"texts": "a", "tasks": ["qa"]}, "`questions` beside `texts`"),
        ({"texts": "a", "questions": [" "]}, "one of them is empty"),
        ({"texts": "a", "seconds": ["b"]}, "`seconds` to be for"),
        ({"texts": "a", "choices": ["b", "c"]}, "`choices` to be for"),
        ({"texts": "a", "instruction": "b"}, "`instruction` to be for"),
        ({"texts": "a", "more": 1}, "'more'"),
        ({"texts": "a\ud800"}, "half a character"),
        ({"texts": "a", "questions": ["\udfff"]}, "half a character"),
        ({"texts": "a", "tasks": ["\ud800"]}, "one of {"),
        ({"texts": ["a"] * 65}, "at most 64"),
        ({"texts": "a", "questions": ["b"] * 64}, "at most 64, each with what is asked beside it"),
        ({"texts": "a" * 50_001}, "at most 50,000 characters each, but one has 50,001"),
    ],
)
def test_what_cannot_be_answered(client: TestClient, body: dict[str, Any], words: str) -> None:
    sent = client.post(
        PREDICT, content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert words in refusal(sent, 422)


def test_other_refusals(client: TestClient) -> None:
    assert "`model` to be one of" in refusal(ask(client, texts="a", model="rum"), 404)
    assert "no such address: GET /v2" in refusal(client.get("/v2"), 404)
    found = refusal(client.post("/predict", json={}), 404)
    assert found.endswith("POST /predict. Did you mean '/v1/predict'?")
    assert "--corrections FOLDER" in refusal(client.post("/v1/corrections", json={}), 404)
    expected = "Expected `/v1/predict` to be asked with POST, but got GET."
    assert refusal(client.get(PREDICT), 405) == expected
    kind = {"content-type": "text/plain"}
    assert "application/json" in refusal(client.post(PREDICT, content="{}", headers=kind), 415)
    kind = {"content-type": "application/json"}
    for text in ("{", "[" * 100_000, "\x00", '{"texts": 1e999}'):
        refusal(client.post(PREDICT, content=text, headers=kind), 422)
    for text, words in (
        ('{"texts": ["a"], ', "JSON, but it ends too early, at character 17."),
        ("{a: 1}", "JSON, but found a mistake at character 1: expecting property name"),
        ("[1]", "to be a JSON object, but got a number as number 1 of the list."),
        ("", "to be a JSON object, but it is missing."),
    ):
        assert words in refusal(client.post(PREDICT, content=text, headers=kind), 422)


def test_large_bodies_are_not_read(model: RowPredictor) -> None:
    with client_of(model, Limits(body=100)) as client:
        assert "at most 100 bytes" in refusal(ask(client, texts="a" * 200), 413)
        kind = {"content-type": "application/json"}
        parts = (b"a" * 60 for _ in range(3))  # Sent in chunks, without a length.
        assert "at most 100 bytes" in refusal(
            client.post(PREDICT, content=parts, headers=kind), 413
        )


def test_who_sends_too_much_reads_the_answer(model: RowPredictor) -> None:
    with running(model) as address:
        large = b" " * 3_000_000
        for body in (large, (large[at : at + 50_000] for at in range(0, len(large), 50_000))):
            kind = {"content-type": "application/json"}
            found = httpx.post(address + PREDICT, content=body, headers=kind, timeout=60)
            refusal(found, 413)
        assert httpx.get(f"{address}/ready").status_code == 200


def test_a_key_is_asked_for(model: RowPredictor) -> None:
    with client_of(model, key="0123456789abcdef") as client:
        assert "got none" in refusal(ask(client, texts="a"), 401)
        assert "got none" in refusal(client.get("/v1/models"), 401)
        client.headers["authorization"] = "Bearer 0123456789abcdeg"
        assert "got another" in refusal(ask(client, texts="a"), 401)
        client.headers["authorization"] = "Bearer 0123456789abcdef"
        assert ask(client, texts="a", tasks=["ner"]).status_code == 200
        assert client.get("/health").json() == {"status": "ok"}


def test_a_closing_server_finishes_and_takes_nothing(model: RowPredictor) -> None:
    with client_of(model) as client:
        assert client.get("/ready").json() == {"status": "ready"}
        client.serving.close()  # type: ignore[attr-defined]
        assert "closing" in refusal(client.get("/ready"), 503)
        refused = ask(client, texts="a")
        assert "closing" in refusal(refused, 503)
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200


def test_models_say_what_they_read_and_write(client: TestClient) -> None:
    (found,) = client.get("/v1/models").json()["models"]
    tasks = {task.pop("name"): task for task in found["tasks"]}
    assert tasks["ner"]["labels"] == ["LOC", "PER"]
    assert tasks["qa"] == {
        "type": "span_extraction",
        "reads": ["question"],
        "labels": [],
        "writes": False,
    }
    assert tasks["summary"]["writes"]


def test_metrics_count(client: TestClient) -> None:
    ask(client, texts=TEXTS, tasks=["ner"])
    ask(client, texts="")
    lines = client.get("/metrics").text.splitlines()
    assert 'mtl_requests_total{path="/v1/predict",status="200"} 1.0' in lines
    assert 'mtl_requests_total{path="/v1/predict",status="422"} 1.0' in lines
    assert "mtl_batch_texts_sum 2.0" in lines
    (tokens,) = (line for line in lines if line.startswith('mtl_tokens_total{model="run"}'))
    assert float(tokens.split()[-1]) > 0


def test_answers_fit_the_page_that_describes_them(client: TestClient) -> None:
    """The answer of every task, checked by another library against the OpenAPI page."""
    jsonschema = pytest.importorskip("jsonschema")
    page = client.get("/openapi.json").json()
    schema = page["paths"][PREDICT]["post"]["responses"]["200"]["content"]["application/json"]
    whole = {**schema["schema"], "components": page["components"]}
    found = ask(client, **ASKED).json()
    jsonschema.validate(found, whole)
    del found["results"][0]["ner"]["entities"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, whole)
    content = page["paths"][PREDICT]["post"]["responses"]["200"]["content"]
    item = content["text/event-stream"]["itemSchema"]
    for kind, what in read_events(ask(client, **ASKED, stream=True).text):
        jsonschema.validate({"event": kind, "data": json.dumps(what)}, item)
    stated = {int(s) for s in page["paths"][PREDICT]["post"]["responses"]}
    assert stated == {200, 401, 404, 413, 415, 422, 429, 500, 503}


def test_several_models_by_name(model: RowPredictor) -> None:
    serving = Serving({"news": model, "support": model})
    page = create_app(serving).openapi()
    assert {"Answer", "Answer1"} <= set(page["components"]["schemas"])


def test_python_and_the_command_agree_on_the_folder(served: Path, client: TestClient) -> None:
    expected = mtl.load(served, "cpu").predict(TEXTS[1], ["ner"]).to_dict()
    assert ask(client, texts=TEXTS[1], tasks=["ner"]).json()["results"] == [expected]
