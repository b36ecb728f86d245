"""Data files that cannot be read, or do not fit their task."""

from __future__ import annotations

from typing import Any

from tests.badinput.harness import Case, row, rows, train
from tests.data.fuzzing import parquet

NER, SENTIMENT = "tasks.ner.data", "tasks.sentiment.data"
NUMBERS = "tasks.sentiment.columns={text: 0, label: 1}"
WORDS = "tasks.ner.columns={text: null, tokens: 0, labels: -1}"
RATING = (
    "tasks.sentiment.options.problem=regression",
    "tasks.sentiment.columns.label=stars",
    "tasks.sentiment.metric=null",
)
EVENT = row(ner_tags=["B-EVENT", *["O"] * 5])
SKIP = "set `{}.on_bad_row=skip`"


def ner(content: Any, name: str = "bad.jsonl", *more: str) -> Any:
    """Return the command that trains NER on a file, and the file."""
    return {"argv": train(f"{NER}.train={name}", *more), "files": {name: content}}


def sentiment(content: Any, name: str = "bad.jsonl", *more: str) -> Any:
    """Return the command that trains sentiment on a file, and the file."""
    argv = train(f"{SENTIMENT}.train={name}", *more, task="sentiment")
    return {"argv": argv, "files": {name: content}}


def words(*tokens: Any, **changes: Any) -> list[dict[str, Any]]:
    """Return a good row, and one with these words."""
    return [row(), row(tokens=list(tokens) or None, text=None, **changes)]


PARQUET = parquet([{"words": "a"}])

FILES = [
    Case(
        "missing file", train(f"{NER}.train=data/trian.jsonl"), (f"{NER}.train", "'train.jsonl'?")
    ),
    Case("glob of nothing", train(f"{NER}.train=data/*.conll"), (f"{NER}.train", "data/*.conll")),
    Case("missing folder", train(f"{NER}.source=dta"), (f"{NER}.source", "'dta'", "'data'?")),
    Case("folder of no data", train(f"{NER}.source=trunk"), ("'trunk'", f"in `{NER}.train`")),
    Case(
        "two training files",
        train(),
        (f"{NER}.source", "train.jsonl, train.tsv", f"Name the right one in `{NER}.train`"),
        files={"data/train.tsv": "a\tb\n"},
    ),
    Case("folder for a file", train(f"{NER}.train=data"), (f"{NER}.train", "goes into `source`")),
    Case(
        "file for a folder", train(f"{NER}.source=data/test.jsonl"), (f"Name it in `{NER}.train`",)
    ),
    Case("unknown corpus", train(f"{NER}.source=bundled:news"), (f"{NER}.source", "newsroom")),
    Case("unknown source", train(f"{NER}.source=hubb:conll"), (f"{NER}.source", "mean 'hub'?")),
    Case("no connection", train(f"{NER}.source=hub:no/thing"), (f"{NER}.source", "Couldn't reach")),
    Case(
        "unknown encoding", train(f"{NER}.encoding=utf-9"), (f"`{NER}.encoding`", "such as utf-8")
    ),
    Case("unknown format", train(f"{NER}.format=docx"), (f"`{NER}.format`", "parquet", "'docx'")),
    Case("empty file", **ner(""), says=(f"{NER}.train", "'bad.jsonl' is empty")),
    Case("blank lines", **ner("\n\n"), says=(f"{NER}.train", "found none in 'bad.jsonl'")),
    Case(
        "broken JSON line",
        **ner('\n{"text": \n'),
        says=("bad.jsonl:2", "broken JSON: Expecting value (column 9)", SKIP.format(NER)),
    ),
    Case("line of a list", **ner("[1, 2]\n"), says=("bad.jsonl:1", "a JSON object", "[1, 2]")),
    Case("deep nesting", **ner("[" * 99_999), says=("bad.jsonl:1", "nested too deeply")),
    Case(
        "broken JSON file",
        **ner('[{"text": "a",\n "tokens": ["a"]', "bad.json"),
        says=("bad.json:2", "Expecting ',' delimiter (column 17)"),
    ),
    Case(
        "no Parquet", **ner("PAR1 or not", "bad.parquet"), says=("bad.parquet: ", "cannot be read")
    ),
    Case("no Arrow", **ner("ARROW1 or not", "bad.arrow"), says=("bad.arrow: ", "cannot be read")),
    Case(
        "Latin-1 for UTF-8",
        **sentiment(
            "text\tsentiment\nfine\tpositive\ndéjà\tneutral\n".encode("latin-1"), "bad.tsv"
        ),
        says=("bad.tsv:3", f"Set `{SENTIMENT}.encoding`", "such as latin-1"),
    ),
    Case(
        "UTF-8 for UTF-16",
        **sentiment("text\tsentiment\n", "bad.tsv", f"{SENTIMENT}.encoding=utf-16"),
        says=("bad.tsv:1", "Expected utf-16 text", f"Set `{SENTIMENT}.encoding`"),
    ),
    Case("binary file", **sentiment(b"\0\1\2\3" * 9, "bad.tsv"), says=("bad.tsv:1", "encoding`")),
]

ROWS = [
    Case(
        "missing column",
        **ner([row(), row(ner_tags=None, ner_tag=[])]),
        says=("bad.jsonl:2", "'ner_tags'", "did you mean 'ner_tag'?", SKIP.format(NER)),
    ),
    Case(
        "column of another name",
        **ner([row(words=["a"], tokens=None)] * 2),
        says=(
            "bad.jsonl:1",
            "'tokens'",
            "Set `tasks.ner.columns.tokens=…` (",
        ),
        never=("on_bad_row", "mean"),
    ),
    Case(
        "column of nearly the same name",
        **sentiment("Text\tsentiment\nfine\tpositive\n", "bad.tsv"),
        says=("bad.tsv:1", "mean 'Text'", "Set `tasks.sentiment.columns.text=Text`"),
        never=("on_bad_row",),
    ),
    Case(
        "column of a Parquet file that is missing",
        **sentiment(PARQUET, "bad.parquet"),
        says=("bad.parquet: ", "found words", "Set `tasks.sentiment.columns.text=…`"),
        never=("on_bad_row", "mean"),
    ),
    Case(
        "Parquet that is damaged inside",
        **sentiment(b"PAR1\n" + parquet([{"text": "a", "sentiment": "b"}] * 4)[4:], "bad.parquet"),
        says=("bad.parquet: ", "cannot be read"),
    ),
    Case(
        "missing column in a header",
        **sentiment("text\tfeeling\nfine\tpositive\n", "bad.tsv"),
        says=("bad.tsv:1", "'sentiment'", "text, feeling", "give columns by number"),
    ),
    Case(
        "name without a header",
        **sentiment("fine\tpositive\n", "bad.tsv", f"{SENTIMENT}.header=false"),
        says=(f"{SENTIMENT}.header", "columns by number", "`text`"),
    ),
    Case(
        "too few columns",
        **sentiment("fine\tpositive\nbad\n", "bad.tsv", NUMBERS),
        says=("bad.tsv:2", "Expected 2 columns, but got 1", SKIP.format(SENTIMENT)),
    ),
    Case(
        "too many columns",
        **sentiment("fine,positive\nbad,worse,worst\n", "bad.csv", NUMBERS),
        says=("bad.csv:2", "Expected 2 columns, but got 3", SKIP.format(SENTIMENT)),
    ),
    Case(
        "word without a label",
        **ner("EU NNP B-ORG\nrejects O\n", "bad.conll", WORDS),
        says=("bad.conll:2", "Expected 3 columns, but got 2", SKIP.format(NER)),
    ),
    Case(
        "fewer labels than words",
        **ner([row(), row(ner_tags=["O"])]),
        says=("bad.jsonl:2", "each of 6 tokens, but got 1", SKIP.format(NER)),
    ),
    Case(
        "labels that are none", **ner([row(ner_tags={"a": 1})]), says=("bad.jsonl:1", "'ner_tags'")
    ),
    Case("no word", **ner(words("a", 7)), says=("bad.jsonl:2", "got 7 as item 2 of 2", "'tokens'")),
    Case("empty word", **ner(words("a", "")), says=("bad.jsonl:2", "item 2 of 2 is empty")),
    Case("no words", **ner(words()), says=("bad.jsonl:2", "'tokens'", SKIP.format(NER))),
    Case(
        "words of another text",
        **ner([row(text="Something else .")]),
        says=("bad.jsonl:1", "mend the row, or leave the column `text` unmapped"),
    ),
    Case(
        "empty text", **sentiment([row(), row(text="  ")]), says=("bad.jsonl:2", "'text'", "'  '")
    ),
    Case(
        "number for a text", **sentiment([row(text=7)]), says=("bad.jsonl:1", "Expected text", "7")
    ),
    Case(
        "half a character",
        **sentiment([row(text="so \ud83d")]),
        says=("bad.jsonl:1", "half a character", SKIP.format(SENTIMENT)),
    ),
    Case("empty label", **sentiment([row(sentiment="")]), says=("bad.jsonl:1", "'sentiment'")),
    Case("list for a label", **sentiment([row(sentiment=["a"])]), says=("bad.jsonl:1", "['a']")),
    Case(
        "word for a number",
        **sentiment([row(), row(stars="many")], "bad.jsonl", *RATING),
        says=("bad.jsonl:2", "a finite number", "'many'", "'stars'"),
    ),
    Case(
        "infinity",
        **sentiment('{"text": "a", "stars": Infinity}\n', "bad.jsonl", *RATING),
        says=("bad.jsonl:1", "a finite number", "'stars'"),
    ),
    Case(
        "id that comes twice",
        **sentiment([row(), row()], "bad.jsonl", "tasks.sentiment.columns.id=text"),
        says=("bad.jsonl:2", "ids that occur once", SKIP.format(SENTIMENT)),
    ),
    Case(
        "every row skipped", **ner([{}], "bad.jsonl", f"{NER}.on_bad_row=skip"), says=(NER, ":1:")
    ),
]

LABELS = [
    Case("one label only", **sentiment([row(), row()]), says=("tasks.sentiment", "'positive'")),
    Case("no entity", **ner([row(ner_tags=["O"] * 6)]), says=("tasks.ner", "labelled O")),
    Case(
        "mixed schemes",
        **ner([row(ner_tags=["S-PER", "E-PER", "B-LOC", "O", "PER", "O"])]),
        says=("bad.jsonl:1", "a label such as B-PER", "'PER'"),
    ),
    Case(
        "spans asked of labels without",
        train(),
        ("`tasks.ner.metric`", "mark no spans", "token_macro_f1"),
        files={f"data/{s}.jsonl": [row(ner_tags=["NN"] * 6)] for s in ("train", "validation")},
    ),
    Case(
        "label that training never had",
        train(),
        ("data/validation.jsonl:2", "'B-EVENT'", "Mend it, add rows of it"),
        files={"data/validation.jsonl": [row(), EVENT]},
    ),
    Case(
        "class that training never had",
        train(task="sentiment"),
        ("data/validation.jsonl:2", "Did you mean 'positive'?", "Mend it"),
        files={"data/validation.jsonl": [row(), row(sentiment="positiv")]},
    ),
    Case(
        "label that only the test has",
        train(),
        ("data/test.jsonl:1", "'B-EVENT'"),
        files={"data/test.jsonl": [EVENT]},
    ),
    Case(
        "skipped rows before an error",
        train(f"{NER}.on_bad_row=skip"),
        ("data/validation.jsonl:1", "'B-EVENT'", "1 row was skipped"),
        files={"data/train.jsonl": [{"text": "a"}, *rows()], "data/validation.jsonl": [EVENT]},
        notes=1,
    ),
    Case(
        "one row to cut from",
        train(f"{NER}.source=null", f"{NER}.train=one.jsonl"),
        (f"{NER}.train", f"Set `{NER}.validation`"),
        files={"one.jsonl": [row()]},
    ),
]

CASES = [*FILES, *ROWS, *LABELS]
