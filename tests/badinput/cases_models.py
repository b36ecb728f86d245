"""Models that cannot be evaluated, used or scored, and what they cannot be used on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from tests.badinput.damage import DESCRIPTION, cut, description, drop, other_head
from tests.badinput.harness import Case, mtl, row

TEXT = ("--text", "Ines left.")
HEAD = "run/model/head-ner.safetensors"


def evaluate(*arguments: str) -> tuple[str, ...]:
    """Return the command that evaluates the finished run."""
    return mtl("evaluate", "run", *arguments)


def predict(*arguments: str) -> tuple[str, ...]:
    """Return the command that predicts with the finished run."""
    return mtl("predict", "run", *arguments)


def given(name: str, content: Any) -> Any:
    """Return the command that predicts a file into another, and the file."""
    argv = predict("--input", name, "--output", "out.jsonl", "--on-bad-row", "error")
    return {"argv": argv, "files": {name: content}}


def described(name: str, change: Callable[[Any], object], *says: str) -> Case:
    """Return a case of a model whose description is wrong."""
    says = (f"{DESCRIPTION}: ", *says)
    return Case(f"description {name}", predict(*TEXT), says, damage=description(change))


EVALUATE = [
    Case("evaluate nothing", mtl("evaluate", "rnu"), ("'rnu'", "no such folder", "mean 'run'?")),
    Case("evaluate no run", mtl("evaluate", "data"), ("'data'", "give `--task NAME --data FILE`")),
    Case(
        "evaluate a run that ended early",
        evaluate(),
        ("'run'", "continue it with resume=RUN"),
        damage=lambda folder: shutil.rmtree(folder / "run/model"),
    ),
    Case("evaluate no task", evaluate("--task", "nerr"), ("`--task`", "Did you mean 'ner'?")),
    Case("evaluate no split", evaluate("--split", "tst"), ("`--split`", "Did you mean 'test'?")),
    Case("evaluate one of two", evaluate("--data", "data/test.jsonl"), ("`--data`", "`--task`")),
    Case("evaluate both", evaluate("--data", "a", "--split", "test"), ("`--data` or `--split`",)),
    Case(
        "evaluate a missing file",
        evaluate("--task", "ner", "--data", "data/tst.jsonl"),
        ("--data", "'data/tst.jsonl'", "Did you mean 'test.jsonl'?"),
    ),
    Case(
        "evaluate a new label",
        evaluate("--task", "ner", "--data", "bad.jsonl"),
        ("bad.jsonl:2", "'B-EVENT'", "Mend it"),
        files={"bad.jsonl": [row(), row(ner_tags=["B-EVENT", *["O"] * 5])]},
    ),
    Case(
        "evaluate a missing column",
        evaluate("--task", "ner", "--data", "bad.jsonl"),
        ("bad.jsonl:1", "'tokens'"),
        files={"bad.jsonl": [{"text": "a b"}]},
    ),
]

MODELS = [
    Case("truncated description", predict(*TEXT), (DESCRIPTION,), damage=cut(DESCRIPTION, 300)),
    described("of a newer format", lambda d: d.update(format=99), "got 99", "a newer mtl"),
    described("without tasks", lambda d: d.pop("tasks"), "`tasks`", "missing"),
    described("without a trunk", lambda d: d.update(trunk=3), "`trunk`", "got 3"),
    described(
        "of a long window", lambda d: d["trunk"].update(max_length="x"), "`trunk.max_length`"
    ),
    described(
        "of no task type",
        lambda d: d["tasks"]["ner"].update(type="tokens"),
        "`tasks.ner.type`",
        "token_classification",
    ),
    described("of no option", lambda d: d["tasks"]["ner"]["head"].update(crf=1), "head.crf`"),
    described("without labels", lambda d: d["tasks"]["ner"].update(state={}), "'scheme'"),
    described("without columns", lambda d: d["tasks"]["ner"].pop("columns"), "ner.columns`"),
    Case("other head", predict(*TEXT), (HEAD, "(3, 16) instead of (7, 16)"), damage=other_head),
    Case("no head", predict(*TEXT), (HEAD, "missing", "copy the folder again"), damage=drop(HEAD)),
    Case("truncated head", predict(*TEXT), (HEAD, "cannot be read"), damage=cut(HEAD, 50)),
    Case(
        "truncated trunk",
        predict(*TEXT),
        ("run/model: ", "not fully covered", "Copy the folder again, or train anew"),
        damage=cut("run/model/model.safetensors", 3000),
    ),
]

PREDICT = [
    Case("predict nothing", predict(), ("`--text` or `--input`", "neither")),
    Case("predict both", predict(*TEXT, "--input", "a"), ("`--text` or `--input`", "both")),
    Case("predict an empty text", predict("--text", " "), ("--text", "an empty one")),
    Case("predict no task", predict(*TEXT, "--task", "sentimnt"), ("`--task`", "'sentiment'?")),
    Case("predict on no device", predict(*TEXT, "--device", "gpuu"), ("`--device`", "cpu", "gpuu")),
    Case(
        "predict a missing file",
        predict("--input", "data/tst.jsonl", "--output", "out.jsonl"),
        ("--input", "'data/tst.jsonl'", "Did you mean 'test.jsonl'?"),
    ),
    Case("predict an empty file", **given("bad.txt", ""), says=("--input", "'bad.txt' is empty")),
    Case("predict blank lines", **given("bad.txt", "\n \n"), says=("bad.txt", "empty lines only")),
    Case("predict a document", **given("bad.docx", "a"), says=("`--input`", "with `--format`")),
    Case(
        "predict a broken line",
        **given("bad.jsonl", '{"text": "a"}\n{"text"\n'),
        says=("bad.jsonl:2", "broken JSON", "Mend the row, or take it out"),
    ),
    Case("predict no column", **given("bad.csv", "id,body\n1,a\n"), says=("bad.csv:1", "'text'")),
    Case(
        "predict an empty row",
        **given("bad.jsonl", [{"text": "a"}, {"text": ""}]),
        says=("bad.jsonl:2", "'text'", "Mend the row, or take it out"),
    ),
    Case(
        "predict Latin-1",
        **given("bad.txt", "fine\ndéjà\n".encode("latin-1")),
        says=("bad.txt:2", "Set `--encoding`", "such as latin-1"),
    ),
    Case(
        "predict into a document",
        predict(*TEXT, "--output", "o.docx"),
        ("`--output`", "ends in one of {.csv, .jsonl", "`--output-format`"),
    ),
    Case(
        "predict onto another output",
        predict(*TEXT, "--output", "data/test.jsonl"),
        ("`--output`", "a new file", "Add `--overwrite`"),
    ),
    Case(
        "predict into a tool's file without spans",
        predict(*TEXT, "--task", "sentiment", "--output", "o", "--output-format", "brat"),
        ("`--task`", "marks spans", "Write jsonl or csv"),
    ),
    Case(
        "predict into nothing in a format",
        predict(*TEXT, "--output-format", "csv"),
        ("`--output`", "`--output-format csv` alone"),
    ),
    Case(
        "predict with another policy",
        predict("--input", "data/test.jsonl", "--on-bad-row", "stop"),
        ("`--on-bad-row`", "{error, mark, skip}", "'stop'"),
    ),
    Case(
        "predict below a file",
        predict(*TEXT, "--output", "data/test.jsonl/out.jsonl"),
        ("`--output`", "'data/test.jsonl/out.jsonl'", "Not a directory"),
    ),
    Case(
        "predict into no folder",
        predict(*TEXT, "--output", "nowhere/out.jsonl"),
        ("`--output`", "'nowhere/out.jsonl'", "No such file or directory"),
    ),
    Case(
        "predict onto the input",
        predict("--input", "data/test.jsonl", "--output", "data/test.jsonl"),
        ("`--output`", "another file than `--input`"),
    ),
]

GOLD = {"gold.jsonl": [{"id": 1, "text": "a"}]}
PAIR = mtl("score", "generation", "gold.jsonl", "pred.jsonl")
SPANS = mtl("score", "span_extraction", "gold.json", "pred.json")
LABELS = mtl("score", "token_classification", "bad.txt")

SCORE = [
    Case("score nothing", LABELS, ("bad.txt", "there is none")),
    Case("score empty", LABELS, ("bad.txt", "is empty"), files={"bad.txt": ""}),
    Case(
        "score too few columns",
        LABELS,
        ("bad.txt:2", "Expected 3 columns, as in the first line, but got 2"),
        files={"bad.txt": "a O O\nb O\n"},
    ),
    Case(
        "score other ids",
        PAIR,
        ("pred.jsonl", "id '1'", "none of its 1 ids"),
        files={**GOLD, "pred.jsonl": [{"id": 2, "text": "a"}]},
    ),
    Case(
        "score rows without an id",
        PAIR,
        ("pred.jsonl:1", "'id'"),
        files={**GOLD, "pred.jsonl": [{"text": "a"}]},
    ),
    Case(
        "score broken JSON",
        SPANS,
        ("gold.json", "line 1, column 11"),
        files={"gold.json": '{"data": [', "pred.json": "{}"},
    ),
]

CASES = [*EVALUATE, *MODELS, *PREDICT, *SCORE]
