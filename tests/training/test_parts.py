"""A document of many windows is run a part at a time, with the loss and gradients of one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor

from mtl.config.schema import DataConfig, TaskConfig
from mtl.training import parts
from mtl.training.budget import scale_tokens
from mtl.training.model import answers
from mtl.training.module import MultiTaskModule
from mtl.training.state_cache import StateCache
from mtl.training.step_gradients import add
from mtl.trunk import Trunk
from mtl.types import CachedStates, Step, TrunkBatch
from tests import helpers
from tests.training.corpus import EXTRA, SENTENCES, write_rows
from tests.training.forked import two_ranks
from tests.training.processes import arguments
from tests.training.site import Site, fit, last_weights, module_of, prepared
from train import main

COLUMNS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "ner": ("token_classification", {"text": "text", "tokens": "tokens", "labels": "labels"}, {}),
    "mood": ("text_classification", {"text": "text", "label": "mood"}, {}),
    "stars": ("text_classification", {"text": "text", "label": "stars"}, {"problem": "regression"}),
    "qa": (
        "span_extraction",
        {"text": "text", "question": "questions[].question", "answers": "questions[].answer"},
        {},
    ),
    "gist": (
        "generation",
        {"text": "text", "target": "mood"},
        {"prompt": " So:", "max_new_tokens": 4, "max_target_tokens": 12},
    ),
    "words": ("language_modeling", {"text": "text"}, {}),
}
SMALL = 24
"""Tokens of a part: two windows."""
WINDOW = {"trunk.max_length": 12, "trunk.stride": 3}


def rows() -> list[dict[str, Any]]:
    """Return six texts: four of one sentence, one of three and one of twelve."""
    found = []
    for number, count in enumerate((1, 3, 1, 12, 1, 1)):
        chosen = [SENTENCES[(number + i) % len(SENTENCES)] for i in range(count)]
        words = [w for text, *_ in chosen for w in text.split()] + EXTRA[:number]
        labels = [t for _, tags, *_ in chosen for t in tags.split()] + ["O"] * len(EXTRA[:number])
        asked = [{"question": "who", "answer": words[-4]}, {"question": "what", "answer": ""}]
        found.append(
            {
                "text": " ".join(words),
                "tokens": words,
                "labels": labels,
                "mood": chosen[0][2],
                "stars": float(count),
                "questions": asked,
            }
        )
    return found


def trunk_of(kind: str, folder: Path) -> Path:
    """Write a tiny trunk."""
    if kind == "llama":
        config, tokenizer = helpers.llama_config(num_hidden_layers=1), helpers.bpe_tokenizer()
    elif kind == "bert":
        from transformers import BertConfig

        tokenizer = helpers.wordpiece_tokenizer()
        config = BertConfig(**helpers.shape(num_hidden_layers=1))
    else:
        from transformers import T5Config

        tokenizer = helpers.metaspace_tokenizer()
        config = T5Config(
            vocab_size=400,
            d_model=16,
            d_kv=8,
            d_ff=24,
            num_layers=1,
            num_heads=2,
            decoder_start_token_id=0,
        )
    return helpers.save_tiny(folder / kind, config, tokenizer)


@pytest.fixture(scope="module")
def build(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return what prepares one step of all rows, by trunk, tasks and budget."""
    base = tmp_path_factory.mktemp("parts")
    for split in ("train", "validation", "test"):
        write_rows(base / "data" / f"{split}.jsonl", rows())
    trunks: dict[str, Path] = {}

    def make(kind: str, names: list[str], tokens: int, **changes: Any) -> tuple[Any, Step, Any]:
        trunks.setdefault(kind, trunk_of(kind, base) if kind not in trunks else base)
        dropout = changes.pop("dropout", 0.0)
        options = {"trunk.path": str(trunks[kind]), "trunk.dropout": dropout, **WINDOW}
        options |= {"batching.examples": 64, "batching.tokens": tokens, **changes}
        cfg = site.config(**{key.replace(".", "__"): value for key, value in options.items()})
        for name in names:
            type_, columns, own = COLUMNS[name]
            data = DataConfig(source=str(base / "data"))
            head = {"dropout": dropout}
            cfg.tasks[name] = TaskConfig(
                type=type_, columns=dict(columns), options=dict(own), data=data, head=head
            )
        ready = prepared(cfg, base)
        module = module_of(cfg, ready, steps=1)
        fit(module, ready.data, steps=1, limit_train_batches=0)
        module.train()
        return module, ready.data.train_dataloader().step(0), ready

    return make


def gradients(module: MultiTaskModule, step: Step) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Return the losses of a step, and the gradient of each weight."""
    module.zero_grad()
    losses: dict[str, Tensor] = {}
    with module.pass_context():
        for number, batch in enumerate(step.micro_batches):
            torch.manual_seed(number)
            parts, zero = module.gradients.pass_losses(batch, step)
            add(losses, parts)
            module.gradients.whole_loss(parts, zero).backward()
    named = module.named_parameters()
    found = {name: p.grad.clone() for name, p in named if p.grad is not None}
    return {name: float(loss) for name, loss in losses.items()}, found


def assert_equal(found: tuple[Any, Any], wanted: tuple[Any, Any], tolerance: float) -> None:
    assert found[0] == pytest.approx(wanted[0], rel=tolerance)
    assert found[1].keys() == wanted[1].keys()
    largest = max(float(expected.abs().max()) for expected in wanted[1].values())
    for name, expected in wanted[1].items():
        most = float(expected.abs().max())
        torch.testing.assert_close(
            found[1][name],
            expected,
            rtol=tolerance,
            atol=tolerance * max(most, largest / 100),  # Some are zero but for rounding.
            msg=name,
        )


ALL = ["ner", "mood", "stars", "qa", "gist", "words"]
READING = ["ner", "mood", "stars", "qa"]


@pytest.mark.parametrize(
    ("kind", "names", "changes"),
    [
        ("llama", ["ner"], {}),
        ("llama", ["mood"], {"trunk.attention": "bidirectional"}),
        ("llama", ALL, {}),
        ("llama", READING, {"batching.pack": False}),
        ("bert", READING, {}),
        ("t5", ["ner", "mood", "gist"], {}),
    ],
    ids=["ner", "mean", "all", "unpacked", "encoder", "encoder-decoder"],
)
def test_loss_and_gradients_are_those_of_one_pass(
    build: Callable[..., Any], kind: str, names: list[str], changes: dict[str, Any]
) -> None:
    module, small, _ = build(kind, names, SMALL, **changes)
    _, large, _ = build(kind, names, 100_000, **changes)
    assert any(batch.rows is not None for batch in small.micro_batches)
    assert all(batch.rows is None for batch in large.micro_batches)
    assert all(batch.tokens_at_once <= SMALL for batch in small.micro_batches if batch.rows)
    assert_equal(gradients(module, small), gradients(module, large), 1e-5)


def test_what_is_computed_again_drops_what_it_dropped_before(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, step, _ = build("llama", READING, SMALL, dropout=0.3)
    found = gradients(module, step)
    monkeypatch.setattr(parts, "recomputed", lambda compute, part: compute(part))
    assert_equal(found, gradients(module, step), 1e-6)
    module.eval()
    assert found[0] != pytest.approx(gradients(module, step)[0], rel=1e-3), "nothing was dropped"


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_answers_are_those_of_one_pass(build: Callable[..., Any], kind: str) -> None:
    names = READING if kind == "bert" else [*READING, "words"]
    module, _, small = build(kind, names, SMALL)
    _, _, large = build(kind, names, 100_000)
    module.eval()

    def found(ready: Any) -> dict[tuple[str, int], Any]:
        stores = {store.task: store for store in ready.data.validation}
        with torch.no_grad():
            return {
                (answered.task, number): module.model.tasks[answered.task].present(output, row)
                for batch in ready.data.val_dataloader()
                for answered in answers(module.model, batch, stores)
                for number, output, row in zip(
                    answered.numbers, answered.outputs, answered.examples.rows, strict=True
                )
            }

    assert found(small) == found(large)


def test_no_more_than_a_part_is_run_at_once(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, step, _ = build("llama", READING, SMALL)
    seen: list[int] = []
    run = Trunk.forward

    def watched(self: Trunk, batch: TrunkBatch, *more: Any) -> Tensor:
        seen.append(batch.tokens_with_padding)
        return run(self, batch, *more)

    monkeypatch.setattr(Trunk, "forward", watched)
    gradients(module, step)
    longest = max(batch.source.tokens_with_padding for batch in step.micro_batches)
    assert max(seen) <= SMALL < longest / 4


def test_a_budget_is_looked_for_with_parts(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a pass of the longest document takes is what one part of it takes."""
    module, _, ready = build("llama", READING, SMALL)
    seen: list[int] = []
    run = Trunk.forward

    def watched(self: Trunk, batch: TrunkBatch, *more: Any) -> Tensor:
        seen.append(batch.tokens_with_padding)
        if batch.tokens_with_padding > 3 * SMALL:
            raise torch.OutOfMemoryError("out of memory")
        return run(self, batch, *more)

    monkeypatch.setattr(Trunk, "forward", watched)
    scale: Any = partial(scale_tokens, ready.data)
    fit(module, ready.data, callbacks=[LambdaCallback(on_fit_start=scale)], limit_train_batches=0)
    assert 1.5 * SMALL < ready.data.batching.tokens <= 3 * SMALL
    assert max(seen) < 8 * SMALL, "a budget that is not tried is not run"


@pytest.mark.parametrize("names", [READING[:3], ["mood"]], ids="-".join)
def test_cached_states_are_those_of_one_pass(
    build: Callable[..., Any], tmp_path: Path, names: list[str]
) -> None:
    options = {"tuning.name": "frozen", "trunk.attention": "bidirectional"}
    found: list[tuple[Any, Any]] = []
    for tokens in (SMALL, 100_000):
        module, _, ready = build("llama", names, tokens, **options)
        keep = StateCache(tmp_path / str(tokens), forced=True)
        fit(module, ready.data, callbacks=[keep], limit_train_batches=0)
        step = ready.data.train_dataloader().step(0)
        assert all(isinstance(batch.source, CachedStates) for batch in step.micro_batches)
        found.append(gradients(module, step))
    assert_equal(found[0], found[1], 1e-5)


def test_a_head_that_needs_all_states_gets_them(build: Callable[..., Any]) -> None:
    module, step, _ = build("llama", ["ner"], SMALL)
    head = module.model.head("ner")
    kind = type(head)

    class Centred(kind):  # type: ignore[misc, valid-type]
        def score(self, states: Tensor, targets: dict[str, Tensor]) -> Tensor:
            return self(states - states.mean(0))

    head.__class__ = Centred
    step.micro_batches = [max(step.micro_batches, key=lambda batch: batch.source.tokens)]
    whole = replace(step, micro_batches=[replace(step.micro_batches[0], rows=None)])
    assert_equal(gradients(module, step), gradients(module, whole), 1e-4)


@pytest.mark.slow
def test_ranks_that_run_parts_take_the_steps_of_one(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gradients come to a weight more than once in a pass, and are still reduced once."""
    line = arguments(site, tmp_path / "conf", "trunk.max_length=8", "trunk.stride=1")
    line = [word for word in line if not any(n in word for n in ("gist", "rating", "task="))]
    line.append("task=x_ner,x_sentiment")
    assert main([*line, "batching.tokens=4096", f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    assert "longer than a pass" not in capsys.readouterr().err
    both = ["trainer=ddp", "trainer.devices=2", f"hydra.run.dir={tmp_path / 'two'}"]
    ended = two_ranks(*line, "batching.tokens=8", *both)
    assert ended.returncode == 0, ended.stderr
    assert "longer than a pass" in ended.stderr
    one, two = (last_weights(tmp_path / name) for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
