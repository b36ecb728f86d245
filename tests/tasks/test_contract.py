"""What every registered task type promises; a new type needs a sample and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.optim import Adam

from mtl.data.collate import Collator, Sharing
from mtl.errors import ConfigError
from mtl.tasks import TASK_TYPES, Task
from mtl.tasks.base import document, own_metrics, restore
from mtl.tasks.encode import encode_split
from mtl.tasks.results import Prediction
from mtl.training.evaluation import Evaluation
from mtl.training.model import MultiTaskModel, answers
from mtl.types import Encoded, Row
from tests.tasks.samples import (
    SAMPLES,
    Sample,
    chosen,
    encoder,
    every,
    head_of,
    in_order,
    one_pass,
    score_of,
    states,
    trunk_of,
    write_all,
)

samples = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)


def test_every_type_has_a_sample() -> None:
    assert {sample.type for sample in SAMPLES.values()} == set(TASK_TYPES)


@pytest.mark.parametrize("name", TASK_TYPES)
def test_roles_and_metrics_are_declared(name: str) -> None:
    kind = TASK_TYPES.get(name)
    roles = kind.roles()
    assert kind.type == name
    assert len({role.name for role in roles}) == len(roles)
    # Without a target, what is predicted is the document itself.
    assert kind.traits.writes or any(role.target for role in roles)
    assert any(not role.target and role.required for role in roles)
    assert all(role.help for role in roles)
    assert len(set(kind.metric_names)) == len(kind.metric_names)
    assert kind.traits.lower_is_better <= set(kind.metric_names)
    assert kind.__doc__


@samples
def test_own_roles_are_roles(sample: Sample) -> None:
    task = sample.task()
    own, roles = task.roles(task.options), task.roles()
    assert [role.name for role in own] == [role.name for role in roles]
    given = set().union(*sample.rows)
    assert {role.name for role in own if role.required} <= given


@samples
def test_state_is_json_and_comes_back(sample: Sample) -> None:
    task, other = sample.task(), sample.task(learned=False)
    state = json.loads(json.dumps(task.learned.model_dump()))
    restore(other, state)
    assert other.learned == task.learned
    for name in state.keys() - task.learns.later.keys():
        with pytest.raises(KeyError, match=name):
            restore(other, {key: value for key, value in state.items() if key != name})
    restore(other, {key: value for key, value in state.items() if key not in task.learns.later})
    before, after = head_of(task), head_of(other)
    assert [p.shape for p in before.parameters()] == [p.shape for p in after.parameters()]


@samples
def test_learning_twice_is_learning_once(sample: Sample) -> None:
    task = sample.task()
    assert task.learn(sample.placed()[::-1]) == task.learned


@samples
def test_an_unknown_metric_names_the_right_ones(sample: Sample) -> None:
    wrong = Sample(sample.type, sample.rows, sample.options, sample.head, metric="f2")
    with pytest.raises(ConfigError, match=r"`?tasks\.sample\.metric`?.*'f2'"):
        wrong.task()


def check_places(example: Encoded) -> None:
    parts = [*example.documents, *(branch.ids for branch in example.branches)]
    assert len(example.part) == len(example.offset)
    for part, offset in zip(example.part.tolist(), example.offset.tolist(), strict=True):
        assert 0 <= offset < len(parts[part])


@samples
@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_encoded_places_are_inside(sample: Sample, kind: str) -> None:
    """In one window and in several; the targets and their mass are the same, or one a window."""
    task, rows = sample.task(), sample.placed()
    if kind not in task.traits.attentions:
        pytest.skip(f"reads {' or '.join(task.traits.attentions)} only")
    long, short = sample.lengths
    by = {length: encoder(length, stride=2) for length in (long, short)}
    several = 0
    for row in rows:
        found = {}
        for length, at in by.items():
            (tokens,) = at.tokenize([document(row)])
            found[length] = task.encode(row, tokens, at, kind)
            check_places(found[length])
            assert all(len(document) <= length for document in found[length].documents)
        whole, cut = found[long], found[short]
        assert cut.windows >= whole.windows == 1
        several += cut.windows > 1 or shortened(task, whole, cut)
        if sample.by_window:
            check_windows(whole, cut)
            continue
        assert cut.mass == whole.mass > 0
        assert cut.outputs == whole.outputs
        for name, target in whole.targets.items():
            assert target.tolist() == cut.targets[name].tolist()
        for name, extra in whole.extra.items():
            assert extra.sum() == cut.extra[name].sum()
    assert several


def shortened(task: Task, whole: Encoded, cut: Encoded) -> bool:
    """Tasks that write read one window, and cut what does not fit in it."""
    return task.writer() is not None and len(cut.documents[0]) < len(whole.documents[0])


def check_windows(whole: Encoded, cut: Encoded) -> None:
    """Every window counts once and reads what is in it; together they read the whole."""
    for example in (whole, cut):
        assert example.mass == len(example.documents) == len(example.inputs["sizes"])
        assert example.outputs == example.inputs["sizes"].sum() == len(example.extra["chars"])
        assert all(len(values) == example.mass for values in example.targets.values())
    assert set(map(tuple, whole.extra["chars"])) == set(map(tuple, cut.extra["chars"]))


@samples
def test_rows_without_targets_are_encoded_alike(sample: Sample) -> None:
    task, at = sample.task(), encoder()
    targets = {role.name for role in task.roles(task.options) if role.target}
    for row in sample.placed():
        bare = {key: value for key, value in row.items() if key not in targets}
        (tokens,) = at.tokenize([document(row)])
        full, found = (task.encode(r, tokens, at, "causal") for r in (row, bare))
        assert [d.tolist() for d in found.documents] == [d.tolist() for d in full.documents]
        if task.writer():
            assert found.mass == 0.0
            check_nothing_is_read(found, full)
            continue
        assert found.part.tolist() == full.part.tolist()
        assert found.offset.tolist() == full.offset.tolist()
        assert found.mass == (0.0 if targets else full.mass)
        assert set(found.targets) == (set() if targets else set(full.targets))
        assert found.inputs.keys() == full.inputs.keys()


def check_nothing_is_read(found: Encoded, full: Encoded) -> None:
    """What is written is all that it has: it stands where the targets begin."""
    assert len(found.part) == len(found.offset) == found.outputs == 0
    assert not found.targets
    for bare, whole in zip(found.branches, full.branches, strict=True):
        assert bare.document == whole.document
        assert bare.ids.tolist() == whole.ids[: len(bare.ids)].tolist()


@samples
def test_loss_is_a_mean_over_the_encoded_mass(sample: Sample) -> None:
    task, rows, at = sample.task(), sample.placed(), encoder()
    part, ids = one_pass(task, rows)
    head = head_of(task)
    logits = head.score(part.read(states(ids)), part.given)
    assert len(logits) == sum(part.sizes)
    tokens = at.tokenize([document(row) for row in rows])
    mass = sum(task.encode(r, t, at, "causal").mass for r, t in zip(rows, tokens, strict=True))
    assert head.mass(part.given) == pytest.approx(mass)
    loss = head.loss(logits, part.given)
    assert float(loss.detach()) == pytest.approx(
        float(head.loss_sum(logits, part.given).detach()) / mass
    )
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in head.parameters())


def learned_by_heart(sample: Sample) -> dict[str, float]:
    """Fit a head to random states; returns the scores on the same rows."""
    torch.manual_seed(0)
    task, rows = sample.task(), sample.placed()
    if task.writer():
        return written_by_heart(task, rows)
    part, ids = one_pass(task, rows)
    read, head = part.read(states(ids)), head_of(task).eval()
    optimizer = Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss(head.score(read, part.given), part.given).backward()
        optimizer.step()
    examples = chosen(part, rows)
    outputs = task.decode(head.score(read, part.given), examples)
    assert len(outputs) == len(rows)
    return score_of(task, (outputs, examples))


def written_by_heart(task: Task, rows: list[Row]) -> dict[str, float]:
    """Fit a small trunk and its head; returns the scores of what was read and then written."""
    trunk = trunk_of()
    head = head_of(task, trunk)
    model = MultiTaskModel(trunk, [task], torch.nn.ModuleDict({task.head_name: head}))
    store = encode_split(task, rows, encoder(), "causal")
    (batch,) = Collator([store], budget=10**6, sharing=Sharing(rows=True, branches=True, pad=0))(
        [[(0, i)] for i in range(len(rows))]
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        head.loss(model(batch)[task.name], batch.heads[task.name].given).backward()
        optimizer.step()
    with torch.no_grad():
        (found,) = answers(model, batch, {task.name: store})
    written = write_all(task, trunk, head, rows)
    return score_of(task, (found.outputs, found.examples), (written, every(task, rows)))


BEST = {"perplexity": 1.0}
"""Of metrics whose best value is neither 0 nor the 1 of a score."""


@samples
def test_what_is_learned_by_heart_scores_best(sample: Sample) -> None:
    task = sample.task()
    found = learned_by_heart(sample)
    assert set(found) <= set(task.metric_names)
    assert set(found) == set(own_metrics(task))
    assert task.primary_metric in found
    for name, value in found.items():
        best = BEST.get(name, 0.0 if name in task.traits.lower_is_better else 1.0)
        assert value == pytest.approx(best, abs=0.02), name


@samples
def test_scores_add_up_and_are_forgotten(sample: Sample) -> None:
    """Any split of the examples gives the same scores."""
    task, rows = sample.task(), sample.placed()
    store = encode_split(task, rows, encoder(), "causal")
    guess = task.baseline(every(task, rows))
    evaluation = Evaluation({task.name: task}, [store])
    for number in range(len(rows)):
        one = store.select([number])
        evaluation.update(task.name, guess(one), one)
    whole = store.select(range(len(rows)))
    found = score_of(task, (guess(whole), whole))
    assert evaluation.compute()[task.name] == pytest.approx(found)
    assert any(evaluation.tables(task.name).values())
    evaluation.reset()
    one = store.select([0])
    evaluation.update(task.name, guess(one), one)
    assert evaluation.compute()[task.name] == score_of(task, (guess(one), one))


@samples
def test_the_baseline_is_worse_than_learning_by_heart(sample: Sample) -> None:
    task, rows = sample.task(), sample.placed()
    examples = every(task, rows)
    found = score_of(task, (task.baseline(examples)(examples), examples))
    if task.writer():  # A guess says nothing of what the right text would have cost.
        assert {*found, *BEST} == {*own_metrics(task)}
    else:
        assert set(found) == set(own_metrics(task))
    assert all(isinstance(value, float) for value in found.values())
    assert found[task.primary_metric] < 1.0


@samples
def test_outputs_are_shown_as_json(sample: Sample) -> None:
    """Of rows without targets, as predictions have them; words may have to be found first."""
    task = sample.task()
    targets = {role.name for role in task.roles(task.options) if role.target}
    rows = [{k: v for k, v in row.items() if k not in targets} for row in sample.placed()]
    if task.writer():
        trunk, order = trunk_of(), rows
        outputs = write_all(task, trunk, head_of(task, trunk), rows)
    else:
        part, ids = one_pass(task, rows)
        order = in_order(part, rows)
        logits = head_of(task).score(part.read(states(ids)), part.given)
        outputs = task.decode(logits, chosen(part, rows))
    for output, row in zip(outputs, order, strict=True):
        shown = json.loads(json.dumps(task.present(output, row)))
        assert isinstance(shown, dict)
        assert shown
        typed = task.gives.read(shown)
        assert type(typed) is not Prediction, "a type of ours has a result of its own"
        assert typed.to_dict() == shown
        assert replace(typed, question="Why?").to_dict() == {"question": "Why?", **shown}
