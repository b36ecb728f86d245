"""Span extraction: rows put right, windows, decoding, thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl.errors import ConfigError, DataError
from mtl.tasks import Task
from mtl.tasks._span_answers import Answer, Candidate, Window, choose, nearest
from mtl.tasks._span_layouts import room_beside
from mtl.tasks.base import own_metrics, remarks, restore
from mtl.tasks.span_extraction import SpanExtraction
from mtl.training.model import shared
from mtl.trunk.text import TextEncoder, pair_tokens
from mtl.types import Examples, Row
from tests import helpers
from tests.properties import max_examples
from tests.tasks.samples import (
    ASKED,
    HIDDEN,
    Sample,
    chosen,
    encoder,
    every,
    fed,
    one_pass,
    place,
    spans,
    states,
)

LAYOUTS = ("joint", "branch")
TEXT = "Ines left Brackwater. Ines came back. The Lantern was open, and Ines was not there."
WORDPIECE = helpers.wordpiece_tokenizer()


def task_of(layout: str = "branch", *impossible: str, **options: Any) -> SpanExtraction:
    sample = spans(layout, *impossible)
    task = Sample(sample.type, sample.rows, {**sample.options, **options}).task("qa")
    assert isinstance(task, SpanExtraction)
    return task


def row(text: str, question: str, *answers: tuple[str, int | None]) -> Row:
    given = [{"text": answer, "start": start} for answer, start in answers]
    return place([{"text": text, "question": question, "answers": given}])[0]


def encode(task: Task, item: Row, by: TextEncoder, kind: str = "causal") -> Any:
    (tokens,) = by.tokenize([item["text"]])
    return task.encode(item, tokens, by, kind)


# Rows


@pytest.mark.parametrize(
    ("start", "wanted", "moved"),
    [(0, 0, 0), (22, 22, 0), (20, 22, 1), (60, 64, 1), (999, 64, 1), (11, 0, 1), (None, 0, 0)],
)
def test_an_answer_is_taken_where_it_stands_nearest(
    start: int | None, wanted: int, moved: int
) -> None:
    task = task_of()
    found = task.check(row(TEXT, "Who?", ("Ines", start)))
    assert found["answers"] == [{"text": "Ines", "start": wanted}]
    assert len(remarks(task)) == moved
    assert all("1 answer was not at the given offset" in line for line in remarks(task))


@pytest.mark.parametrize("apart", [True, False], ids=["column", "in the answer"])
def test_an_unknown_start_is_looked_up(apart: bool) -> None:
    task = task_of()
    item = row(TEXT, "Who?", ("Lantern", None if apart else -1))
    found = task.check({**item, "start": [-1]} if apart else item)
    assert found["answers"] == [{"text": "Lantern", "start": 42}]
    (line,) = remarks(task)
    assert "1 answer has an unknown start (-1); the first place with the same text" in line


def test_answers_that_can_never_be_given_are_counted() -> None:
    text = " ".join(f"w{n}" for n in range(60))
    encoder = TextEncoder(WORDPIECE, 24, 4)
    (four,) = encoder.tokenize(["w3 w4 w5 w6"])
    most = len(four) - 1
    task = task_of("joint", max_answer_tokens=most)
    for answer in ("w1", "w3 w4 w5 w6", " ".join(f"w{n}" for n in range(20, 50))):
        encode(task, task.check(row(text, "Which?", (answer, None))), encoder)
    found = remarks(task)
    longer = f"2 answers of the data are longer than options.max_answer_tokens={most}"
    assert any(longer in line for line in found)
    assert any("raise tasks.qa.options.max_answer_tokens" in line for line in found)
    assert any("1 answer of the data is in no window whole" in line for line in found)


@given(st.text("ab ", min_size=1, max_size=30), st.text("ab", min_size=1, max_size=3), st.data())
def test_nearest_is_a_search_of_all_places(text: str, answer: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 40))
    places = [i for i in range(len(text)) if text[i : i + len(answer)] == answer]
    found = nearest(text, answer, at)
    assert (found is None) == (not places)
    if found is not None:
        assert found in places
        assert abs(found - at) == min(abs(p - at) for p in places)


def test_blanks_around_an_answer_are_no_part_of_it() -> None:
    found = task_of().check(row(TEXT, "What?", (" Lantern  ", 42)))
    assert found["answers"] == [{"text": "Lantern", "start": 42}]


@pytest.mark.parametrize(
    ("start", "wanted"), [(42, [42]), ("42", [42]), ([42.0], [42]), (None, [42]), ("", [42])]
)
def test_starts_may_be_a_column_of_their_own(start: Any, wanted: list[int]) -> None:
    item = {**row(TEXT, "What?", ("Lantern", None)), "start": start}
    assert [a["start"] for a in task_of().check(item)["answers"]] == wanted


@pytest.mark.parametrize(
    ("answer", "start", "message"),
    [
        ("Nobody", None, "answer 'Nobody' to question 'What\\?' to stand in its document"),
        ("Ines", [0, 1], "one start for each of 1 answers, but got \\[0, 1\\]"),
        ("Ines", "zero", "whole number of 0 or more, but got 'zero'"),
        ("Ines", -2, "whole number of 0 or more, but got -2"),
        ("Ines", True, "whole number of 0 or more, but got True"),
    ],
)
def test_answers_that_are_none(answer: str, start: Any, message: str) -> None:
    item = {**row(TEXT, "What?", (answer, None)), "start": start}
    with pytest.raises(ValueError, match=message):
        task_of().check(item)


# Windows


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tokenizer", helpers.TOKENIZERS)
@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_targets_point_at_the_answer(layout: str, tokenizer: str, kind: str) -> None:
    """In every window that holds it whole; elsewhere at the null place. Every window is read."""
    by = TextEncoder(helpers.TOKENIZERS[tokenizer](), 40, 12, architecture="encoder")
    text = " ".join([helpers.CORPUS[0], helpers.CORPUS[1], helpers.CORPUS[3]])
    item = row(text, "Who?", ("Okonkwo", text.index("Okonkwo")))
    found = encode(task_of(layout), item, by, kind)
    assert len(found.documents) > 1
    first = np.cumsum([0, *found.inputs["sizes"][:-1]])
    held = 0
    for at, size, start, end in zip(
        first, found.inputs["sizes"], found.targets["start"], found.targets["end"], strict=True
    ):
        chars = found.extra["chars"][at : at + size]
        inside = chars[1:, 0].min() <= item["answers"][0]["start"] and (
            chars[1:, 1].max() >= item["answers"][0]["start"] + len("Okonkwo")
        )
        assert (start > 0) == (end > 0) == inside
        held += inside
        if inside:
            assert "Okonkwo" in text[chars[start, 0] : chars[end, 1]]
            assert text[chars[start, 0] : chars[end, 1]].strip(" .,") == "Okonkwo"
    assert held >= 1


@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
@pytest.mark.parametrize("tokenizer", helpers.TOKENIZERS)
def test_joint_windows_are_what_the_tokenizer_makes_of_a_pair(tokenizer: str, kind: str) -> None:
    by = TextEncoder(helpers.TOKENIZERS[tokenizer](), 64, 12)
    item = row("Tea and bread.", "Who left?", ("Tea", 0))
    found = encode(task_of("joint"), item, by, kind)
    pair = by.tokenizer(item["question"], item["text"])["input_ids"]
    ids = found.documents[0].tolist()
    prefix, middle, suffix = pair_tokens(by.tokenizer)
    if tokenizer == "bpe":
        assert (len(prefix), len(suffix)) == (0, 0)
        question, document = by.tokenize([item["question"], item["text"]])
        newline = by.tokenizer("\n")["input_ids"]
        assert ids == [*question.ids, *newline, *document.ids, *newline]
    else:
        assert ids[: len(pair)] == pair
        # Without an end mark, what is read causally ends with a newline.
        end = tokenizer == "metaspace" and kind == "causal"
        newline = by.tokenizer("\n", add_special_tokens=False)["input_ids"]
        assert ids[len(pair) :] == newline * end
        assert len(middle) == 1
    null = found.offset[0]
    assert null == (0 if kind == "bidirectional" and len(prefix) else len(ids) - 1)
    assert len(set(zip(found.part.tolist(), found.offset.tolist(), strict=True))) == found.outputs


def test_branches_leave_the_document_as_other_tasks_read_it() -> None:
    by = encoder(16, stride=4)
    item = row(TEXT, "Who?", ("Ines", 0))
    (tokens,) = by.tokenize([TEXT])
    found = encode(task_of("branch"), item, by)
    wanted = [by.document(tokens, window).tolist() for window in by.windows(len(tokens))]
    assert [d.tolist() for d in found.documents] == wanted
    assert [b.document for b in found.branches] == list(range(len(wanted)))
    assert len({tuple(b.ids.tolist()) for b in found.branches}) == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_question_longer_than_the_window_is_said_with_its_place(layout: str) -> None:
    item = row(TEXT, "Who " * 40 + "?", ("Ines", 0))
    with pytest.raises(DataError, match=r"data\.jsonl:1: Expected a question that leaves 8 of"):
        encode(task_of(layout), item, encoder(64))


@given(st.integers(1, 200), st.integers(1, 60), st.integers(10, 80), st.integers(0, 120))
def test_windows_leave_a_branch_its_positions(
    document: int, branch: int, length: int, more: int
) -> None:
    by, positions = encoder(length, stride=4, tokenizer=WORDPIECE), length + more
    room = room_beside(document, branch, by, positions)
    marks = by.max_length - by.room
    assert room <= by.room
    assert room < 1 or marks + min(document, room) + branch <= positions
    if marks + min(document, by.room) + branch <= positions:
        assert by.windows(document, room) == by.windows(document)


def test_narrower_windows_have_the_answer_too() -> None:
    """Where documents and questions need more positions than there are; no read goes past them."""
    task, by = task_of("branch"), encoder(40, stride=4)
    item = row(TEXT, "Who?", ("not there", TEXT.index("not there")))
    free = encode(task, item, by)
    task.learned = task.learned.model_copy(update={"positions": 40})
    tight = encode(task, item, by)
    assert max(map(len, free.documents)) + len(free.branches[0].ids) > 40
    assert max(map(len, tight.documents)) + len(tight.branches[0].ids) <= 40
    assert tight.targets["start"].any()


# Answers


def windows_of(seed: int, lengths: list[int], stride: int) -> tuple[str, list[Window]]:
    """Return a text of one-letter tokens with blanks, and windows of random logits over it."""
    rng = np.random.default_rng(seed)
    size = max(lengths) + stride * (len(lengths) - 1)
    text = " ".join(chr(97 + i % 26) for i in range(size))
    # Like byte-level tokens: each begins with the blank before it.
    chars = np.asarray([[max(0, 2 * i - 1), 2 * i + 1] for i in range(size)])
    found = []
    for number, length in enumerate(lengths):
        inside = chars[number * stride : number * stride + length]
        logits = rng.normal(size=(1 + len(inside), 2))
        found.append(Window(logits, np.concatenate([[[0, 0]], inside])))
    return text, found


@max_examples(40)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 12),
    st.integers(1, 6),
)
def test_the_best_spans_are_those_of_a_search_over_all_windows(
    seed: int, lengths: list[int], stride: int, longest: int, count: int
) -> None:
    text, windows = windows_of(seed, lengths, stride)
    scores: dict[tuple[int, int], float] = {}
    for logits, chars in windows:
        for i in range(1, len(chars)):
            for j in range(i, min(i + longest, len(chars))):
                start = int(chars[i, 0]) + (text[chars[i, 0]] == " ")
                key = (start, int(chars[j, 1]))
                scores[key] = max(scores.get(key, -np.inf), logits[i, 0] + logits[j, 1])
    wanted = sorted(scores.items(), key=lambda item: -item[1])[:count]
    found = choose(text, windows, longest=longest, count=count, threshold=None)
    assert [(s.start, s.end) for s in found.best] == [key for key, _ in wanted]
    assert [s.score for s in found.best] == pytest.approx([score for _, score in wanted])
    assert found.text == text[wanted[0][0][0] : wanted[0][0][1]]
    assert found.null == pytest.approx(min(float(w.logits[0].sum()) for w in windows))


@pytest.mark.parametrize("above", [True, False])
def test_no_answer_is_given_above_the_threshold(above: bool) -> None:
    text, windows = windows_of(0, [6, 6], 3)
    free = choose(text, windows, longest=9, count=2, threshold=None)
    threshold = free.no_answer + (-1e-9 if above else 1e-9)
    found = choose(text, windows, longest=9, count=2, threshold=threshold)
    assert (found.text == "") is above
    assert found.best == free.best
    assert found.span == (None if above else free.span)


def test_a_document_of_blanks_has_no_answer() -> None:
    window = Window(np.ones((3, 2)), np.asarray([[0, 0], [0, 1], [1, 2]]))
    assert choose("  ", [window], longest=3, count=3, threshold=None).text == ""


@pytest.mark.parametrize("layout", LAYOUTS)
@max_examples(15)
@given(st.lists(st.text(min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=3))
def test_an_answer_is_a_slice_of_its_document(layout: str, texts: list[str]) -> None:
    """Of any text, with two kinds of tokenizer; with one or several windows."""
    task = task_of(layout)
    rows = place([{"text": text, "question": "Who?"} for text in texts])
    for tokenizer in (None, WORDPIECE):
        part, ids = one_pass(task, rows, encoder(24, 4, tokenizer))
        logits = task.build_head(HIDDEN).score(part.read(states(ids)), part.given)
        examples = chosen(part, rows)
        for answer, item in zip(task.decode(logits, examples), examples.rows, strict=True):
            for span in answer.best:
                assert 0 <= span.start < span.end <= len(item["text"])
            if answer.span is not None:
                assert answer.text == item["text"][answer.span.start : answer.span.end]
                assert answer.text == answer.text.strip()


def test_a_shown_answer_is_the_best_of_its_list() -> None:
    best = (Candidate(0, 4, 2.0), Candidate(5, 9, 1.0))
    given_ = Answer("Ines", best[0], 0.0, best)
    shown = task_of().present(given_, {"text": TEXT})
    assert (shown["answer"], shown["start"], shown["end"]) == ("Ines", 0, 4)
    assert [one["answer"] for one in shown["n_best"]] == ["Ines", "left"]
    assert sum(one["score"] for one in shown["n_best"]) == pytest.approx(1.0, abs=1e-3)
    assert shown["score"] == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-4)


def test_no_answer_is_shown_as_an_empty_one() -> None:
    best = (Candidate(0, 4, 1.0),)
    shown = task_of("branch", "Why?").present(Answer("", None, 3.0, best), {"text": TEXT})
    assert (shown["answer"], shown["start"]) == ("", None)
    assert shown["score"] == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-4)
    assert [one["answer"] for one in shown["n_best"]] == ["", "Ines"]


# What is learned


def test_impossible_questions_are_found_in_training() -> None:
    assert own_metrics(task_of()) == ["f1", "em"]
    both = task_of("branch", "Why?")
    assert set(own_metrics(both)) > {"f1", "em", "no_answer_f1", "best_em"}
    with pytest.raises(DataError, match="at least one question with an answer"):
        both.learn(place([{"text": "a", "question": "b", "answers": []}]))


def test_a_metric_of_version_2_needs_impossible_questions() -> None:
    sample = spans("joint")
    with pytest.raises(ConfigError, match=r"tasks\.sample\.metric.*every question"):
        Sample(sample.type, sample.rows, sample.options, metric="best_f1").task()


def test_the_tuned_threshold_is_kept_and_used() -> None:
    task, other = task_of("branch", "Why?"), task_of("branch", "Why?")
    text, windows = windows_of(1, [8], 1)
    free = choose(text, windows, longest=9, count=1, threshold=None)
    rows = place(
        [{"text": text, "question": "?", "answers": [{"text": free.text, "start": 0}]}] * 2
    )
    rows[1] = {**rows[1], "answers": []}
    outputs = [free._replace(null=free.best[0].score + gap) for gap in (2.0, 5.0)]
    scores = fed(task, (outputs, every(task, rows)))
    assert scores.compute()["f1"] == 0.5
    task.learned = task.learned.tuned(scores)
    assert 2.0 <= task.learned.threshold < 5.0
    assert scores.compute()["f1"] == 1.0
    restore(other, task.learned.model_dump())
    assert other.learned.threshold == task.learned.threshold


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tasks_of_one_layout_share_a_head(layout: str) -> None:
    task, same = task_of(layout), task_of(layout)
    assert shared(task, [same]) == {"layout": layout}
    other = task_of(LAYOUTS[layout == "joint"])
    with pytest.raises(ConfigError, match=r"one `options\.layout`"):
        shared(task, [other])


def test_the_baseline_is_the_rule_that_fits_training() -> None:
    """Names answer one kind of corpus, nothing answers another."""
    text = "it rained. Ines Talbot left. nobody asked."
    named = place(
        [{"text": text, "question": "who?", "answers": [{"text": "Ines Talbot", "start": 11}]}]
    )
    assert guessed(task_of(), named, {"text": text, "question": "x?"}) == "Ines Talbot"
    none = place([{"text": text, "question": "who?", "answers": []}])
    assert guessed(task_of("branch", "Why?"), [*named, *none, *none, *none], named[0]) == ""


def test_every_rule_gives_a_slice_whatever_the_text() -> None:
    for text, question, _ in ASKED:
        for odd in (text, text.lower(), "x", "...", "\n\n", "A. B! C?"):
            train = spans("joint").placed()
            assert guessed(task_of(), train, {"text": odd, "question": question}) in odd


def guessed(task: SpanExtraction, train: list[Row], one: Row) -> str:
    guess = task.baseline(Examples([], train))
    (found,) = guess(Examples([], [one]))
    return str(found.text)


def test_logits_of_half_precision_are_decoded() -> None:
    task, rows = task_of(), spans("branch").placed()
    part, ids = one_pass(task, rows)
    logits = task.build_head(HIDDEN).score(part.read(states(ids)), part.given)
    assert len(task.decode(logits.to(torch.bfloat16), chosen(part, rows))) == len(rows)
