"""Tasks that write: trunks that cannot, rows with nothing to write, options that do not fit."""

from __future__ import annotations

from typing import Any

from tests.badinput.damage import trunk
from tests.badinput.harness import SENTENCES, Case, train

RANDOM = "trunk.pretrained=false"
OPTION = "tasks.summarization.options"


def summarize(*overrides: str) -> tuple[str, ...]:
    """Return a command that trains summaries on ``letters.jsonl``."""
    files = [f"tasks.summarization.data.{s}=letters.jsonl" for s in ("train", "validation")]
    return train("tasks.summarization.data.test=null", *files, *overrides, task="summarization")


def predict_text(*overrides: str) -> tuple[str, ...]:
    """Return a command that trains on the text of ``letters.jsonl``."""
    files = [f"tasks.lm.data.{s}=letters.jsonl" for s in ("train", "validation")]
    return train(*files, *overrides, task="lm")


def letters(**changes: Any) -> dict[str, Any]:
    """Return the files of four letters, the last one with some of its columns changed."""
    rows: list[dict[str, Any]] = [{"text": text, "summary": "A place."} for text, *_ in SENTENCES]
    rows[-1].update(changes)
    return {"letters.jsonl": rows}


CASES = [
    Case(
        "writing with an encoder",
        summarize(RANDOM),
        ("task 'summarization'", "bert is an encoder"),
        letters(),
        damage=trunk(model_type="bert"),
        notes=1,
    ),
    Case(
        "reading both ways with a trunk that cannot",
        summarize(RANDOM, "tasks.summarization.attention=bidirectional"),
        ("`tasks.summarization.attention`", "causal", "bloom"),
        letters(),
        damage=trunk(model_type="bloom"),
        notes=1,
    ),
    Case(
        "next tokens of an encoder",
        predict_text(RANDOM),
        ("decoder", "task 'lm'", "'trunk' is an encoder"),
        letters(),
        damage=trunk(model_type="bert"),
        notes=1,
    ),
    Case(
        "next tokens that were seen",
        predict_text("tasks.lm.attention=bidirectional"),
        ("`tasks.lm.attention`", "causal", "task 'lm'", "bidirectional"),
        letters(),
        notes=1,
    ),
    Case(
        "next tokens that every task would see",
        predict_text("trunk.attention=bidirectional"),
        ("`trunk.attention`", "causal", "set `tasks.lm.attention=causal`"),
        letters(),
        notes=1,
    ),
    Case(
        "a second column of plain text",
        predict_text("tasks.lm.data.format=text", "tasks.lm.columns.text=1"),
        ("tasks.lm.columns.text", "plain text", "1"),
        letters(),
    ),
    Case(
        "empty summary",
        summarize(),
        ("letters.jsonl:4", "'summary'", "''"),
        letters(summary=""),
    ),
    Case(
        "empty document to sum up",
        summarize(),
        ("letters.jsonl:4", "'text'", "' '"),
        letters(text=" "),
    ),
    Case(
        "prompt with other braces",
        summarize("tasks.summarization.options.prompt='{topic}'"),
        ("`tasks.summarization.options.prompt`", "{question}", "{topic}"),
        letters(),
    ),
    Case(
        "nothing that learns",
        summarize("tuning=frozen", f"{OPTION}.max_target_tokens=8", f"{OPTION}.max_new_tokens=8"),
        ("`tasks.summarization.head.tied`", "false", "learn nothing"),
        letters(),
        notes=1,
    ),
    Case(
        "more texts than beams",
        summarize("tasks.summarization.options.num_return_sequences=3"),
        ("`tasks.summarization.options.num_return_sequences`", "num_beams (1)", "3"),
        letters(),
    ),
    Case(
        "unknown scoring",
        summarize("tasks.summarization.options.scoring=rogue"),
        ("`tasks.summarization.options.scoring`", "rouge", "'rogue'"),
        letters(),
    ),
]
