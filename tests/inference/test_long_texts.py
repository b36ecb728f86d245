"""A long text has the answers of the same text read at once, however it is cut into passages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.config.schema import TrunkConfig
from mtl.data.word_learning import learn_words
from mtl.inference.predictor import RowPredictor
from mtl.training.model_io import load_model, save_model
from mtl.trunk.load import load_trunk
from tests import helpers
from tests.export.models import KINDS, save_untrained

ENGLISH = " ".join(helpers.CORPUS)
TEXTS = {
    "sentences": ENGLISH,
    "lines": "\n\n  ".join(helpers.CORPUS),
    "without spaces": "".join(f"东京は広い。{n}ดีครับ用iPhone拍{n * n}年" for n in range(7)),
    "one word": "".join(filter(str.isalpha, ENGLISH)),
    "a long word": f"Ines {'x1-' * 80} left Brackwater, {'.' * 130} didn't she?",
    "blanks": f"Tea{' ' * 150}and bread.{chr(10) * 100}Rain{' ' * 40}",
    "signs": " ".join(f"🙂 a—b 🙂🙂 «é» won't @ines_t {n},204" for n in range(8)),
}
LABELS = {"scheme": "iob2", "labels": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}
WORDS = learn_words([(["@ines_t", "did", "n't", "5", "kg", ",", "well-known", "东京", "."], None)])


def specs(layout: str, writes: bool) -> dict[str, Any]:
    """Return by name a task's type, options, head, and what it learned."""
    taught = {**LABELS, "words": WORDS.model_dump()}
    asked = {"impossible": True, "threshold": 0.1, "layout": layout, "positions": 64}
    found: dict[str, Any] = {
        "ner": ("token_classification", {}, {}, LABELS),
        "taught": ("token_classification", {}, {"decoding": "plain"}, taught),
        "nested": ("span_classification", {"max_width": 4}, {}, {"labels": ["A", "B"]}),
        "sentiment": ("text_classification", {}, {}, {"labels": ["bad", "fair", "good"]}),
        "topics": ("text_classification", {"problem": "multi"}, {}, {"labels": ["a", "b"]}),
        "mean": (
            "text_classification",
            {"problem": "regression"},
            {"pooling": "mean"},
            {"mean": 2.0, "spread": 3.0},
        ),
        "pair": (
            "text_classification",
            {"layout": layout},
            {},
            {"labels": ["n", "y"], "pair": True},
        ),
        "choice": ("multiple_choice", {"layout": layout}, {}, {}),
        "qa": ("span_extraction", {"layout": layout}, {}, asked),
    }
    if writes:
        sizes = {"max_target_tokens": 6, "max_new_tokens": 6}
        found["gist"] = ("generation", {"prompt": "\nGist:", **sizes}, {"tied": False}, {})
    return found


@pytest.fixture(scope="module", params=["llama-branch", "bert-joint"])
def predictor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> RowPredictor:
    """A model with random weights."""
    torch.manual_seed(0)
    kind, layout = request.param.split("-")
    base = tmp_path_factory.mktemp(request.param)
    config, tokenizer = KINDS[kind]
    path = helpers.save_tiny(base / "trunk", config(), helpers.TOKENIZERS[tokenizer]())
    trunk = load_trunk(TrunkConfig(name="hf", path=str(path)), writes=kind != "bert")
    space = tokenizer == "bpe"
    save_untrained(base / "model", trunk, specs(layout, kind != "bert"), 32, prefix_space=space)
    return RowPredictor(load_model(base / "model"), "cpu")


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch, predictor: RowPredictor) -> Iterator[None]:
    """Passages of some words, pieces and stretches of fewer."""
    monkeypatch.setattr("mtl.trunk.passages.SIZE", 90)
    monkeypatch.setattr("mtl.trunk.passages.KEPT", 2)
    monkeypatch.setattr("mtl.trunk.pieces.SIZE", 40)
    monkeypatch.setattr("mtl.trunk.pieces.AROUND", 12)
    monkeypatch.setattr("mtl.data.word_rule.STRETCH", 7)
    monkeypatch.setattr("mtl.data.word_rule.LENGTH", 50)
    predictor.max_characters = 200
    yield
    predictor.max_characters = 10_000_000


def alike(one: Any, other: Any) -> bool:
    """Whether two answers are equal but for the last digit of rounded numbers."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, abs=1.5e-4)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def rows(text: str) -> list[dict[str, Any]]:
    beside = {"second": "Rain fell.", "choices": ["rain", "no", "the long river"]}
    asked = ["Who left?", "When was that, and why?"]
    return [{"text": text, "question": question, **beside} for question in asked]


@pytest.mark.parametrize("name", TEXTS)
def test_answers_are_those_of_the_text_read_at_once(
    predictor: RowPredictor, name: str, request: pytest.FixtureRequest
) -> None:
    given = [{"text": "Ines left.", "question": "Who?"}, *rows(TEXTS[name])]
    wanted = list(predictor.predict(given, mark=True))
    request.getfixturevalue("cut")
    assert len(wanted[1]["ner"]["entities"]) + len(wanted[1]["nested"]["entities"]) > 0
    done: list[float] = []
    found = list(predictor.predict(given, mark=True, advance=done.append))
    for one, other in zip(found, wanted, strict=True):
        assert list(one) == list(other)
        for task in other:
            assert alike(one[task], other[task]), (task, one[task], other[task])
    assert sum(done) == pytest.approx(len(given))
    assert len(done) >= len(TEXTS[name]) // 90


def test_words_that_are_given_are_kept(
    predictor: RowPredictor, request: pytest.FixtureRequest
) -> None:
    words = ENGLISH.replace("-", " - ").split()
    given: list[dict[str, Any]] = [{"text": ENGLISH, "tokens": words}, {"tokens": words}]
    names = ["ner", "nested", "sentiment"]
    wanted = list(predictor.predict(given, names))
    request.getfixturevalue("cut")
    assert all(map(alike, predictor.predict(given, names), wanted))


@pytest.mark.usefixtures("cut")
def test_a_row_that_cannot_be_read_says_why(predictor: RowPredictor) -> None:
    long = {"text": ENGLISH, "question": "why " * 60, "second": "no"}
    first, last = predictor.predict([long, {**long, "question": "Why?"}], ["qa", "ner"], mark=True)
    assert "row:1: Expected a question that leaves" in first["qa"]["error"]
    assert first["ner"] == last["ner"]
    assert last["qa"].keys() >= {"answer", "n_best"}


def test_probabilities_are_equal_to_six_digits(
    predictor: RowPredictor, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they are rounded."""
    found: list[torch.Tensor] = []

    def present(output: Any, row: Any) -> dict[str, Any]:
        found.append(torch.tensor(output))
        return {}

    monkeypatch.setattr(predictor.tasks["sentiment"], "present", present)
    next(predictor.predict([{"text": ENGLISH}], ["sentiment"]))
    request.getfixturevalue("cut")
    next(predictor.predict([{"text": ENGLISH}], ["sentiment"]))
    at_once, in_passages = found
    assert torch.allclose(at_once, in_passages, atol=1e-6, rtol=0)


MEASURED = """
import json, resource, sys

from mtl.inference.predictor import RowPredictor
from mtl.trunk import passages

passages.SIZE = 10_000
folder, characters = sys.argv[1], int(sys.argv[2])
text = "Tea, bread, and a letter from Okonkwo & Sons were waiting. " * (characters // 59)
(answer,) = RowPredictor(folder, "cpu").predict([{"text": text}], ["sentiment", "ner"])
assert "label" in answer["sentiment"]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, len(answer["ner"]["entities"]))
"""


@pytest.mark.slow
def test_memory_does_not_follow_the_length_of_a_text(
    predictor: RowPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read at once, half a million characters take 45 MB more; here it is the text's copies alone.

    The head finds no entity, so that the answers are short ones.
    """
    if "gist" not in predictor.tasks:
        pytest.skip("a decoder will do")
    bias = predictor.model.head("ner").get_parameter("linear.bias")
    monkeypatch.setattr(bias, "data", bias.data + torch.eye(len(bias))[0] * 100)
    names: dict[str, dict[str, Any]] = {name: {} for name in predictor.tasks}
    encoder = predictor.loaded.model.trunk.text_encoder(256, 64, prefix_space=True)
    save_model(tmp_path / "model", predictor.model, encoder, names)
    peaks = []
    for characters in (50_000, 550_000):
        command = [sys.executable, "-c", MEASURED, str(tmp_path / "model"), str(characters)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peak, entities = map(int, done.stdout.split())
        assert entities == 0
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 25
