"""Questions and answers that cannot be read, or do not fit their document or trunk."""

from __future__ import annotations

import json
from typing import Any

from tests.badinput.damage import drop
from tests.badinput.harness import Case, mtl, train

QA = "tasks.qa.data"
TEXT = "Ines Talbot liked the soup."
FLAT = "tasks.qa.columns={text: text, question: question, answers: answers, start: start}"


def row(**changes: Any) -> dict[str, Any]:
    """Return a good question with some of its columns changed; None drops a column."""
    good = {"text": TEXT, "question": "Who liked it?", "answers": "Ines Talbot", "start": 0}
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def squad(**changes: Any) -> str:
    """Return a SQuAD file whose second question has some members changed; None drops one."""
    answer = {"text": "the soup", "answer_start": TEXT.index("the soup")}
    questions = [{"id": str(n), "question": "What was liked?", "answers": [answer]} for n in "ab"]
    found = {**questions[1], **changes}
    questions[1] = {key: value for key, value in found.items() if value is not None}
    data = [{"title": "Soup", "paragraphs": [{"context": TEXT, "qas": questions}]}]
    return json.dumps({"version": "1.1", "data": data})


def qa(content: Any, name: str = "bad.jsonl", *more: str) -> Any:
    """Return the command that trains on a file of questions, and the file."""
    columns = [] if name.endswith(".json") else [FLAT]
    files = (f"{QA}.source=null", f"{QA}.train={name}", f"{QA}.validation={name}")
    argv = train(*files, *columns, *more, task="qa")
    return {"argv": argv, "files": {name: content}}


SKIP = f"set `{QA}.on_bad_row=skip`"
PRETTY = json.dumps(json.loads(squad()), indent=1)
OPENS = next(n for n, line in enumerate(PRETTY.splitlines()) if '"id"' in line)
"""The line on which the first question of the indented file opens."""
INSIDE = "data[0].paragraphs[0].qas[1]"

CASES = [
    Case(
        "SQuAD without an answer's text",
        **qa(squad(answers=[{"answer_start": 3}]), "bad.json"),
        says=("bad.json:1", f"{INSIDE}.answers[0] to have 'text'"),
    ),
    Case(
        "SQuAD of many lines without a question",
        **qa(PRETTY.replace('"question": "What', '"asks": "What'), "bad.json"),
        says=(f"bad.json:{OPENS}: ", "data[0].paragraphs[0].qas[0] to have"),
    ),
    Case(
        "SQuAD of many lines with an answer that is nowhere",
        **qa(PRETTY.replace('the soup"', 'the bread"'), "bad.json"),
        says=(f"bad.json:{OPENS}: ", "'the bread'", "qas[0]", SKIP),
    ),
    Case(
        "SQuAD with a number for a question",
        **qa(squad(question=7), "bad.json"),
        says=("bad.json:1", f"{INSIDE}.question to be a string", "the number 7"),
    ),
    Case(
        "SQuAD without answers",
        **qa(squad(answers=None), "bad.json"),
        says=("bad.json:1", f"{INSIDE} to have 'answers'"),
    ),
    Case(
        "SQuAD that ends early",
        **qa(squad()[:-9], "bad.json"),
        says=("bad.json:1", "broken JSON"),
    ),
    Case(
        "SQuAD answer that is nowhere",
        **qa(squad(answers=[{"text": "the bread", "answer_start": 18}]), "bad.json"),
        says=("bad.json:1", "'the bread'", "'What was liked?'", INSIDE, SKIP),
    ),
    Case(
        "answer that is nowhere",
        **qa([row(), row(answers="Okonkwo")]),
        says=("bad.jsonl:2", "'Okonkwo'", "'Who liked it?'", "stand in its document", SKIP),
    ),
    Case(
        "start that is no number",
        **qa([row(), row(start="first")]),
        says=("bad.jsonl:2", "a whole number of 0 or more", "'first'", SKIP),
    ),
    Case(
        "empty document",
        **qa([row(), row(text=" ")]),
        says=("bad.jsonl:2", "text in column 'text'", SKIP),
    ),
    Case(
        "empty question",
        **qa([row(), row(question="")]),
        says=("bad.jsonl:2", "text in column 'question'", SKIP),
    ),
    Case(
        "question that is an object",
        **qa([row(), row(question={"a": 1})]),
        says=("bad.jsonl:2", "Expected text", "'question'", SKIP),
    ),
    Case(
        "answers that are a number",
        **qa([row(), row(answers=12)]),
        says=("bad.jsonl:2", "Expected answers, but got 12 in column 'answers'", SKIP),
    ),
    Case(
        "question longer than the window",
        **qa([row(), row(question="Who " * 99 + "liked it?")]),
        says=("bad.jsonl:2", "Expected a question that leaves 8", "`trunk.max_length`=64"),
    ),
    Case(
        "no question with an answer",
        **qa([row(answers="", start=None)] * 3),
        says=("tasks.qa", "at least one question with an answer"),
    ),
    Case(
        "two lists in the columns",
        train(f"{QA}.train=a.jsonl", "tasks.qa.columns.answers='replies[].text'", task="qa"),
        ("tasks.qa.columns.answers", "'questions'", "'replies[].text'", "one list"),
        files={"a.jsonl": [row()]},
    ),
    Case(
        "unknown layout",
        train("tasks.qa.options.layout=joined", task="qa"),
        ("`tasks.qa.options.layout`", "{auto, branch, joint}", "'joined'", "mean 'joint'?"),
    ),
    Case(
        "metric of version 2 without impossible questions",
        **qa([row()] * 3, "bad.jsonl", "tasks.qa.metric=no_answer_f1"),
        says=("`tasks.qa.metric`", "{f1, em}", "'no_answer_f1'"),
    ),
    Case(
        "question for no task",
        mtl("predict", "run", "--text", TEXT, "--question", "Who?"),
        ("`--question`", "for a task that reads one", "{ner, sentiment}"),
    ),
    Case(
        "question for no task before the model is read",
        mtl("predict", "run", "--text", TEXT, "--question", "Who?"),
        ("`--question`", "{ner, sentiment}"),
        damage=drop("run/model/model.safetensors"),
    ),
    Case(
        "question beside a file",
        mtl("predict", "run", "--input", "data/test.jsonl", "--question", "Who?"),
        ("`--question` to stand beside `--text`", "a column `question`"),
    ),
]
