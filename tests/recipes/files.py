"""Small files by the names that the recipes' commands have for a reader's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).resolve().parents[2] / "mtl" / "data" / "bundled"
SPLITS = ("train", "validation", "test")
SQUAD = {"train": "train-v2.0.json", "validation": "dev-v2.0.json"}


def rows(corpus: str, split: str = "train", count: int = 12) -> list[dict[str, Any]]:
    """Return the first rows of a bundled corpus."""
    lines = (BUNDLED / corpus / f"{split}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]


def write_lines(path: Path, found: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), "utf-8")


def conll(found: Sequence[dict[str, Any]], columns: int = 4) -> str:
    """Return rows in columns: the word first, the tag last."""
    blocks = []
    for row in found:
        pairs = zip(row["tokens"], row["ner_tags"], strict=True)
        blocks.append("\n".join(" ".join([w, *["-"] * (columns - 2), t]) for w, t in pairs))
    return "\n\n".join(blocks) + "\n"


def squad(found: Sequence[dict[str, Any]], tag: str) -> dict[str, Any]:
    """Return rows as SQuAD 2.0 has them."""
    paragraphs = []
    for number, row in enumerate(found):
        asked = []
        for at, one in enumerate(row["questions"]):
            answers = [{"text": one["answer"], "answer_start": one["start"]}]
            asked.append(
                {
                    "id": f"{tag}{number}-{at}",
                    "question": one["question"],
                    "answers": answers if one["answer"] else [],
                    "is_impossible": not one["answer"],
                }
            )
        paragraphs.append({"context": row["text"], "qas": asked})
    return {"version": "v2.0", "data": [{"title": "Notices", "paragraphs": paragraphs}]}


def one_question(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of one question as one with a list of them."""
    own = {name: row[name] for name in ("question", "answer", "start")}
    return {"text": row["text"], "questions": [own]}


def spans(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row's entities as CLUENER has them: by label, by text, first and last character."""
    found: dict[str, dict[str, list[list[int]]]] = {}
    at = 0
    for word, tag in zip(row["tokens"], row["ner_tags"], strict=True):
        at = row["text"].index(word, at)
        if tag.startswith("B-"):
            begin, label = at, tag[2:]
        at += len(word)
        if tag != "O":
            last = row["text"][begin:at]
            own = found.setdefault(label, {})
            own.pop(last[: -len(word)], None)
            own[last] = [[begin, at - 1]]
    return {"text": row["text"], "label": found}


def write_all(folder: Path) -> None:
    """Write every file that a recipe names."""
    market, desk, street = rows("market"), rows("helpdesk"), rows("street")
    marked = [
        {"text": row["text"], "tokens": row["tokens"], "ner_tags": row["ner_tags"]}
        for row in rows("market", count=24)
    ]
    write_lines(folder / "annotated.jsonl", marked)
    (folder / "new.txt").write_text("Norvik did well.\nOakline did not.\n", "utf-8")
    for split in ("train", "dev"):
        own = [{"document": row["text"], "subject": row["summary"]} for row in rows("newsroom")]
        write_lines(folder / f"{split}.jsonl", own)
    for split in SPLITS:
        write_lines(folder / "assistant" / f"{split}.jsonl", rows("assistant", split, 20))
    for split, name in SQUAD.items():
        path = folder / "squad_v2" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(squad(rows("quiz", split), split)), "utf-8")
    gold = squad(rows("quiz"), "g")
    (folder / "gold.json").write_text(json.dumps(gold), "utf-8")
    asked = [q for p in gold["data"][0]["paragraphs"] for q in p["qas"]]
    (folder / "answers.json").write_text(json.dumps({q["id"]: "" for q in asked}), "utf-8")
    pairs = rows("phrasebook")
    (folder / "train.en").write_text("".join(p["english"] + "\n" for p in pairs), "utf-8")
    (folder / "train.de").write_text("".join(p["german"] + "\n" for p in pairs), "utf-8")
    write_lines(folder / "cluener.json", [spans(row) for row in street])
    for split in ("train", "dev"):
        path = folder / f"cmrc2018_{split}.json"
        path.write_text(json.dumps(squad([one_question(r) for r in street], split)), "utf-8")
    (folder / "conll.txt").write_text(conll(market), "utf-8")
    lines = ["sentence,label", *(f'"{row["text"]}",{row["sentiment"]}' for row in market)]
    (folder / "phrasebank.csv").write_text("\n".join(lines) + "\n", "utf-8")
    write_lines(
        folder / "stream.jsonl", [{"id": n, "text": r["text"]} for n, r in enumerate(market)]
    )
    write_lines(folder / "tickets.jsonl", desk[:6])
    shutil.copy(BUNDLED / "helpdesk" / "knowledge.jsonl", folder / "knowledge.jsonl")
    _write_corpora(folder / "corpora")


def _write_corpora(folder: Path) -> None:
    """Write the files of MTL_DATA that the experiments name."""
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (folder / "conll2003").mkdir(parents=True, exist_ok=True)
        (folder / "conll2003" / name).write_text(conll(rows("market")), "utf-8")
    (folder / "sst2").mkdir()
    for name in ("train", "dev", "test"):
        found = [row for row in rows("market", count=24) if row["sentiment"] != "neutral"]
        lines = [f"{row['text']}\t{int(row['sentiment'] == 'positive')}" for row in found]
        (folder / "sst2" / f"{name}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
