"""What messages advise works: followed, it does away with what they are about."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mtl.cli.train import CONF
from mtl.config.compose import compose_checked
from mtl.config.groups import Groups
from mtl.config.overrides import join_tasks
from mtl.errors import MtlError
from mtl.tasks import TASK_TYPES
from mtl.tasks.base import take
from mtl.training.model import build_task
from mtl.training.setup import read_splits
from tests.badinput.advice import advised
from tests.badinput.harness import row, write

ROWS = [row(number) for number in range(4)]


def texts(head: str = "text,sentiment", between: str = ",", end: str = "\n") -> str:
    """Rows of a text and a label."""
    body = [f"{r['text'].replace(',', '')}{between}{r['sentiment']}" for r in ROWS]
    return end.join([*([head] if head else []), *body]) + end


def tagged(labels: Callable[[str], Any], number: int = 4) -> list[dict[str, Any]]:
    """Rows of words and labels of another spelling."""
    return [{**r, "ner_tags": [labels(tag) for tag in r["ner_tags"]]} for r in ROWS[:number]]


NUMBER = {"O": 0, "B-PER": 1, "I-PER": 2, "B-LOC": 3, "B-ORG": 4, "I-ORG": 5}
NAMES = "[O,B-PER,I-PER,B-LOC,B-ORG,I-ORG]"
SPANS = [{"text": "Ada met Bo.", "marks": [[0, 3, "PER"], [8, 10, "PER"]]}] * 2
OF_WORDS = "\n".join(["word,tag,part", *(f"{w},B-PER,{n // 2}" for n, w in enumerate("abcdef"))])


@dataclass(frozen=True)
class Followed:
    """A mistake, and what its message advises.

    Args:
        task: The task whose data it is.
        file: What is written, by its name; the first is the training file.
        advice: A pattern of what the message names, a key or an override.
        applied: The override that a user then types, where the message leaves a part of it open.
        given: Overrides of the first attempt.
        noted: Whether it is only noted.
    """

    task: str
    file: Mapping[str, Any]
    advice: str
    applied: str = ""
    given: tuple[str, ...] = ()
    noted: bool = False


CASES = {
    "bad row": Followed("sentiment", {"a.jsonl": [*ROWS, {"text": "x"}]},
                        r"S\.data\.on_bad_row=skip"),
    "encoding": Followed("sentiment", {"a.csv": texts().replace("soup", "süp").encode("latin-1")},
                         r"S\.data\.encoding", "S.data.encoding=latin-1"),
    "names that may be a row": Followed(
        "sentiment", {"a.tsv": texts("text\thow", "\t")}, r"S\.data\.header=true",
        given=("S.columns={text: 0, label: 1}",)),
    "a row that may be names": Followed(
        "sentiment", {"a.tsv": texts("text\tpositive", "\t")}, r"S\.data\.header=false",
        given=("S.columns={text: 0, label: 1}",)),
    "delimiter": Followed("sentiment", {"a.csv": texts("text @ sentiment", " @ ")},
                          r"S\.data\.delimiter", "S.data.delimiter=' @ '"),
    "open quotation mark": Followed("sentiment", {"a.csv": texts() + '"Oh no,neutral\n'},
                                    r"S\.data\.quoting=false"),
    "another column": Followed("sentiment", {"a.csv": texts("body,sentiment")},
                               r"S\.columns\.text=…", "S.columns.text=body"),
    "a misspelt column": Followed("sentiment", {"a.csv": texts("text,sentimnt")},
                                  r"S\.columns\.label=sentimnt"),
    "spans": Followed("ner", {"a.jsonl": SPANS}, r"S\.columns\.spans", "S.columns.spans=marks"),
    "a word a row": Followed(
        "ner", {"a.csv": OF_WORDS + "\n"}, r"S\.columns\.sentence", "S.columns.sentence=part",
        given=("S.columns={tokens: word, labels: tag}",)),
    "a list in JSON lines": Followed("sentiment", {"a.jsonl": json.dumps(ROWS)},
                                     r"S\.data\.format=json"),
    "numbers for tags": Followed("ner", {"a.jsonl": tagged(NUMBER.__getitem__)},
                                 r"S\.data\.labels", f"S.data.labels={NAMES}"),
    "numbers as tags": Followed("ner", {"a.jsonl": tagged(NUMBER.__getitem__)},
                                r"S\.metric=accuracy"),
    "labels of no scheme": Followed(
        "ner", {"a.jsonl": tagged(lambda tag: tag.replace("-", ":"))}, r"options\.scheme=none",
        "S.options.scheme=none", given=("S.metric=accuracy",)),
    "missing values": Followed("sentiment", {"a.csv": texts() + "Well.,nan\n"},
                               r"S\.data\.ignore_labels=\[nan\]", noted=True),
    "one row": Followed("ner", {"a.jsonl": ROWS[:1]}, r"S\.data\.validation",
                        "S.data.validation=b.jsonl"),
    "two files": Followed(
        "sentiment", {"a.jsonl": ROWS}, r"S\.data\.train=\[a\.csv,b\.csv\]",
        "S.data.train=[a.jsonl,b.jsonl]", given=("S.data.train='a.jsonl,b.jsonl'",)),
    "a folder for a file": Followed(
        "sentiment", {"a.jsonl": ROWS}, r"source", "S.data={source: data, train: null}",
        given=("S.data.train=data",)),
    "a file for a folder": Followed(
        "sentiment", {"a.jsonl": ROWS}, r"S\.data\.train",
        "S.data={source: null, train: a.jsonl}",
        given=("S.data.train=null", "S.data.source=a.jsonl")),
    "a name of digits": Followed(
        "sentiment", {"a.csv": texts("2023,sentiment")}, r"\"S\.columns\.text='2023'\"",
        "S.columns.text='2023'", given=("S.columns.text=2023",)),
}  # fmt: skip


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Read the data of a run and learn its labels; returns what is noted."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "b.jsonl", ROWS)
    write(tmp_path / "data" / "train.jsonl", ROWS)

    def go(task: str, overrides: list[str]) -> list[str]:
        typed = [f"task={task}", f"tasks.{task}.data.source=null", *overrides]
        joined = join_tasks(typed, False, Groups([CONF]).choices("task"))
        cfg = compose_checked(joined, [CONF], False, TASK_TYPES).config
        built = build_task(task, cfg.tasks[task])
        splits = read_splits(cfg, [built])[task]
        assert splits.train is not None
        take(built, built.learn(splits.uncut or splits.train))
        return splits.notes

    return go


@pytest.mark.parametrize("name", CASES)
def test_following_the_advice_helps(
    name: str, attempt: Callable[..., list[str]], tmp_path: Path
) -> None:
    case = CASES[name]
    key = f"tasks.{case.task}"
    for file, content in case.file.items():
        write(tmp_path / file, content)
    first = [f"{key}.data.train={next(iter(case.file))}"]
    first += [override.replace("S.", f"{key}.", 1) for override in case.given]
    if case.noted:
        message = "\n".join(attempt(case.task, first))
    else:
        with pytest.raises(MtlError) as caught:
            attempt(case.task, first)
        message = str(caught.value)
    pattern = case.advice.replace(r"S\.", rf"tasks\.{case.task}\.")
    named = [advice.text for advice in advised(message)] + re.findall(r"`([^`]+)`", message)
    told = next((text for text in named if re.fullmatch(pattern, text)), None)
    told = told or next(iter(re.findall(pattern, message)), None)
    assert told is not None, message
    applied = case.applied.replace("S.", f"{key}.", 1) if case.applied else told
    notes = attempt(case.task, [*first, applied])
    assert not case.noted or told not in "\n".join(notes)
