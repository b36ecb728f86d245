"""Prompts, targets and limits of `generation`, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl.config.schema import TrunkConfig
from mtl.errors import ConfigError
from mtl.tasks import Task
from mtl.tasks.base import document, own_metrics, remarks
from mtl.tasks.generation import Written, prompt_of
from mtl.training.evaluation import higher_is_better
from mtl.training.model import make_task, shared
from mtl.trunk import TextEncoder
from mtl.trunk.load import load_trunk
from mtl.types import Encoded, Row
from tests import helpers
from tests.tasks.samples import (
    TOKENIZER,
    chosen,
    encoder,
    every,
    head_of,
    one_pass,
    place,
    score_of,
    states,
    trunk_of,
)
from tests.trunk.families import FAMILIES, save_family
from tests.trunk.writers import load_writer

END = 0
ROW = {
    "text": "The pump ran.",
    "target": ["It ran.", "Yes."],
    "question": "Did {it} run?",
    "instruction": "Say so",
}


def task_of(
    *, head: dict[str, Any] | None = None, metric: str | None = None, **options: Any
) -> Any:
    return make_task("gist", "generation", options=options, head=head or {}, metric=metric)


def ids(text: str) -> list[int]:
    found: list[int] = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    return found


def encoded(task: Task, by: TextEncoder | None = None, kind: str = "causal", **row: Any) -> Encoded:
    by = by or encoder()
    whole: Row = {**ROW, **row}
    (tokens,) = by.tokenize([document(whole)])
    return task.encode(whole, tokens, by, kind)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("\n\n", "\n\n"),
        ("\nSummary:", "\nSummary:"),
        ("\n{question} {instruction}:", "\nDid {it} run? Say so:"),
        ("{{{question}}}", "{Did {it} run?}"),
        ("", ""),
    ],
)
def test_prompts(prompt: str, text: str) -> None:
    """The document, then the prompt, then the first right text and the end."""
    found = encoded(task_of(prompt=prompt))
    (document,), (branch,) = found.documents, found.branches
    target = [*ids(" It ran."), END]
    assert document.tolist() == ids(" The pump ran.")
    assert branch.ids.tolist() == [*ids(text), *target[:-1]]
    assert found.targets["labels"].tolist() == target
    assert found.mass == found.outputs == len(target)
    parts = [document, branch.ids]
    before = [*document, *ids(text), *target]
    for at, (part, offset) in enumerate(zip(found.part, found.offset, strict=True)):
        assert parts[part][offset] == before[len(document) + len(ids(text)) + at - 1]


@pytest.mark.parametrize("prompt", ["\nSummary:", ""])
def test_what_is_read_before_writing(prompt: str) -> None:
    """The same with the right text in view and without it."""
    task = task_of(prompt=prompt)
    row = {k: v for k, v in ROW.items() if k != "target"}
    by = encoder()
    (tokens,) = by.tokenize([str(row["text"])])
    for example in (encoded(task), task.encode(row, tokens, by, "causal")):
        found = prompt_of(example, False)
        assert found.document.tolist() == ids(" The pump ran.")
        assert found.branch.tolist() == ids(prompt)


def test_an_empty_right_text_is_the_end_alone() -> None:
    found = encoded(task_of(), target=[""])
    assert found.targets["labels"].tolist() == [END]
    assert found.branches[0].ids.tolist() == ids("\n\n")


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [("{text}", "{text}"), ("{}", "{}"), ("{question", "{}"), ("}", "{}"), ("{0}", "{0}")],
)
def test_unknown_braces_are_refused(prompt: str, shown: str) -> None:
    with pytest.raises(ConfigError) as error:
        task_of(prompt=prompt)
    message = str(error.value)
    assert "`tasks.gist.options.prompt`" in message
    assert f"but got {shown}" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["question", "instruction"])
def test_what_a_prompt_names_is_required(name: str) -> None:
    task = task_of(prompt=f"\n{{{name}}}")
    roles = {role.name: role for role in task.roles(task.options)}
    assert [n for n, role in roles.items() if role.required] == ["text", "target", name]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scoring": "rogue"}, r"tasks\.gist\.options\.scoring.*rouge"),
        ({"num_return_sequences": 2}, r"num_return_sequences.* at most num_beams \(1\)"),
        ({"max_new_tokens": 0}, r"options\.max_new_tokens"),
        ({"top_p": 1.5, "do_sample": True}, r"options\.top_p"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        task_of(**options)


@pytest.mark.parametrize(
    ("scoring", "names"),
    [
        ("rouge", {"rougeL", "rouge1", "rouge2", "rougeLsum"}),
        ("answers", {"f1", "em"}),
        ("bleu", {"bleu", "chrf"}),
    ],
)
def test_metrics_are_those_of_the_scoring(scoring: str, names: set[str]) -> None:
    task = task_of(scoring=scoring)
    assert set(own_metrics(task)) == {*names, "perplexity"}
    assert task.primary_metric in names
    assert not higher_is_better(task_of(scoring=scoring, metric="perplexity"))
    with pytest.raises(ConfigError, match=r"tasks\.gist\.metric"):
        task_of(scoring=scoring, metric="f1" if scoring != "answers" else "rougeL")


def test_cut_documents_and_targets_are_counted() -> None:
    task, by = task_of(max_target_tokens=9, max_new_tokens=3, prompt="\n:"), encoder(12)
    assert remarks(task) == []
    encoded(task, by)
    long = "It ran and ran and ran and ran and ran all day long."
    found = encoded(task, by, text=long, target=[long])
    encoded(task, by, text=long)
    assert found.documents[0].tolist() == ids(" " + long)[:12]
    assert found.targets["labels"].tolist() == [*ids(" " + long)[:9], END]
    documents, targets = remarks(task)
    assert documents.startswith("tasks.gist: 2 documents")
    assert "trunk.max_length" in documents
    assert targets.startswith("tasks.gist: 1 target")
    assert "options.max_target_tokens=9" in targets


def test_a_prompt_longer_than_a_window_is_cut_and_counted() -> None:
    task, by = task_of(prompt="\n{question}"), encoder(12)
    found = encoded(task, by, question="why " * 50)
    assert found.branches[0].ids[:6].tolist() == ids("\n" + "why " * 50)[:6]
    assert len(found.branches[0].ids) == 6 + len(found.targets["labels"]) - 1
    (remark,) = remarks(task)
    assert remark.startswith("tasks.gist: 1 prompt")


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5", "bart"])
def test_no_row_is_longer_than_the_trunk_has_positions(tmp_path: Path, name: str) -> None:
    """Long documents, prompts and targets at once; the trunk's pass and its writing hold."""
    trunk = load_writer(name, tmp_path)
    task = task_of(prompt="\n{question}", max_target_tokens=20, max_new_tokens=20)
    task.fits(trunk)
    by = trunk.text_encoder(64, 8, prefix_space=False)
    head = task.build_head(trunk.hidden_size)
    head.attach(trunk.output)
    examples = [
        encoded(task, by, trunk.attention, text="rain " * 99, question=asked, target=["yes " * 99])
        for asked in ("why " * 99, "why")
    ]
    for example in examples:
        assert all(len(document) <= 64 for document in example.documents)
        (branch,) = example.branches
        alone = len(branch.ids) if trunk.architecture == "encoder-decoder" else example.length
        assert alone <= 64
    found = task.writer()(trunk, head, examples, bidirectional=False)
    assert all(output.texts for output in found)


def test_texts_longer_than_the_positions_are_refused(tmp_path: Path) -> None:
    trunk = load_writer("gpt2", tmp_path)
    task_of(max_target_tokens=55, max_new_tokens=55).fits(trunk)
    for target, written in ((56, 5), (5, 56)):
        with pytest.raises(ConfigError, match=r"tasks\.gist\.options.* at most 55.* 64 positions"):
            task_of(max_target_tokens=target, max_new_tokens=written).fits(trunk)


def test_a_tied_head_cannot_learn_with_a_frozen_trunk() -> None:
    trunk = trunk_of().requires_grad_(False)
    limits: Any = {"max_target_tokens": 9, "max_new_tokens": 9}
    with pytest.raises(ConfigError, match=r"`tasks\.gist\.head\.tied` to be false"):
        task_of(**limits).build_head(trunk.hidden_size).attach(trunk.output)
    task_of(head={"tied": False}, **limits).build_head(trunk.hidden_size).attach(trunk.output)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_an_encoder_is_refused(tmp_path: Path, name: str) -> None:
    """One sentence that names trunk and task, whether or not an output layer was asked for."""
    path = save_family(name, tmp_path, helpers.wordpiece_tokenizer())
    trunk = load_trunk(TrunkConfig(name="hf", path=str(path)), writes=True)
    with pytest.raises(ConfigError) as error:
        task_of().fits(trunk)
    message = str(error.value)
    assert "'gist'" in message
    assert f"{FAMILIES[name]().model_type} is an encoder" in message
    assert message.count(". ") == 0


def test_a_prompt_without_tokens_needs_causal_documents() -> None:
    """The last token could not be read both by the cache of the document and after it."""
    with pytest.raises(ConfigError, match=r"tasks\.gist\.options\.prompt.*at least one token"):
        encoded(task_of(prompt=""), kind="bidirectional")
    assert encoded(task_of(prompt="\n"), kind="bidirectional").outputs


def test_a_shared_head_is_of_tasks_that_write() -> None:
    other = make_task("mood", "text_classification", options={}, head={})
    assert shared(task_of(), [task_of(scoring="bleu")]) == {}
    with pytest.raises(ConfigError, match=r"\(gist, mood\) to be generation"):
        shared(task_of(), [other])


def test_perplexity_by_hand() -> None:
    """Of a head that gives every token its share: exactly as many choices as there are tokens."""
    task = task_of()
    rows = place([ROW, {**ROW, "target": ["No."]}])
    part, tokens = one_pass(task, rows)
    trunk = trunk_of()
    head = head_of(task, trunk)
    assert trunk.output is not None
    torch.nn.init.zeros_(trunk.output.projection.weight)
    outputs = task.decode(head(part.read(states(tokens))), chosen(part, rows))
    vocabulary = trunk.output.vocabulary
    assert [o.tokens for o in outputs] == [len(ids(" It ran.")) + 1, len(ids(" No.")) + 1]
    assert [o.nats for o in outputs] == pytest.approx(
        [o.tokens * math.log(vocabulary) for o in outputs]
    )
    found = score_of(task, (outputs, chosen(part, rows)))
    assert found["perplexity"] == pytest.approx(vocabulary)
    assert found["rougeL"] == 0.0


def test_only_written_texts_are_scored_and_the_best_reference_counts() -> None:
    task = task_of()
    rows = place([ROW, {**ROW, "target": ["Nothing"]}])
    read = ([Written(nats=4.0, tokens=2)] * 2, every(task, rows))
    written = ([Written(texts=(("yes", None), ("It ran.", None)))], every(task, rows[:1]))
    found = score_of(task, read, written)
    assert found["rouge1"] == pytest.approx(1.0)
    assert found["perplexity"] == pytest.approx(math.exp(2))


@pytest.mark.parametrize(
    ("scoring", "guess"),
    [("rouge", "The pump ran."), ("answers", "Yes."), ("bleu", "The pump ran. Then it stopped.")],
)
def test_honest_guesses(scoring: str, guess: str) -> None:
    rows = place([{**ROW, "target": [text]} for text in ("Yes.", "No.", "Yes.")])
    row = {**ROW, "text": "The pump ran. Then it stopped."}
    task = task_of(scoring=scoring)
    (found,) = task.baseline(every(task, rows))(every(task, place([row])))
    assert found.texts == ((guess, None),)


def test_what_a_person_reads() -> None:
    task = task_of()
    assert task.present(Written(texts=(("Yes", None),)), ROW) == {"text": "Yes"}
    found = task.present(Written(texts=(("Yes", -0.25), ("No", -1.0))), ROW)
    assert found["text"] == "Yes"
    assert found["texts"] == [{"text": "Yes", "score": -0.25}, {"text": "No", "score": -1.0}]
    sampled = task.present(Written(texts=(("Yes", None), ("No", None))), ROW)
    assert sampled["texts"] == [{"text": "Yes"}, {"text": "No"}]


def test_special_tokens_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from mtl.tasks import generation
    from mtl.trunk.generate import Hypothesis

    written = [*ids(" It ran."), END, *ids("\n")]

    def generated(*_: Any, **__: Any) -> list[list[Hypothesis]]:
        return [[Hypothesis(np.asarray(written, dtype=np.int32), None)]]

    monkeypatch.setattr(generation, "generate", generated)
    task, trunk = task_of(), trunk_of()
    (output,) = task.writer()(trunk, head_of(task, trunk), [encoded(task)], bidirectional=False)
    assert output.texts == (("It ran.", None),)


@pytest.mark.parametrize("seed", [0, 3])
def test_sampled_texts_follow_from_the_seed(seed: int) -> None:
    trunk = trunk_of()

    def sampled(seed: int) -> list[Any]:
        task = task_of(do_sample=True, num_return_sequences=2, max_new_tokens=6, seed=seed)
        torch.rand(7)
        return list(
            task.writer()(trunk, head_of(task, trunk), [encoded(task)], bidirectional=False)
        )

    assert sampled(seed) == sampled(seed) != sampled(seed + 1)


OTHERS = ("The pump ran.", "Tea, bread, and a letter from Okonkwo.", "Was the museum open?")


def test_a_text_that_is_drawn_does_not_depend_on_the_others_of_its_batch() -> None:
    task, trunk = task_of(do_sample=True, max_new_tokens=6, seed=1), trunk_of()
    examples = [encoded(task, text=text) for text in OTHERS]
    write, head = task.writer(), head_of(task, trunk)
    together = write(trunk, head, examples, bidirectional=False)
    alone = [write(trunk, head, [one], bidirectional=False)[0] for one in examples]
    assert together == alone
    assert write(trunk, head, examples[::-1], bidirectional=False) == together[::-1]


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"num_beams": 2}])
def test_texts_are_told_as_they_are_written(options: dict[str, Any]) -> None:
    task, trunk = task_of(max_new_tokens=8, **options), trunk_of()
    examples = [encoded(task, text=text) for text in OTHERS]
    pieces: list[list[str]] = [[] for _ in examples]
    found = task.writer()(
        trunk,
        head_of(task, trunk),
        examples,
        bidirectional=False,
        pieces=lambda number, piece: pieces[number].append(piece),
    )
    if "num_beams" in options:
        assert pieces == [[], [], []], "beams change what they have written"
        return
    for own, output in zip(pieces, found, strict=True):
        assert len(own) > 1
        assert output.texts[0][0].startswith("".join(own))


def test_a_decoder_without_a_first_token_is_refused() -> None:
    trunk = trunk_of()
    trunk.architecture, trunk.start = "encoder-decoder", None
    with pytest.raises(ConfigError, match=r"task 'gist'.*decoder_start_token_id"):
        task_of().fits(trunk)
