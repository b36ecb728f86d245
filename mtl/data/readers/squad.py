"""SQuAD JSON, versions 1.1 and 2.0: articles of paragraphs of questions, one row a question.

A file with one question::

    {"version": "1.1", "data": [{"title": "Rivers", "paragraphs": [
        {"context": "The Ash is short.", "qas": [
            {"id": "q1", "question": "What is short?",
             "answers": [{"text": "The Ash", "answer_start": 0}]}]}]}]}

Its row has the cells ``id``, ``text`` (the paragraph), ``question``, ``answers``, ``start`` (of
each answer) and ``title``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from mtl.config.section import Values
from mtl.data.node import Node
from mtl.data.readers.base import FORMATS, PLACE, Cells, Columns, Format, Source
from mtl.data.readers.jsons import BROKEN, elements, fault, member, skip
from mtl.data.readers.text import whole
from mtl.data.rows import place
from mtl.data.value_types import show
from mtl.errors import DataError, Mismatch

_PARAGRAPHS = re.compile(r'"paragraphs"\s*:')
CELLS = ("text", "question", "answers", "start", "id", "title")


def read_squad(source: Source) -> Iterator[tuple[int, Cells]]:
    """Yield a row for each question, article by article.

    Raises:
        DataError: If the file is no JSON, or something in it is missing or of another type, with
            its place, such as ``data[3].paragraphs[0].qas[2].answers[0].text``.
    """
    try:
        yield from _articles(source, whole(source))
    except BROKEN as problem:
        line = getattr(problem, "lineno", 0)
        raise source.fail(line, "JSON", f"found {fault(problem)}") from None


def _articles(source: Source, text: str) -> Iterator[tuple[int, Cells]]:
    top = skip(text, 0)
    opens = member(text, top, "data") if text[top : top + 1] == "{" else 0
    if text[opens : opens + 1] != "[":
        raise source.fail(0, "an object with a list of articles under `data`", "there is none")
    line, counted = 1, 0
    lines = text.find("\n", top, len(text) - 2) >= 0  # most files are one line
    for number, (at, value) in enumerate(elements(text, opens)):
        line += text.count("\n", counted, at)
        counted = at
        article = Node(value, place(source.name, line), f"data[{number}]").check(dict)
        own = _question_lines(text, at, line) if lines else iter(())
        yield from _questions(source, article, line, own)


def _question_lines(text: str, at: int, line: int) -> Iterator[Iterator[int]]:
    """Yield, for each paragraph of the article at `at`, the lines on which its questions begin.

    They end early where the article is not built as it should be, which its reader will say.
    """
    counted = at

    def line_of(place: int) -> int:
        nonlocal line, counted
        line += text.count("\n", counted, place)
        counted = place
        return line

    for paragraph in _starts(text, at, "paragraphs"):
        yield (line_of(question) for question in _starts(text, paragraph, "qas"))


def _starts(text: str, at: int, name: str) -> Iterator[int]:
    """Yield where each element of the list `name` begins, in the object at `at`."""
    opens = member(text, at, name) if text[at : at + 1] == "{" else 0
    if text[opens : opens + 1] == "[":
        yield from (start for start, _ in elements(text, opens))


def _questions(
    source: Source, article: Node, line: int, lines: Iterator[Iterator[int]]
) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of an article, each with the line of its question."""
    wanted = set(source.wanted)
    title = article.value.get("title")
    for paragraph in article.each("paragraphs", dict):
        context = paragraph.get("context", str).value
        own = next(lines, iter(()))
        for question in paragraph.each("qas", dict):
            line = next(own, line)
            question = question._replace(file=place(source.name, line))
            try:
                own_cells = _own_cells(question, wanted)
            except DataError:
                if source.bad_rows.policy == "error":
                    raise  # It says which part of the question is wrong.
                expected = "a question and its answers, each with `text` and `answer_start`"
                wrong = Mismatch(expected, f"got {show(question.value)}")
                source.reject(line, wrong, question.value)
                continue
            yield line, {"text": context, "title": title, PLACE: question.place, **own_cells}


def _own_cells(question: Node, wanted: Collection[str | int]) -> Cells:
    """Return what a question has beside its paragraph."""
    cells: dict[Any, Any] = {}
    for name in ("id", "question"):
        if name in wanted:
            cells[name] = question.get(name, str).value
    if "answers" in wanted:
        answers = _answers(question)
        cells |= {"answers": answers, "start": [a["start"] for a in answers]}
    return cells


def _answers(question: Node) -> list[Values]:
    """Return a question's answers but blank ones; none where it is marked as impossible."""
    answers = question.each("answers", dict)
    found = [{"text": a.get("text", str).value, "start": _start(a)} for a in answers]
    impossible = question.value.get("is_impossible") is True
    return [] if impossible else [answer for answer in found if answer["text"].strip()]


def _start(answer: Node) -> int:
    """Return an answer's start; a whole number may be written as 19.0."""
    value = answer.value.get("answer_start")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    start: int = answer.get("answer_start", int).value
    return start


def fit_cells(source: Source) -> Columns:
    """Return the columns as the cells that every SQuAD file has; those of the same name as a role.

    Raises:
        ConfigError: If a required role has none.
    """
    required = {role.name for role in source.roles if role.required}
    fitted: Columns = {}
    for role, column in source.columns.items():
        if role in CELLS or column in CELLS:
            fitted[role] = role if role in CELLS else column
        elif role in required:
            raise source.refuse_column(
                role,
                f"to be one of {{{', '.join(CELLS)}}}, which SQuAD's files have",
                f"got '{column}'",
            )
    return fitted


def is_squad(source: Source) -> bool:
    """Whether a JSON file is an object with ``data`` that speaks of paragraphs and questions."""
    text = whole(source)
    top = skip(text, 0)
    if text[top : top + 1] != "{" or not _PARAGRAPHS.search(text):
        return False
    try:
        return bool(member(text, top, "data"))
    except BROKEN:
        return False


FORMATS.register("squad")(Format(read_squad, (), fit_cells, within=("json",), claims=is_squad))
