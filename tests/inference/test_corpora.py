"""Small corpora from file to prediction: what was learned by words is found in raw texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtl.inference.predictor import RowPredictor
from tests import helpers
from tests.inference.conftest import write_jsonl
from train import main as train

Train = Callable[..., RowPredictor]
pytestmark = pytest.mark.slow


@pytest.fixture
def learn(tmp_path: Path) -> Train:
    """Train on a tiny random decoder until the corpus is known by heart."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 256}
    trunk = helpers.save_tiny(
        tmp_path / "trunk", helpers.llama_config(**sizes), helpers.bpe_tokenizer()
    )

    def go(*overrides: str) -> RowPredictor:
        common = [
            "trunk=hf", f"trunk.path={trunk}", "trunk.lr=3e-3", "head.lr=1e-2", "logger=none",
            "batching.examples=16", "trainer.max_steps=150", "trainer.val_check_interval=150",
            "trainer.threads=1", "trainer.progress=false", f"hydra.run.dir={tmp_path / 'run'}",
        ]  # fmt: skip
        assert train([*overrides, *common]) == 0
        return RowPredictor(tmp_path / "run", "cpu")

    return go


def entities(answer: Any) -> list[tuple[str, str, int]]:
    return [(e["text"], e["label"], e["start"]) for e in answer["entities"]]


def conll(path: Path, sentences: list[list[tuple[str, str]]]) -> Path:
    lines = ("".join(f"{word}\t{label}\n" for word, label in one) for one in sentences)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_chinese_by_character(tmp_path: Path, learn: Train) -> None:
    sentences = []
    for name in ("李明", "王芳芳", "赵大海"):
        for town in ("松江", "石桥镇"):
            for middle in ("在", "离开了", "到"):
                tags = [(c, "BI"[n > 0] + "-PER") for n, c in enumerate(name)]
                tags += [(c, "O") for c in middle]
                tags += [(c, "BI"[n > 0] + "-LOC") for n, c in enumerate(town)]
                sentences.append([*tags, ("。", "O")])
    file = conll(tmp_path / "all.conll", sentences)
    predictor = learn("task=ner", *(f"tasks.ner.data.{s}={file}" for s in ("train", "validation")))
    text = "王芳芳离开了松江。"
    raw, words = predictor.predict([{"text": text}, {"tokens": list(text)}])
    assert entities(raw["ner"]) == [("王芳芳", "PER", 0), ("松江", "LOC", 6)]
    assert raw == words


def test_handles_and_clitics(tmp_path: Path, learn: Train) -> None:
    sentences = [
        [("Ask", "O"), (name, "B-PER"), ("about", "O"), (other, "B-PER"), ("'s", "O"),
         ("sea", "O"), ("-", "O"), ("side", "O"), ("hats", "O"), (".", "O")]
        for name in ("@rosa_q", "@bo_lyme", "@cy_1") for other in ("Quill", "Okonkwo")
    ]  # fmt: skip
    file = conll(tmp_path / "all.conll", sentences)
    predictor = learn("task=ner", *(f"tasks.ner.data.{s}={file}" for s in ("train", "validation")))
    (answer,) = predictor.predict([{"text": "Ask @bo_lyme about Quill's sea-side hats."}])
    assert entities(answer["ner"]) == [("@bo_lyme", "PER", 4), ("Quill", "PER", 19)]


FLIGHTS = [
    ("show flights from {a} to {b}", "flight"),
    ("what does it cost from {a} to {b} ?", "fare"),
    ("is there a bus from {a} to {b}", "ground"),
]
TOWNS = ["Lyme", "Otley", "Ambleside", "St Ives"]


def test_slots_and_intents_of_one_corpus(tmp_path: Path, learn: Train) -> None:
    rows = []
    for pattern, intent in FLIGHTS:
        for a in TOWNS:
            b = TOWNS[TOWNS.index(a) - 1]
            words, labels = [], []
            for part in pattern.split():
                name = {"{a}": a, "{b}": b}.get(part, part)
                kind = {"{a}": "from", "{b}": "to"}.get(part)
                for number, word in enumerate(name.split()):
                    words.append(word)
                    labels.append(f"{'I' if number else 'B'}-{kind}" if kind else "O")
            rows.append({"text": " ".join(words), "words": words, "slots": labels, "goal": intent})
    file = write_jsonl(tmp_path / "all.jsonl", rows)
    predictor = learn(
        "task=ner,sentiment",
        *(f"tasks.{t}.data.{s}={file}" for t in ("ner", "sentiment") for s in ("train", "test")),
        "tasks.ner.columns={text: text, tokens: words, labels: slots}",
        "tasks.sentiment.columns={text: text, label: goal}",
        "tasks.ner.data.validation_fraction=0.2",
        "tasks.sentiment.data.validation_fraction=0.2",
    )
    known = json.loads((tmp_path / "run" / "model" / "mtl.json").read_text())
    assert known["tasks"]["sentiment"]["state"]["labels"] == ["fare", "flight", "ground"]
    (answer,) = predictor.predict([{"text": rows[5]["text"]}])
    assert answer["sentiment"]["label"] == rows[5]["goal"] == "fare"
    assert entities(answer["ner"]) == [("Otley", "from", 23), ("Lyme", "to", 32)]


def test_names_inside_names_of_two_columns(tmp_path: Path, learn: Train) -> None:
    """Comments, numbered words and two levels of labels in tabs, as such corpora are published."""
    towns = {"Otley": "Otleyer", "Lyme": "Lymer", "Eich": "Eicher"}
    lines = []
    for town, of_town in towns.items():
        for club in ("Verein", "Museum"):
            words = ["Das", of_town, club, "in", town, "ist", "alt", "."]
            outer = ["O", "B-ORG", "I-ORG", "O", "B-LOC", "O", "O", "O"]
            inner = ["O", "B-LOCderiv", "O", "O", "O", "O", "O", "O"]
            lines.append(f"#\thttp://example.org/{town} [2009-10-17]")
            rows = zip(range(1, 9), words, outer, inner, strict=True)
            lines += ["\t".join(map(str, row)) for row in rows]
            lines.append("")
    file = tmp_path / "all.tsv"
    file.write_text("\n".join(lines), encoding="utf-8")
    predictor = learn(
        "task=nested_entities",
        *(f"tasks.nested_entities.data.{split}={file}" for split in ("train", "validation")),
        "tasks.nested_entities.data.format=conll",
        "tasks.nested_entities.columns={tokens: 1, labels: [2, 3]}",
    )
    text = "Das Lymer Museum in Otley ist alt."
    (answer,) = predictor.predict([{"text": text}])
    found = {
        (e["label"], text[e["start"] : e["end"]]) for e in answer["nested_entities"]["entities"]
    }
    assert found == {("ORG", "Lymer Museum"), ("LOCderiv", "Lymer"), ("LOC", "Otley")}


def test_similar_pairs_of_a_table_without_names(tmp_path: Path, learn: Train) -> None:
    """Scores of 0 to 5 in a column by number, quotation marks that enclose nothing."""
    said = [("A man eats.", "He eats."), ("Rain fell.", "It was wet."), ('"Stop!', "Halt.")]
    lines = []
    for number, (one, other) in enumerate(said):
        unlike = said[number - 1][1]
        for second, score in ((other, "4.800"), (one, "5.000"), (unlike, "0.200")):
            lines.append(f"main\tset-{number}\t{score}\t{one}\t{second}")
    file = tmp_path / "sts.tsv"
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    predictor = learn(
        "task=sentiment",
        *(f"tasks.sentiment.data.{split}={file}" for split in ("train", "validation")),
        "tasks.sentiment.columns={text: 3, second: 4, label: 2}",
        "tasks.sentiment.options.problem=regression",
        "tasks.sentiment.metric=pearson",
    )
    asked = [{"text": one, "second": second} for one, other in said for second in (one, other)]
    asked += [{"text": said[n][0], "second": said[n - 1][1]} for n in range(3)]
    values = [answer["sentiment"]["value"] for answer in predictor.predict(asked)]
    assert min(values[:6]) > 3.5
    assert max(values[6:]) < 1.5


def test_a_reading_test_with_letters(tmp_path: Path, learn: Train) -> None:
    """Several questions of one article in a row, each with choices of its own."""
    things = ["kettle", "lantern", "ladder"]
    rows: list[dict[str, Any]] = []
    for number, thing in enumerate(things):
        other = things[number - 1]
        questions: list[dict[str, Any]] = [
            {"q": "What broke?", "options": [thing, other], "answer": "A"},
            {"q": "What held?", "options": [thing, other, "nothing"], "answer": "B"},
        ]
        if number % 2:  # Where the right one stands says nothing.
            for asked in questions:
                asked["options"][:2] = asked["options"][1::-1]
                asked["answer"] = {"A": "B", "B": "A"}[asked["answer"]]
        rows.append({"article": f"The {thing} broke, the {other} held.", "questions": questions})
    file = write_jsonl(tmp_path / "all.jsonl", rows)
    predictor = learn(
        "task=multiple_choice",
        *(f"tasks.multiple_choice.data.{split}={file}" for split in ("train", "validation")),
        "tasks.multiple_choice.columns={text: article, question: 'questions[].q', "
        "choices: 'questions[].options', label: 'questions[].answer'}",
    )
    for row in rows:
        given = [
            {"text": row["article"], "question": one["q"], "choices": one["options"]}
            for one in row["questions"]
        ]
        found = [answer["multiple_choice"] for answer in predictor.predict(given)]
        assert [one["label"] for one in found] == [one["answer"] for one in row["questions"]]
        assert [len(one["probabilities"]) for one in found] == [2, 3]


def test_passages_of_queries_are_ranked(tmp_path: Path, learn: Train) -> None:
    things = ["kettle", "lantern", "ladder", "anchor"]
    rows = [
        {"id": f"{n}-{m}", "asked": f"Who has the {one}?", "passage": f"Ines kept a {other}.",
         "topic": n, "relevance": int(one == other)}
        for n, one in enumerate(things) for m, other in enumerate(things)
    ]  # fmt: skip
    file = write_jsonl(tmp_path / "all.jsonl", rows)
    learn(
        "task=sentiment",
        *(f"tasks.sentiment.data.{split}={file}" for split in ("train", "validation", "test")),
        "tasks.sentiment.columns={text: asked, second: passage, label: relevance, query: topic}",
        "tasks.sentiment.metric=mrr",
    )
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["test/sentiment/mrr"] == found["test/sentiment/ndcg_10"] == 1.0
    assert found["baseline/sentiment/mrr"] < 0.9
