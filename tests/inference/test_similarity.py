"""Texts are compared by mean states, alike in every batch; the nearest entry stands first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel

from mtl.errors import CheckpointError, DataError
from mtl.inference.similarity import Encoder, matches, ranks, read_knowledge
from tests.inference.conftest import Run, check_error
from tests.trunk.families import save_family

ENTRIES = [
    {"id": "refund", "title": "Refunds", "text": "Money comes back in five days."},
    {"id": "delivery", "text": "Parcels take three days."},
]
TEXTS = ["the boat", "a", "where is the parcel and where is the boat on the water"]


@pytest.fixture(scope="module")
def folder(tokenizers: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family("bert", tmp_path_factory.mktemp("bert"), tokenizers["wordpiece"])


@pytest.fixture
def knowledge(tmp_path: Path) -> Path:
    path = tmp_path / "knowledge.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in ENTRIES) + "\n", encoding="utf-8")
    return path


def test_states_are_means_of_each_text_alone(folder: Path) -> None:
    encoder = Encoder(str(folder), torch.device("cpu"))
    found = encoder.embed(TEXTS)
    model = AutoModel.from_pretrained(folder).eval()
    for text, state in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            tokens = encoder.tokenizer(text, return_tensors="pt")["input_ids"]
            mean = model(input_ids=tokens).last_hidden_state[0].mean(0)
        torch.testing.assert_close(state, mean / mean.norm(), atol=1e-5, rtol=1e-4)


def test_a_line_of_knowledge_ends_where_json_lines_do(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.jsonl"
    text = "one\u2028two\x85three"
    path.write_text(json.dumps({"id": 1, "text": text}, ensure_ascii=False) + "\r\n", "utf-8")
    assert [(entry.id, entry.text) for entry in read_knowledge(path)] == [("1", text)]


def test_nearest_entries_come_first_and_equal_ones_in_their_order(knowledge: Path) -> None:
    entries = read_knowledge(knowledge)
    known = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    texts = torch.tensor([[0.6, 0.8], [0.7071, 0.7071]])
    first, second = matches(texts, known, entries, 2)
    assert [one["id"] for one in first] == ["delivery", "refund"]
    assert [one["similarity"] for one in first] == [0.8, 0.6]
    assert [one["id"] for one in second] == ["refund", "delivery"]
    assert ranks(texts, known, [0, 0]) == [2, 1]


def test_rows_keep_what_they_have(mtl: Run, folder: Path, knowledge: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [
        {"text": "my money", "mood": "bad", "right": "refund"},
        {"text": "x\u2028y", "right": "delivery"},  # A line of JSON ends with \n alone.
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    source.write_text("\n".join(lines), encoding="utf-8")
    given = ("--encoder", folder, "--input", source, "--output", target, "--gold", "right")
    code, out, err = mtl("match", knowledge, *given, "--device", "cpu")
    assert (code, out) == (0, "")
    found = [json.loads(line) for line in target.read_text("utf-8").strip().split("\n")]
    assert [{k: v for k, v in row.items() if k != "matches"} for row in found] == rows
    assert all({one["id"] for one in row["matches"]} == {"refund", "delivery"} for row in found)
    right = sum(row["matches"][0]["id"] == row["right"] for row in found)
    assert f"the right entry is the first of {right / 2:.1%}" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{broken", ":1"),
        ('{"id": "a"}', ":1"),
        ('{"id": "a", "text": " "}', ":1"),
        ('{"id": "a", "text": "b"}\n{"id": "a", "text": "c"}', ":2"),
        ("[1]", ":1"),
        ("", "entry"),
    ],
)
def test_knowledge_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "knowledge.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_knowledge(path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--encoder", "nowhere/at/all", "--text", "x"], "--encoder"),
        (["--encoder", "ENCODER"], "--input"),
        (["--encoder", "ENCODER", "--input", "nowhere.jsonl"], "got 'nowhere.jsonl': there is no"),
        (["--encoder", "ENCODER", "--text", ""], "row:1: Expected a text, but got an empty one."),
        (["--encoder", "ENCODER", "--text", "x", "--gold", "right"], "right"),
    ],
)
def test_mistakes_are_one_sentence(
    mtl: Run, folder: Path, knowledge: Path, given: list[str], words: str
) -> None:
    arguments = [str(folder) if text == "ENCODER" else text for text in given]
    check_error(mtl("match", knowledge, *arguments), words)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"in UTF-8, but there is no such file\.$"):
        read_knowledge(tmp_path / "nok.jsonl")


class Away(Exception):
    """What a client of the Hub raises without a network."""


def test_without_a_network_the_hub_is_tried_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    def head(url: str, **given: Any) -> None:
        tries.append(url)
        raise Away("no network")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", head)
    with pytest.raises(CheckpointError, match="`--encoder` to name a model"):
        Encoder("nope/nope", torch.device("cpu"))
    assert len(tries) == 1
    assert "Retrying" not in caplog.text


def test_a_run_lends_its_trunk(trained: Path) -> None:
    found = Encoder(str(trained), torch.device("cpu")).embed(TEXTS)
    expected = Encoder(str(trained / "model"), torch.device("cpu")).embed(TEXTS)
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
