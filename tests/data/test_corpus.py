"""The bundled corpus: its files, read without the builder, and the builder's own checks."""

import json
import re
import runpy
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mtl.data.origins import BUNDLED
from mtl.labels import detect_scheme, spans_of

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "scripts" / "corpus" / "build.py"
SOURCES = BUILD.parent / "newsroom"
SPLITS = ("train", "validation", "test")


def shipped(split: str) -> list[dict[str, Any]]:
    lines = (BUNDLED / "newsroom" / f"{split}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Build = Callable[..., Done]


@pytest.fixture
def build(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setattr(sys, "path", [*sys.path])
    main = runpy.run_path(str(BUILD))["main"]

    def run(*options: str | Path) -> Done:
        code = main([str(option) for option in options])
        return Done(code, *capsys.readouterr())

    return run


def names(rows: list[dict[str, Any]]) -> set[str]:
    """Return all entities, and the words of people's names that have three letters or more."""
    found = set()
    for row in rows:
        for entity in row["entities"]:
            surface = row["text"][entity["start"] : entity["end"]]
            found.add(surface)
            if entity["label"] == "PER":
                found.update(word for word in surface.split() if len(word) > 2)
    return found


def test_the_sources_give_the_shipped_bytes_and_no_finding(tmp_path: Path, build: Build) -> None:
    done = build("--target", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for split in SPLITS:
        built = (tmp_path / f"{split}.jsonl").read_bytes()
        assert built == (BUNDLED / "newsroom" / f"{split}.jsonl").read_bytes()


@pytest.mark.parametrize("split", SPLITS)
def test_annotations_stand_in_the_text(split: str) -> None:
    for row in shipped(split):
        text, tokens = row["text"], row["tokens"]
        assert "".join(tokens) == re.sub(r"\s", "", text)
        surfaces = [
            ("".join(tokens[start:end]), kind) for kind, start, end in spans_of(row["ner_tags"])
        ]
        marked = [(text[e["start"] : e["end"]], e["label"]) for e in row["entities"]]
        assert surfaces == [(re.sub(r"\s", "", surface), kind) for surface, kind in marked]
        for question in row["questions"]:
            end = question["start"] + len(question["answer"])
            assert text[question["start"] : end] == question["answer"]
            assert question["question"].endswith("?")
        assert 40 <= len(text.split()) <= 150
        assert row["summary"]
        assert len(row["tokens"]) == len(row["ner_tags"])
    assert detect_scheme([row["ner_tags"] for row in shipped(split)]) == "iob2"


def test_rows_are_many_and_balanced() -> None:
    for split, least in (("train", 300), ("validation", 40), ("test", 80)):
        rows = shipped(split)
        assert len(rows) >= least
        assert len({row["domain"] for row in rows}) >= 10
        feelings = Counter(row["sentiment"] for row in rows)
        assert set(feelings) == {"negative", "neutral", "positive"}
        assert max(feelings.values()) < 0.45 * len(rows)
    everything = [row for split in SPLITS for row in shipped(split)]
    assert len({row["id"] for row in everything}) == len(everything)
    assert len({row["text"] for row in everything}) == len(everything)


def test_names_of_held_out_rows_are_new() -> None:
    def squash(text: str) -> str:
        return f" {re.sub(r'[^a-z0-9]+', ' ', text.lower())} "

    known = " ".join(squash(row["text"]) for row in shipped("train"))
    for split in ("validation", "test"):
        assert [name for name in names(shipped(split)) if squash(name) in known] == []


GOOD = """## {id} | domain: local news | sentiment: neutral
[PER {name}] walked {filler} to [LOC {place}].
= Somebody walks a very long way to a place that is not told here.
? Who walked? => {name}
? Where did it end? => {place}
"""


def write_sources(folder: Path, **changes: str) -> Path:
    folder.mkdir(exist_ok=True)
    for split, id, name, place in (
        ("train", "a-1", "Ilse Vanterpool", "Korring"),
        ("validation", "v-1", "Radu Melk", "Ostwick"),
        ("test", "t-1", "Wen Achterberg", "Dunlaw"),
    ):
        filler = " ".join(["far"] * 50) + f" {id}"
        text = GOOD.format(id=id, name=name, place=place, filler=filler)
        (folder / f"{split}-1.txt").write_text(changes.get(split, text), "utf-8")
    return folder


def test_sound_sources_have_no_finding(tmp_path: Path, build: Build) -> None:
    done = build("--check", "--sources", write_sources(tmp_path / "s"), "--target", tmp_path / "t")
    assert (done.returncode, done.stderr) == (0, "")
    assert "train: 1 documents" in done.stdout
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("## t-1 | domain", "## t-1 | theme", 1, "Expected '## id | domain: … | sentiment: …'"),
        ("neutral", "mixed", 1, "Expected one of ('negative', 'neutral', 'positive')"),
        ("[LOC Dunlaw]", "[GPE Dunlaw]", 2, "but got 'GPE'"),
        ("[LOC Dunlaw]", "[LOC Dun]law", 2, "Expected an entity of whole words, but got 'Dun'"),
        ("[LOC Dunlaw]", "[LOC Dunlaw", 2, "Expected brackets around entities only"),
        ("to [LOC", "to Dunlaw [LOC", 2, "Expected every 'Dunlaw' in brackets"),
        ("walked far", "walked  far", 2, "Expected single blanks"),
        ("far " * 45, "", 2, "Expected 40 to 150 words, but got 11"),
        ("a very long way to a place that is not told here", "off", 3, "words of summary"),
        ("=> Dunlaw", "=> Dunlow", 5, "Expected an answer from the text, but got 'Dunlow'"),
        ("=> Dunlaw", "=> Dunlaw @2", 5, "Expected an answer from the text, but got 'Dunlaw'"),
        ("=> Dunlaw", "=> Dun", 2, "Expected whole words, but the answer is 'Dun'"),
        ("? Where", "! Where", 5, "Expected '= summary' (once) or '? question => answer'"),
        ("t-1 |", "a-1 |", 1, "Expected a new id, but 'a-1' is taken"),
        ("Dunlaw", "Korring", 2, "'Korring' is in train-1.txt:2"),
        ("Achterberg", "Far", 2, "'Far' is in train-1.txt:2"),
    ],
)
def test_findings(
    tmp_path: Path, build: Build, old: str, new: str, line: int, message: str
) -> None:
    folder = write_sources(tmp_path / "s")
    good = (folder / "test-1.txt").read_text("utf-8")
    assert old in good
    write_sources(folder, test=good.replace(old, new))
    done = build("--check", "--sources", folder)
    assert done.returncode == 1
    findings = [f for f in done.stderr.splitlines() if message in f]
    assert findings, done.stderr
    assert f"test-1.txt:{line}: " in findings[0]


def test_the_same_text_twice(tmp_path: Path, build: Build) -> None:
    folder = write_sources(tmp_path / "s")
    copy = (folder / "train-1.txt").read_text("utf-8").replace("## a-1", "## a-2")
    (folder / "train-2.txt").write_text(copy, "utf-8")
    done = build("--check", "--sources", folder)
    assert "train-2.txt:2: Expected a new text, but it is there already" in done.stderr


def test_every_question_of_the_workshop_has_one_right_choice() -> None:
    seen: list[str] = []
    for split in ("train", "validation", "test"):
        lines = (BUNDLED / "workshop" / f"{split}.jsonl").read_text("utf-8").splitlines()
        for row in map(json.loads, lines):
            assert 2 <= len(set(row["choices"])) == len(row["choices"])
            assert "ABCD".index(row["label"]) < len(row["choices"])
            seen += [row["id"], row["text"]]
    assert len(set(seen)) == len(seen) == 2 * 48
