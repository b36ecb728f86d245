from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl.errors import ConfigError, DataError
from mtl.inference.predictor import RowPredictor
from mtl.inference.rows import prepare
from mtl.layout import Unit, build_rows
from mtl.training.description import describe
from mtl.training.model_io import load_model
from mtl.types import Examples
from tests.inference.conftest import SENTENCES, rows

TEXTS = [
    "We loved Skerrow and its harbour!",
    "Nobody asked.",
    "Ines Talbot left Brackwater before the rain; the Lantern had closed, and so had Okonkwo.",
    "x",
    "  Tea\tand\n\nbread, 1,204 of them — for 🙂 Zoë O'Neill’s café in 日本.  ",
]
LONG = " ".join(text for text, *_ in SENTENCES * 4)


@pytest.fixture(scope="module")
def predictor(trained: Path) -> RowPredictor:
    """The run's model, its NER head random, so that there are many entities."""
    loaded = load_model(trained)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in loaded.model.heads["ner"].parameters():
            parameter.normal_(generator=random)
    return RowPredictor(loaded, "cpu")


def given(texts: list[str]) -> list[dict[str, Any]]:
    return [{"text": text} for text in texts]


def entities(answer: dict[str, Any]) -> set[tuple[int, int, str]]:
    return {(e["start"], e["end"], e["label"]) for e in answer["ner"]["entities"]}


def assert_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal but for the last digit of rounded numbers."""
    assert one.keys() == other.keys()
    if "ner" in one:
        assert entities(one) == entities(other)
        scores = [[e["score"] for e in a["ner"]["entities"]] for a in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=2e-4)
    if "sentiment" in one:
        a, b = one["sentiment"], other["sentiment"]
        assert a["label"] == b["label"]
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=2e-4)
    if "rating" in one:
        assert one["rating"]["value"] == pytest.approx(other["rating"]["value"], abs=1e-4)


def logits_of(model: RowPredictor, tokens: int | None, texts: list[str]) -> dict[Any, torch.Tensor]:
    """Return every logit, unrounded, by task and text, of texts that are answered together."""
    asked = RowPredictor(model.loaded, "cpu", tokens)
    rows: list[Any] = [prepare({"text": text}, n) for n, text in enumerate(texts, start=1)]
    stores = [asked.encode(task, list(rows), None)[1] for task in asked.tasks.values()]

    def keep(name: str, logits: torch.Tensor, examples: Examples) -> list[torch.Tensor]:
        del name
        return [part.clone() for part in logits.split(examples.sizes)]

    return {
        (answered.task, texts[number]): output
        for answered in asked.outputs(stores, asked.tokens, keep)
        for number, output in zip(answered.numbers, answered.outputs, strict=True)
    }


@pytest.mark.parametrize(("tokens", "apart"), [(None, 1e-5), (1, 0.0)])
def test_logits_do_not_depend_on_what_else_is_answered(
    predictor: RowPredictor, tokens: int | None, apart: float
) -> None:
    """Rounding of float32 alone differs, because a product of more rows is added up otherwise."""
    texts = [*TEXTS, LONG]
    together = logits_of(predictor, tokens, texts)
    assert len(together) == len(texts) * len(predictor.tasks)
    for text in texts:
        for key, alone in logits_of(predictor, tokens, [text]).items():
            far = (together[key] - alone).abs().max() / alone.abs().max()
            assert float(far) <= apart


def test_all_heads_in_one_pass_equal_each_head_alone(predictor: RowPredictor) -> None:
    together = list(predictor.predict(given([*TEXTS, LONG])))
    assert list(together[0]) == ["ner", "sentiment", "rating"]
    for name in together[0]:
        alone = list(predictor.predict(given([*TEXTS, LONG]), [name]))
        for whole, part in zip(together, alone, strict=True):
            assert_alike({name: whole[name]}, part)


def test_the_trunk_runs_as_often_for_three_heads_as_for_one(
    predictor: RowPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    forward = predictor.model.trunk.forward

    def counted(batch: Any) -> torch.Tensor:
        calls.append(batch.tokens)
        return forward(batch)

    monkeypatch.setattr(predictor.model.trunk, "forward", counted)
    list(predictor.predict(given(TEXTS), ["sentiment"]))
    one_head, calls[:] = calls[:], []
    list(predictor.predict(given(TEXTS)))
    assert calls == one_head
    assert len(calls) == 1


def test_unequal_texts_in_one_batch_equal_one_at_a_time(trained: Path) -> None:
    loaded = load_model(trained)
    texts = [*TEXTS, LONG, *TEXTS]
    alone = [next(RowPredictor(loaded, "cpu").predict(given([text]))) for text in texts]
    for options in ({}, {"tokens": 40}, {"pack": False}):
        batched = RowPredictor(loaded, "cpu", **options).predict(given(texts))
        for one, other in zip(batched, alone, strict=True):
            assert_alike(one, other)


def test_passes_on_a_cpu_are_small(
    predictor: RowPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = list(predictor.predict(given(TEXTS)))
    calls: list[int] = []
    forward = predictor.model.trunk.forward

    def counted(batch: Any) -> torch.Tensor:
        calls.append(batch.tokens)
        return forward(batch)

    monkeypatch.setattr(predictor.model.trunk, "forward", counted)
    monkeypatch.setattr("mtl.inference.predictor.IN_CACHE", 1)
    for one, other in zip(predictor.predict(given(TEXTS)), wanted, strict=True):
        assert_alike(one, other)
    assert len(calls) >= len(set(TEXTS)) > 1, "a pass for each text, or each of its windows"


def test_spans_index_the_text(predictor: RowPredictor) -> None:
    texts = [*TEXTS, LONG, *(text for text, *_ in SENTENCES)]
    found = list(predictor.predict(given(texts), ["ner"]))
    assert sum(len(answer["ner"]["entities"]) for answer in found) > 5
    for text, answer in zip(texts, found, strict=True):
        for entity in answer["ner"]["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["text"] != ""
            assert 0 < entity["score"] <= 1


def test_a_long_text_has_the_mean_of_its_windows_as_states(predictor: RowPredictor) -> None:
    loaded = predictor.loaded
    (tokens,) = loaded.encoder.tokenize([LONG])
    windows = loaded.encoder.windows(len(tokens))
    assert len(windows) >= 3
    last = []
    for window in windows:
        unit = Unit(loaded.encoder.document(tokens, window))
        with torch.no_grad():
            last.append(loaded.model.trunk(build_rows([[unit]], 0, bidirectional=False).batch)[-1])
    weights = loaded.model.heads["sentiment"].state_dict()
    logits = weights["linear.weight"] @ torch.stack(last).mean(0) + weights["linear.bias"]
    wanted = logits.softmax(0)
    answer = next(predictor.predict(given([LONG]), ["sentiment"]))
    found = list(answer["sentiment"]["probabilities"].values())
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def test_a_long_text_has_entities_beyond_its_first_window(predictor: RowPredictor) -> None:
    answer = next(predictor.predict(given([LONG]), ["ner"]))
    last = max(start for start, *_ in entities(answer))
    assert last > len(LONG) / 2


def test_rows_come_in_their_order_across_chunks(
    predictor: RowPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text * (1 + number % 3) for number, text in enumerate(TEXTS * 3)]
    whole = list(predictor.predict(given(texts)))
    monkeypatch.setattr("mtl.inference.rows.CHUNK", 4)
    done: list[float] = []
    chunked = list(predictor.predict(given(texts), advance=done.append))
    for one, other in zip(whole, chunked, strict=True):
        assert_alike(one, other)
    assert sum(done) == pytest.approx(len(texts))


def test_a_long_text_advances_as_it_is_read(predictor: RowPredictor) -> None:
    done: list[float] = []
    list(predictor.predict(given([LONG * 10]), advance=done.append))
    assert len(done) > 5
    assert max(done) < 0.5
    assert sum(done) == pytest.approx(1)


def test_an_endless_input_is_read_as_it_is_needed(
    predictor: RowPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtl.inference.rows.CHUNK", 3)
    read = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal read
        for text in repeat("The pump ran."):
            read += 1
            yield {"text": text}

    answers = predictor.predict(endless())
    for _ in range(4):
        next(answers)
    assert read == 6


def test_words_alone_are_joined_and_given_words_are_kept(predictor: RowPredictor) -> None:
    words = ["Ines", "Talbot", "has", "soup"]
    joined = next(predictor.predict([{"tokens": words}]))
    assert_alike(joined, next(predictor.predict([{"text": " ".join(words), "tokens": words}])))
    whole = next(predictor.predict([{"text": "Ines-Talbot", "tokens": ["Ines", "-", "Talbot"]}]))
    ends = {0, 4, 5, 11}
    assert all({start, end} <= ends for start, end, _ in entities(whole))


def test_targets_are_not_looked_at(predictor: RowPredictor) -> None:
    labelled = {"text": "a b", "labels": ["B-X"], "label": "no such label"}
    assert_alike(*predictor.predict([{"text": "a b"}, labelled]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": ""}, "row:2: Expected a text, but got an empty one."),
        ({"text": " \n"}, "row:2: Expected a text, but got an empty one."),
        ({}, "row:2: Expected a text, but got None."),
        ({"text": 3, "_file": "a.csv", "_line": 7}, "a.csv:7: Expected a text, but got 3."),
        ({"tokens": []}, "row:2: Expected a text"),
        ({"text": "\ud800"}, "row:2: Expected Unicode text"),
        ({"text": "one two", "tokens": ["three"]}, "row:2: Expected the tokens of task 'ner'"),
    ],
)
def test_rows_without_text(predictor: RowPredictor, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(predictor.predict([{"text": "fine"}, row]))


def test_a_text_that_memory_would_not_hold(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that reads texts at once refuses it; the others answer, and with a limit it does."""
    texts = given(["We loved it.", "We loved it. " * 30, "Nobody asked."])
    wanted = list(RowPredictor(load_model(trained), "cpu").predict(texts))
    small = RowPredictor(load_model(trained), "cpu", max_characters=100)
    for one, other in zip(small.predict(texts), wanted, strict=True):
        assert_alike(one, other)
    monkeypatch.setattr(type(small.tasks["ner"]), "joins", lambda self, row: None)
    said = (
        r"row:2: Expected a text of at most 100 characters, because this task has to read it at "
        r"once, but got 390, which would take about 0.0 GB; split it, or raise `--max-characters`."
    )
    with pytest.raises(DataError, match=said):
        list(small.predict(texts))
    first, long, last = small.predict(texts, mark=True)
    assert_alike(first, wanted[0])
    assert "Expected a text of at most" in long["ner"].pop("error")
    assert {"label", "probabilities"} == long["sentiment"].keys()
    assert_alike(last, wanted[2])
    assert small.failed == 1
    large = RowPredictor(load_model(trained), "cpu", max_characters=390)
    assert all("entities" in answer["ner"] for answer in large.predict(texts))


def test_unknown_tasks_and_devices(predictor: RowPredictor) -> None:
    with pytest.raises(ConfigError, match=r"one of \{ner, rating, sentiment\}, but got 'nerr'"):
        predictor.predict([], ["nerr"])
    with pytest.raises(ConfigError, match=r"Expected `--device` to be one of \{.*cpu.*\}"):
        RowPredictor(predictor.loaded, "gpu")


def test_nothing_in_nothing_out(predictor: RowPredictor) -> None:
    assert list(predictor.predict([])) == []
    assert next(predictor.predict([{"text": "a"}], ["ner", "ner"])).keys() == {"ner"}


def test_each_task_reads_its_documents_as_in_training(trained: Path) -> None:
    loaded = load_model(trained)
    causal = next(RowPredictor(loaded, "cpu").predict(given(TEXTS[:1])))
    ways = {"sentiment": "bidirectional"}
    loaded.description = describe(loaded.model, loaded.encoder, {}, ways)
    assert [loaded.attention(n) for n in ("ner", "sentiment")] == ["causal", "bidirectional"]
    mixed = RowPredictor(loaded, "cpu")
    both = next(mixed.predict(given(TEXTS[:1])))
    assert_alike({"ner": both["ner"]}, {"ner": causal["ner"]})
    assert both["sentiment"]["probabilities"] != causal["sentiment"]["probabilities"]
    assert_alike(
        {"sentiment": both["sentiment"]}, next(mixed.predict(given(TEXTS[:1]), ["sentiment"]))
    )


def test_an_old_description_means_the_trunks_own_attention(trained: Path) -> None:
    loaded = load_model(trained)
    loaded.description.tasks["ner"].attention = None
    assert loaded.attention("ner") == "causal"


def test_rows_of_a_reader_are_rows(predictor: RowPredictor) -> None:
    read = [{"text": row["body"], "tokens": row["words"]} for row in rows(3)]
    assert len(list(predictor.predict(iter(read)))) == 3
