"""Which tasks a table holds: a type, its columns and options, and why.

Each rule looks at what stands in the columns, and at their names where several would do. What a
rule proposes of a task type that is not there counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mtl.config.section import Values
from mtl.data.readers.base import FORMATS, Column
from mtl.data.readers.nested import MARK
from mtl.data.value_types import to_spans
from mtl.errors import MtlError, few
from mtl.inspection.guess.profiles import Profile, profile
from mtl.inspection.guess.tables import UNKNOWN, Table
from mtl.labels import NONE, detect_scheme
from mtl.tasks import TASK_TYPES

TEXTS = "text review sentence content document body comment tweet message post utterance article"
CONTEXTS = "context passage paragraph document text article story"
QUESTIONS = "question query"
ANSWERS = "answers answer"
TARGETS = "target summary highlights abstract gist headline translation completion response output"
LABELS = "label labels class category topic sentiment intent emotion gold tag polarity stars rating"
PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("s1", "s2"),
    ("query", "passage"),
)
WORDS = "word token form tokens words"
NO_LABELS = "id idx index sentence_id sentence_# sentence sent_id start end answer_start"
PLAIN = ("label", "labels", "class", "gold", "tag", "tags", "target", "answers", "spans")
"""Names of columns that say nothing of what a task is about."""


@dataclass(frozen=True)
class Proposal:
    """A task that a table seems to hold."""

    type: str
    columns: dict[str, Any]
    why: str
    about: str = ""
    """What the task is called by, where a column's name tells."""
    options: Values = field(default_factory=dict)
    data: Values = field(default_factory=dict)
    """What its ``data`` section has to say beside the files."""


class _Columns:
    """The columns of a table, each with what it holds."""

    def __init__(self, table: Table) -> None:
        every = {column: profile(cells) for column, cells in table.columns.items()}
        whole = {c for c, found in every.items() if found.kind in ("flags", "answers", "spans")}
        self.of = {c: p for c, p in every.items() if str(c).partition(".")[0] not in whole - {c}}
        self.cells = table.columns

    def kinds(self, *kinds: str) -> list[Column]:
        return [column for column, found in self.of.items() if found.kind in kinds]

    def called(self, names: str, among: Iterable[Column]) -> Column | None:
        """Return the column with the first of some names that there is."""
        by_name = {_plain(column): column for column in reversed(list(among))}
        return next((by_name[name] for name in names.split() if name in by_name), None)

    def text(self) -> Column | None:
        """Return the column of the texts: by its name, else the one with the longest."""
        texts = self.kinds("text")
        longest = max(texts, key=lambda c: sum(map(len, self.of[c].cells)), default=None)
        return self.called(TEXTS, [*texts, *self.kinds("word")]) or longest


Rule = Callable[[_Columns], Iterator[Proposal]]


def propose(table: Table) -> list[Proposal]:
    """Return the tasks that a table holds; none where nothing tells."""
    if table.format in _WHOLE:
        return [_WHOLE[table.format]]
    if table.format == "conll":
        return list(_conll(table))
    if table.format in ("parallel", UNKNOWN):
        return []
    if table.format not in ("csv", "tsv", "xlsx", "json", "jsonl", "parquet", "arrow", "saved"):
        why = f"there are texts with spans, as {table.format} has them"
        said = {"format": table.format} if FORMATS.get(table.format).within else {}
        columns = {"text": "text", "spans": "spans"}
        return [Proposal("token_classification", columns, why, data=said)]
    held = _Columns(table)
    every = [p for rule in RULES for p in rule(held) if p.type in TASK_TYPES]
    chosen = [c for p in every if "choices" in p.columns for c in p.columns.values()]
    found = [p for p in every if "choices" in p.columns or p.columns.get("label") not in chosen]
    text = held.text()
    if not found and text is not None and not (set(held.of) - {text}):
        return [Proposal("language_modeling", {"text": text}, f"{_name(text)} is all there is")]
    header = {} if table.named or not found else {"header": False}
    return [Proposal(p.type, p.columns, p.why, p.about, p.options, header) for p in found]


_WHOLE = {
    "squad": Proposal(
        "span_extraction",
        {"text": "text", "question": "question", "answers": "answers", "start": "start"},
        "it is in SQuAD's form",
    ),
    "text": Proposal("language_modeling", {"text": "text"}, "it is plain text"),
    "folders": Proposal(
        "text_classification",
        {"text": "text", "label": "label"},
        "each folder's name is the label of its texts",
    ),
}


def _conll(table: Table) -> Iterator[Proposal]:
    """Words in columns: labels are the last ones; two levels of entities are nested."""
    first = 1 if table.counted else 0
    if table.words[first:] == [""] * len(table.words[first:]):
        marked = [c for c in table.columns if c > first and _is_iob(table.columns[c])]  # type: ignore[operator]
        levels = marked[-2:] if table.counted and len(marked) == 2 else []
        if levels and "span_classification" in TASK_TYPES:
            columns = {"tokens": first, "labels": levels}
            why = f"columns {levels[0]} and {levels[1]} both mark entities: two levels"
            yield Proposal("span_classification", columns, why, "entities")
            return
        label: Column = len(table.columns) - 1 if not table.counted else (marked or [-1])[0]
    else:
        label = "upos" if "upos" in table.words else table.words[-1]
    width = len(table.columns)
    if width < first + 2:
        return
    words: Column = "form" if "form" in table.words else first
    if table.named:
        words = table.words[first]
    kind = "entities" if isinstance(label, int) and _is_iob(table.columns[label]) else ""
    more = f"; {width - first - 2} more columns may hold labels too" if width > first + 2 else ""
    why = f"a word a line, and its label in column {label}{more}"
    about = kind or (label if isinstance(label, str) else "")
    yield Proposal("token_classification", {"tokens": words, "labels": label}, why, about)


def _is_iob(sentences: list[list[str]]) -> bool:
    try:
        return detect_scheme(sentences) != NONE
    except MtlError:
        return False


def _words(columns: _Columns) -> Iterator[Proposal]:
    """Lists of words, with lists of labels beside them."""
    lists = columns.kinds("words", "labels")
    words = columns.called("tokens words token", lists)
    if words is None:
        return
    sizes = [len(cell or ()) for cell in columns.cells[words]]
    for column in lists:
        same = [len(cell or ()) for cell in columns.cells[column]] == sizes
        if column != words and same:
            why = f"{_name(column)} has a label for each of {_name(words)}"
            about = {"tokens": words, "labels": column}
            yield Proposal("token_classification", about, why, _about(column))


def _word_rows(columns: _Columns) -> Iterator[Proposal]:
    """A word in each row, with its labels beside it."""
    single = columns.kinds("word", "label")
    words = columns.called(WORDS, single)
    if words is None or columns.kinds("text"):
        return
    for column in single:
        labels = columns.of[column].kind == "label" and _plain(column) not in NO_LABELS.split()
        if labels and column != words:
            why = f"each row has a word, {_name(words)}, and its label, {_name(column)}"
            wanted = {"tokens": words, "labels": column}
            yield Proposal("token_classification", wanted, why, _about(column))


def _spans(columns: _Columns) -> Iterator[Proposal]:
    text = columns.text()
    for column in columns.kinds("spans") if text is not None else ():
        if any(map(_overlap, columns.of[column].cells)):
            kind, why = "span_classification", f"spans of {_name(column)} overlap"
        else:
            kind, why = "token_classification", f"{_name(column)} has spans of {_name(text)}"
        yield Proposal(kind, {"text": text, "spans": column}, why, _about(column))


def _overlap(cell: object) -> bool:
    spans = sorted((span["start"], span["end"]) for span in to_spans(cell))
    return any(before[1] > after[0] for before, after in pairwise(spans))


def _questions(columns: _Columns) -> Iterator[Proposal]:
    question = columns.called(QUESTIONS, columns.kinds("text", "word", "label"))
    answers = columns.called(ANSWERS, columns.of)
    texts = [c for c in columns.kinds("text") if c not in (question, answers)]
    text = columns.called(CONTEXTS, texts)
    if question is None or answers is None or text is None:
        return
    wanted = {"text": text, "question": question, "answers": answers}
    start = columns.called("answer_start start", columns.of)
    wanted |= {} if start is None else {"start": start}
    why = f"{_name(answers)} answers {_name(question)} from {_name(text)}"
    if _stand_in(columns.cells[text], columns.cells[answers]):
        yield Proposal("span_extraction", wanted, why)
    else:
        wanted = {"text": text, "question": question, "target": answers}
        options = {"prompt": "\nQuestion: {question}\nAnswer:", "scoring": "answers"}
        why = f"{why}, in words of its own"
        yield Proposal("generation", wanted, why, "answers", options)


def _stand_in(texts: list[Any], answers: list[Any]) -> bool:
    """Whether answers are objects with their places, or stand in their texts."""
    pairs = [(t, a) for t, a in zip(texts, answers, strict=True) if isinstance(a, str) and a]
    return sum(answer in str(text) for text, answer in pairs) * 2 > len(pairs) or not pairs


def _asked(columns: _Columns) -> Iterator[Proposal]:
    """A list of questions beside each text."""
    text = columns.text()
    for column in columns.kinds("objects", "answers") if text is not None else ():
        keys = columns.of[column].keys
        if "question" not in keys:
            continue
        answer = next((name for name in ANSWERS.split() if name in keys), None)
        inner = {"question": "question", "answers": answer, "start": "start"}
        inner = {role: name for role, name in inner.items() if name in keys}
        if answer is not None:
            wanted = {role: f"{column}{MARK}{name}" for role, name in inner.items()}
            why = f"{_name(column)} has questions on {_name(text)}"
            yield Proposal("span_extraction", {"text": text, **wanted}, why)


def _choices(columns: _Columns) -> Iterator[Proposal]:
    choices = columns.called("choices options endings", columns.kinds("texts", "labels", "words"))
    label = columns.called(f"{LABELS} answer", columns.kinds("label", "number", "word"))
    question = columns.called(QUESTIONS, columns.kinds("text", "word", "label"))
    text = columns.text()
    if choices is None or label is None or text is None:
        return
    wanted = {"text": text, "choices": choices, "label": label}
    if question is not None and question != text:
        wanted["question"] = question
    why = f"{_name(label)} is the right one of {_name(choices)}"
    yield Proposal("multiple_choice", wanted, why)


def _labels(columns: _Columns) -> Iterator[Proposal]:
    """A text, or a pair of them, and its labels."""
    text = columns.text()
    pair = _pair(columns)
    if pair is not None:
        text = pair[0]
    if text is None:
        return
    for column in columns.kinds("label", "number", "labels", "flags"):
        name = _plain(column)
        if column in (pair or (text,)) or name in NO_LABELS.split() or name in WORDS.split():
            continue
        options, what = _problem(columns.of[column])
        beside = {} if pair is None else {"second": pair[1]}
        texts = _name(text) if pair is None else f"{_name(text)} and {_name(pair[1])}"
        yield Proposal(
            "text_classification",
            {"text": text, **beside, "label": column},
            f"{_name(column)} has {what} for {texts}",
            _about(column),
            options,
        )


def _pair(columns: _Columns) -> tuple[Column, Column] | None:
    texts = {_plain(column): column for column in columns.kinds("text", "word", "label")}
    found = next((pair for pair in PAIRS if all(name in texts for name in pair)), None)
    return None if found is None else (texts[found[0]], texts[found[1]])


def _problem(found: Profile) -> tuple[Values, str]:
    """Return the options of a column of labels, and what it has."""
    if found.kind in ("labels", "flags"):
        return {"problem": "multi"}, "any number of labels"
    if found.kind == "number":
        return {"problem": "regression"}, f"numbers, {found.distinct} different ones,"
    names = sorted({str(cell) for cell in found.cells})
    if any("|" in name for name in names):
        return {"problem": "multi"}, "labels with | between them"
    counted = all(name.lstrip("+-").isdecimal() for name in names)
    more = "; options.problem=regression takes them as numbers" if counted else ""
    return {}, f"one of {found.distinct} labels ({few(names)}{more})"


def _targets(columns: _Columns) -> Iterator[Proposal]:
    texts = columns.kinds("text", "texts", "word")
    target = columns.called(TARGETS, texts)
    sources = [c for c in columns.kinds("text") if c != target]
    text = columns.called(f"{TEXTS} source {CONTEXTS}", sources) or next(iter(sources), None)
    if target is None or text is None or columns.called(QUESTIONS, columns.of) is not None:
        return
    about = "" if _plain(target) == "target" else _plain(target)
    options = {"scoring": "bleu"} if "translation" in about else {}
    why = f"{_name(target)} is to be written for {_name(text)}"
    yield Proposal("generation", {"text": text, "target": target}, why, about, options)


RULES: tuple[Rule, ...] = (
    _words,
    _word_rows,
    _spans,
    _questions,
    _asked,
    _choices,
    _labels,
    _targets,
)


def _plain(column: Column) -> str:
    return str(column).strip().lower().replace(" ", "_").replace("-", "_")


def _name(column: Column | None) -> str:
    return f"column {column}" if isinstance(column, int) else f"`{column}`"


def _about(column: Column) -> str:
    """Return what a column is about, by its name; empty where that is a usual one."""
    name = _plain(column)
    return "" if isinstance(column, int) or name in PLAIN else name.removesuffix("_tags")
