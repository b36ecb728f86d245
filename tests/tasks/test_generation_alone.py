"""Loss and gradients of packed rows with branches, against transformers' own language models.

The reference runs one example at a time, in a row of its own, tokenised here, and lets the model
compute its loss from labels.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mtl.config.schema import MixingConfig
from mtl.data.collate import Collator, Sharing
from mtl.data.loaders import TrainLoader
from mtl.data.mixing import MIXERS
from mtl.data.plan import Planner
from mtl.tasks.encode import encode_split
from mtl.training.model import MultiTaskModel, build_heads, make_task
from mtl.trunk.text import byte_level, end_id
from mtl.trunk.trunk import Trunk
from mtl.types import Row, Step
from tests.helpers import CORPUS
from tests.tasks.samples import place
from tests.trunk.writers import load_writer

ASKED = ["Who?", "What came of it?"]
ROWS = place(
    [
        {
            "text": CORPUS[document][: 24 - 4 * document],
            "question": ASKED[asked],
            "target": [target],
        }
        for document, asked, target in [
            (0, 0, "nobody"),
            (1, 0, "the council, on Thursday"),
            (0, 1, "rain"),
            (0, 0, "Ines Talbot"),
            (2, 1, "a"),
            (1, 0, "two members"),
            (3, 1, "tea and bread and a letter"),
            (4, 0, "x"),
            (5, 1, "yes"),
        ]
    ]
)


def model_of(trunk: Trunk, **head: Any) -> MultiTaskModel:
    options = {"prompt": "\n{question}:", "max_target_tokens": 20, "max_new_tokens": 10}
    task = make_task("answers", "generation", options=options, head=head)
    heads = build_heads([task], trunk.hidden_size, seed=0, output=trunk.output)
    return MultiTaskModel(trunk, [task], heads).eval()


def one_step(model: MultiTaskModel, budget: int) -> Step:
    """Return one optimiser step of all rows."""
    trunk, (task,) = model.trunk, model.tasks.values()
    encoder = trunk.text_encoder(64, 8, prefix_space=byte_level(trunk.tokenizer))
    store = encode_split(task, ROWS, encoder, trunk.attention)
    collator = Collator(
        [store],
        budget,
        Sharing(trunk.capabilities.share_rows, trunk.share_branches, pad=0),
    )
    planner = Planner(
        {task.name: store.keys},
        MIXERS.get("proportional")(MixingConfig()),
        examples=len(ROWS),
        max_branches=8,
        seed=1,
    )
    return TrainLoader(planner, collator, steps=1).step(0)


def packed_loss(model: MultiTaskModel, step: Step) -> Tensor:
    total = torch.zeros(())
    for batch in step.micro_batches:
        for name, logits in model(batch).items():
            targets = batch.heads[name].targets
            total = total + model.head(name).loss(logits, targets, step.denominators[name])
    return total


def alone(trunk: Trunk, reference: Any, row: Row) -> tuple[Tensor, int]:
    """Return the mean loss of one example that transformers computes, and its target tokens."""
    space = " " if byte_level(trunk.tokenizer) else ""

    def ids(text: str, *, special: bool) -> list[int]:
        found: list[int] = trunk.tokenizer(text, add_special_tokens=special)["input_ids"]
        return found

    prompt, (target,) = f"\n{row['question']}:", row["target"]
    end = end_id(trunk.tokenizer)
    assert end is not None
    if trunk.architecture == "encoder-decoder":
        labels = ids(space + target, special=True)
        labels += [end] * (labels[-1] != end)  # Not every tokenizer ends a text itself.
        # Wordpiece drops the line break; prompt and document are tokenised as one text.
        read = ids(f"{prompt} {row['text']}", special=True)
        given = {
            "input_ids": torch.tensor([read]),
            "decoder_input_ids": torch.tensor([[trunk.start, *labels[:-1]]]),
        }
    else:
        written = [*ids(space + target, special=False), end]
        read = [*ids(space + row["text"], special=True), *ids(prompt, special=False)]
        given = {"input_ids": torch.tensor([[*read, *written]])}
        labels = [*[-100] * len(read), *written]
    loss = reference(**given, labels=torch.tensor([labels])).loss
    return loss, sum(label >= 0 for label in labels)


def alone_loss(trunk: Trunk, reference: Any) -> Tensor:
    found = [alone(trunk, reference, row) for row in ROWS]
    total = torch.stack([loss * count for loss, count in found]).sum()
    return total / sum(count for _, count in found)


def gradients(module: Any) -> dict[str, Tensor]:
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def check_equal(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert wanted
    largest = max(float(g.abs().max()) for g in wanted.values())
    for name, gradient in wanted.items():
        error = float((found[name] - gradient).abs().max())
        assert error <= 1e-4 * float(gradient.abs().max()) + 1e-6 * largest, name


CASES = [
    *[(name, tie) for name in ("llama", "gpt2", "qwen2", "qwen3") for tie in (True, False)],
    ("t5", True),
    ("t5", False),
    ("bart", True),
]


@pytest.mark.parametrize("tied", [True, False], ids=["tied head", "own head"])
@pytest.mark.parametrize(("name", "tie"), CASES, ids=lambda v: v if isinstance(v, str) else f"{v}")
def test_equals_each_example_alone(tmp_path: Path, name: str, tie: bool, tied: bool) -> None:
    trunk = load_writer(name, tmp_path, tie_word_embeddings=tie)
    assert trunk.output is not None
    model = model_of(trunk, tied=tied)
    reference = deepcopy(trunk.output.model)
    own: Any = model.head("answers")
    if not tied:
        torch.nn.init.normal_(own.linear.weight, std=0.3)
        reference.set_output_embeddings(deepcopy(own.linear))
    step = one_step(model, budget=160)
    check_worth(step, trunk)
    loss, wanted = packed_loss(model, step), alone_loss(trunk, reference)
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    loss.backward()
    wanted.backward()
    found, references = gradients(trunk.output.model), gradients(reference)
    if not tied:
        assert trunk.output.projection.weight.grad is None or tie
        key = next(n for n, p in reference.named_parameters() if p is head_weight(reference))
        found[key] = own.linear.weight.grad
    check_equal(found, references)


def head_weight(reference: Any) -> Any:
    return reference.get_output_embeddings().weight


def check_worth(step: Step, trunk: Trunk) -> None:
    """Documents have several branches; decoders' rows hold several documents of unlike length."""
    batches = [b.trunk for b in step.micro_batches]
    assert len(batches) > 1
    assert max(int(b.segment.max()) for b in batches) > 1
    if trunk.architecture == "decoder":
        assert max(int(b.unit.max()) for b in batches) > 0
    assert sum(b.tokens for b in batches) < sum(b.unit.numel() for b in batches)


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
def test_label_smoothing_is_that_of_pytorch(tmp_path: Path, name: str) -> None:
    trunk = load_writer(name, tmp_path)
    model = model_of(trunk, label_smoothing=0.3)
    step = one_step(model, budget=10**6)
    (batch,) = step.micro_batches
    logits = model(batch)["answers"]
    spread = torch.log_softmax(logits, -1).mean(-1).sum()
    right = torch.log_softmax(logits, -1)
    chosen = right[torch.arange(len(right)), batch.heads["answers"].targets["labels"]].sum()
    wanted = -(0.7 * chosen + 0.3 * spread) / len(right)
    assert packed_loss(model, step).item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["llama", "qwen3", "t5"])
def test_only_targets_are_projected(tmp_path: Path, name: str) -> None:
    """No logits of prompts or documents ever exist."""
    trunk = load_writer(name, tmp_path)
    assert trunk.output is not None
    model = model_of(trunk)
    sizes: list[int] = []
    trunk.output.projection.register_forward_hook(lambda _, args, out: sizes.append(out.shape[0]))
    step = one_step(model, budget=10**6)
    packed_loss(model, step)
    assert sum(sizes) == step.denominators["answers"]
    assert sum(sizes) < step.tokens / 2
