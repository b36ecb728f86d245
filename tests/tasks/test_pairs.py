"""Two texts of one example: joined as tokenizers join pairs, or the second in a branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl.config.schema import TrunkConfig
from mtl.data.collate import Collator, Sharing
from mtl.errors import ConfigError, DataError
from mtl.heads.base import Head
from mtl.tasks import Task
from mtl.tasks.base import asks
from mtl.tasks.encode import encode_split
from mtl.trunk.load import load_trunk
from mtl.trunk.trunk import Trunk
from mtl.types import Row
from tests import helpers
from tests.tasks.samples import Sample, place

FIRST = "The pump failed at noon, and nobody in Brackwater asked why."
SECONDS = ["The pump broke.", "All was well.", "Nobody asked.", "It failed at noon."]


def pairs(**options: Any) -> Sample:
    rows = [
        {"text": FIRST, "second": second, "label": "yes" if n % 2 else "no"}
        for n, second in enumerate(SECONDS)
    ]
    return Sample("text_classification", rows, options=options)


def trunk_in(folder: Path, config: Any, tokenizer: Any) -> Trunk:
    helpers.save_tiny(folder, config, tokenizer)
    return load_trunk(TrunkConfig(name="hf", path=str(folder))).eval()


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Trunk:
    from transformers import BertConfig

    folder = tmp_path_factory.mktemp("bert")
    return trunk_in(folder, BertConfig(**helpers.shape()), helpers.wordpiece_tokenizer())


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Trunk:
    folder = tmp_path_factory.mktemp("llama")
    return trunk_in(folder, helpers.llama_config(), helpers.bpe_tokenizer())


def logits_of(
    task: Task, trunk: Trunk, head: Head, rows: list[Row], length: int = 100, kind: str = "causal"
) -> tuple[Tensor, float, int]:
    """Return logits in the order of the rows, the loss, and the tokens of the passes."""
    by = trunk.text_encoder(length, 8, prefix_space=True)
    store = encode_split(task, rows, by, kind)
    groups = [
        [(0, n) for n in np.flatnonzero(store.keys == key).tolist()]
        for key in np.unique(store.keys)
    ]
    sharing = Sharing(rows=True, branches=trunk.share_branches, pad=0)
    (batch,) = Collator([store], budget=10**6, sharing=sharing)(groups)
    part = batch.heads[task.name]
    with torch.no_grad():
        logits = head(part.read(trunk(batch.trunk)))
        loss = float(head.loss(logits, part.given))
    return logits[torch.tensor(part.examples).argsort()], loss, batch.trunk.tokens


def test_a_pair_on_an_encoder_is_what_transformers_makes_of_it(bert: Trunk) -> None:
    from transformers import BertModel

    sample = pairs()
    task, rows = sample.task(), sample.placed()
    head = task.build_head(bert.hidden_size).eval()
    found, loss, _ = logits_of(task, bert, head, rows, kind="bidirectional")
    model = BertModel.from_pretrained(bert.config.name_or_path).eval()
    alone = []
    for row in rows:
        ids = bert.text_encoder(100, 8, prefix_space=True).tokenizer(row["text"], row["second"])
        with torch.no_grad():
            states = model(input_ids=torch.tensor([ids["input_ids"]])).last_hidden_state
            alone.append(head(states.mean(1)))
    torch.testing.assert_close(found, torch.cat(alone), rtol=1e-4, atol=1e-5)
    gold = torch.tensor([0, 1, 0, 1])
    wanted = torch.nn.functional.cross_entropy(torch.cat(alone), gold)
    assert loss == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize("length", [100, 24])
@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_second_texts_of_one_text_share_it_on_a_decoder(
    llama: Trunk, kind: str, length: int
) -> None:
    """Several in one pass have the logits that each has alone, and different ones."""
    sample = pairs()
    task, rows = sample.task(), sample.placed()
    head = task.build_head(llama.hidden_size).eval()
    together, _, tokens = logits_of(task, llama, head, rows, length, kind)
    each = [logits_of(task, llama, head, [row], length, kind) for row in rows]
    torch.testing.assert_close(together, torch.cat([e[0] for e in each]), rtol=0, atol=1e-5)
    assert tokens < 0.75 * sum(e[2] for e in each)
    assert len({round(float(one), 6) for one in together[:, 0]}) == len(rows)


@pytest.mark.parametrize("layout", ["joint", "branch"])
def test_both_layouts_see_both_texts(llama: Trunk, layout: str) -> None:
    task = pairs(layout=layout).task()
    head = task.build_head(llama.hidden_size).eval()
    rows = place(
        [
            {"text": text, "second": second, "label": "no"}
            for text in (FIRST, "Rain fell.")
            for second in SECONDS[:2]
        ]
    )
    found, _, _ = logits_of(task, llama, head, rows)
    assert len({round(float(one), 6) for one in found[:, 0]}) == 4


def test_a_branch_needs_a_trunk_that_has_branches(tmp_path: Path) -> None:
    from transformers import T5Config

    sizes = {"vocab_size": 400, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_heads": 2}
    trunk = trunk_in(tmp_path, T5Config(**sizes, num_layers=1), helpers.bpe_tokenizer())
    with pytest.raises(ConfigError, match=r"tasks\.sample\.options\.layout.*joint.*t5"):
        pairs(layout="branch").task().fits(trunk)


def test_a_task_without_second_texts_asks_for_none() -> None:
    assert asks(pairs().task()) == ["second"]
    rows = [{k: v for k, v in row.items() if k != "second"} for row in pairs().rows]
    assert asks(Sample("text_classification", rows).task()) == []


@pytest.mark.parametrize("cell", [None, "", "  "])
def test_a_row_without_its_second_text_is_told(llama: Trunk, cell: str | None) -> None:
    sample = pairs()
    rows = sample.placed()
    rows[2]["second"] = cell
    fault = r"data\.jsonl:3: Expected a second text \(`tasks\.sample\.columns\.second`\)"
    with pytest.raises(DataError, match=fault):
        sample.task(learned=False).learn(rows)
    by = llama.text_encoder(100, 8, prefix_space=True)
    with pytest.raises(DataError, match=fault):
        encode_split(sample.task(), rows, by, "causal")


@pytest.mark.parametrize("layout", ["joint", "branch"])
def test_a_second_text_may_be_too_long(llama: Trunk, layout: str) -> None:
    rows = place([{"text": FIRST, "second": "why " * 60, "label": "no"}])
    by = llama.text_encoder(40, 8, prefix_space=True)
    with pytest.raises(DataError, match=r"data\.jsonl:1: Expected a second text that leaves 5"):
        encode_split(pairs(layout=layout).task(), rows, by, "causal")
