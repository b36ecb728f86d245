"""``mtl watch`` on a run: alerts as JSON lines, a page, and errors before anything is loaded."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtl.inference.opening import load
from mtl.inference.texts import Predictor, TextResult
from mtl.tasks.results import Entities, Entity, Label
from tests.inference.conftest import Run, check_error

GOOD, BAD = "Norvik did well today.", "Norvik did badly, and <b>Castor</b> too."


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    rows = [json.dumps({"id": f"g{n}", "text": GOOD}) for n in range(30)]
    rows += ["", "{broken", *[BAD] * 14]
    path = tmp_path / "stream.txt"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that knows what this stream says."""
    whole = Predictor.predict_iter

    def predict(self: Predictor, *given: Any, **more: Any) -> Iterator[TextResult]:
        for result in whole(self, *given, **more):
            if result.error is None:
                bad = result.text == BAD
                names = [Entity("Norvik", "PER", 0, 6, 0.9)]
                label = "negative" if bad else "positive"
                answers = {
                    "ner": Entities(entities=tuple(names)),
                    "sentiment": Label(label=label, probabilities={label: 1.0}),
                }
                object.__setattr__(result, "answers", answers)
            yield result

    monkeypatch.setattr(Predictor, "predict_iter", predict)


@pytest.mark.usefixtures("_known")
def test_a_rise_is_an_alert_and_a_page(
    mtl: Run,
    trained: Path,
    stream: Path,
    tmp_path: Path,
) -> None:
    alerts, page = tmp_path / "alerts.jsonl", tmp_path / "watch.html"
    code, out, err = mtl("watch", trained, "--input", stream, "--output", alerts, "--page", page)
    assert (code, out) == (0, "")
    assert "45 texts, 1 name, 1 alert; 1 text without an answer" in err
    [alert] = [json.loads(line) for line in alerts.read_text("utf-8").splitlines()]
    assert alert["name"] == "Norvik"
    assert alert["before"] == 0
    assert set(alert["texts"]) == {BAD}
    html = page.read_text("utf-8")
    assert "Norvik" in html
    assert "<b>Castor</b>" not in html


@pytest.mark.usefixtures("_known")
def test_standard_input_is_read_as_it_comes(
    mtl: Run,
    trained: Path,
    stream: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(stream.read_text("utf-8")))
    code, out, _ = mtl("watch", trained)
    assert code == 0
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["Norvik"]


def test_the_model_says_who_is_spoken_of(trained: Path) -> None:
    from mtl.inference.watch.stream import choose, labels_of, mentions

    predictor = load(trained, "cpu")
    reading = choose(predictor, None, None, "negative", [])
    result = predictor.predict("Ines Talbot left Brackwater.")
    found = mentions(result, reading, labels_of(predictor, [result], reading), 1)
    assert [name for name, _ in found] == [entity.text for entity in result["ner"].entities]
    assert {seen.bad for _, seen in found} <= {result["sentiment"].label == "negative"}


@pytest.mark.parametrize(
    ("part", "bad"),
    [("text", {"Norvik": False, "Castor": False}), ("sentence", {"Norvik": False, "Castor": True})],
)
def test_each_name_has_the_mood_of_its_own_sentence(
    part: str, bad: dict[str, bool], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that knows names, and that a sentence with `fell` is negative and a text is not."""
    from mtl.inference.watch.stream import choose, labels_of, mentions

    text = "Norvik Inc. rose by a tenth. Shares of Castor fell."
    predictor = load(trained, "cpu")
    reading = choose(predictor, None, None, "negative", [], part)
    asked: list[str] = []

    def answer(one: str) -> TextResult:
        asked.append(one)
        label = "negative" if "fell" in one and one != text else "positive"
        spans = [(n, one.find(n), one.find(n) + len(n)) for n in ("Norvik", "Castor") if n in one]
        names = tuple(Entity(n, "ORG", start, end, 0.9) for n, start, end in spans)
        mood = Label(label=label, probabilities={label: 1.0})
        return TextResult(one, {"ner": Entities(entities=names), "sentiment": mood})

    monkeypatch.setattr(predictor, "predict_iter", lambda texts, *_, **__: map(answer, texts))
    result = answer(text)
    found = mentions(result, reading, labels_of(predictor, [result], reading), 1)
    assert {name: mention.bad for name, mention in found} == bad
    split = ["Norvik Inc. rose by a tenth.", "Shares of Castor fell."]
    assert asked == [text, *(split if part == "sentence" else [])]
    assert [mention.text for _, mention in found] == (split if part == "sentence" else [text] * 2)


def test_a_model_without_entities_says_its_tasks(trained: Path) -> None:
    from mtl.errors import ConfigError
    from mtl.inference.watch.stream import choose

    predictor = load(trained, "cpu")
    del predictor.tasks["ner"]
    with pytest.raises(ConfigError, match=r"no task that marks spans; its tasks are .*sentiment"):
        choose(predictor, None, None, "negative", [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "nowhere.txt"], "`--input`"),
        (["--page", "page.txt"], ".html"),
        (["--least", "30"], "--recent"),
        (["--judge", "clause"], "sentence"),
        (["--bad", "awful", "--input", "STREAM"], "negative"),
        (["--kinds", "CAR", "--input", "STREAM"], "PER"),
        (["--names", "sentiment", "--input", "STREAM"], "ner"),
    ],
)
def test_mistakes_are_one_sentence(
    mtl: Run,
    trained: Path,
    stream: Path,
    arguments: list[str],
    words: str,
) -> None:
    given = [str(stream) if text == "STREAM" else text for text in arguments]
    check_error(mtl("watch", trained, *given), words)
