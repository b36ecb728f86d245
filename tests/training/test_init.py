"""``init=RUN``: start from another run's trunk, and from the heads of the tasks both have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from mtl.errors import CheckpointError
from mtl.training.model_io import start_from
from mtl.training.run import train
from mtl.training.setup import Prepared
from tests import helpers
from tests.training.corpus import rows, write_rows
from tests.training.site import Site, change, differing, prepared, saved, weights


@pytest.fixture(scope="module")
def run(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tasks; not to be changed."""
    folder = tmp_path_factory.mktemp("init")
    train(site.config("ner", "sentiment", trainer__max_steps=2, trainer__test=False), folder)
    return folder


def started(
    site: Site, run: Path, folder: Path, *names: str, **changes: Any
) -> tuple[Prepared, list[str]]:
    """Return what was prepared and then started from a run, and the heads that came from it."""
    ready = prepared(site.config(*names, seed=7, **changes), folder)
    return ready, start_from(ready.model, run)


def test_trunk_and_common_heads_are_the_runs(site: Site, run: Path, tmp_path: Path) -> None:
    fresh = weights(prepared(site.config("rating", seed=7), tmp_path).model.heads["rating"])
    ready, copied = started(site, run, tmp_path, "rating", "ner")
    there = saved(run)
    trunk = {f"model.safetensors:{n}": v for n, v in weights(ready.model.trunk.model).items()}
    ner = {f"head-ner.safetensors:{n}": v for n, v in weights(ready.model.heads["ner"]).items()}
    assert copied == ["ner"]
    assert differing(trunk | ner, {name: there[name] for name in trunk | ner}) == []
    assert differing(weights(ready.model.heads["rating"]), fresh) == []


def test_the_run_says_what_it_started_from(
    site: Site, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = site.config("ner", "rating", init=str(run), trainer__max_steps=1, trunk__lr=0.0)
    train(cfg, tmp_path)
    said = "".join(capsys.readouterr())
    assert "the heads of {ner} come from" in said
    assert "new heads: {rating}" in said
    both = {name: value for name, value in saved(run).items() if name.startswith("model.")}
    assert differing(both, {name: saved(tmp_path)[name] for name in both}) == []


def test_a_head_of_other_labels_starts_anew(site: Site, run: Path, tmp_path: Path) -> None:
    other = {"negative": "bad", "neutral": "so-so", "positive": "good"}
    data = [{**row, "sentiment": other[row["sentiment"]]} for row in rows(16)]
    write_rows(tmp_path / "train.jsonl", data)
    cfg = site.config("sentiment", seed=7)
    change(cfg, "tasks.sentiment.data.source", str(tmp_path))
    ready = prepared(cfg, tmp_path)
    before = weights(ready.model.heads["sentiment"])
    assert start_from(ready.model, run) == []
    assert differing(before, weights(ready.model.heads["sentiment"])) == []


def test_a_head_of_another_type_starts_anew(site: Site, run: Path, tmp_path: Path) -> None:
    """The same name and labels, but any number of them."""
    cfg = site.config("sentiment")
    change(cfg, "tasks.sentiment.options", {"problem": "multi"})
    assert start_from(prepared(cfg, tmp_path).model, run) == []


def test_the_scheme_of_the_data_is_no_matter_of_the_head(
    site: Site, run: Path, tmp_path: Path
) -> None:
    """The same entities in IOB1: the head reads IOB2 in any case."""
    for split, part in (("train", rows(16)), ("validation", rows(6, 16))):
        data = [{**r, "ner_tags": [t.replace("B-", "I-") for t in r["ner_tags"]]} for r in part]
        write_rows(tmp_path / f"{split}.jsonl", data)
    cfg = site.config("ner")
    change(cfg, "tasks.ner.data.source", str(tmp_path))
    ready = prepared(cfg, tmp_path)
    assert ready.tasks[0].learned.model_dump()["scheme"] == "io"
    assert start_from(ready.model, run) == ["ner"]


@pytest.mark.parametrize(
    "changes",
    [{"hidden_size": 16}, {"num_hidden_layers": 2}, {"vocab_size": 401}],
    ids=["width", "depth", "vocabulary"],
)
def test_another_trunk_is_refused(
    site: Site, run: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    shape = {"num_hidden_layers": 1, "hidden_size": 8, **changes}
    other = helpers.save_tiny(tmp_path, helpers.llama_config(**shape), helpers.bpe_tokenizer())
    with pytest.raises(CheckpointError, match=r"Expected `init` .*same trunk"):
        started(site, run, tmp_path, "ner", trunk__path=str(other))


def test_another_architecture_is_refused(site: Site, run: Path, tmp_path: Path) -> None:
    from transformers import GPT2Config

    config = GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=400, n_positions=64)
    other = helpers.save_tiny(tmp_path, config, helpers.bpe_tokenizer())
    with pytest.raises(CheckpointError, match=r"Expected `init` .*same trunk"):
        started(site, run, tmp_path, "ner", trunk__path=str(other))


def test_no_run(site: Site, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        started(site, tmp_path / "nowhere", tmp_path, "ner")


def test_damaged_weights(site: Site, run: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(run / "model", tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        started(site, broken, tmp_path, "ner")
    shutil.copy(run / "model" / "model.safetensors", broken)
    head = load_file(broken / "head-ner.safetensors")
    save_file({name: value[:2] for name, value in head.items()}, broken / "head-ner.safetensors")
    with pytest.raises(CheckpointError, match=r"head-ner\.safetensors.*do not fit"):
        started(site, broken, tmp_path, "ner")


@pytest.mark.parametrize("family", ["t5", "bart", "bert"])
def test_trunks_whose_weights_are_shared_inside(site: Site, tmp_path: Path, family: str) -> None:
    """transformers writes a shared weight once; it is found again."""
    from transformers import BartConfig, BertConfig, T5Config

    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    config = {
        "t5": T5Config(d_model=8, d_ff=16, d_kv=4, num_layers=1, num_heads=2, vocab_size=400),
        "bart": BartConfig(**sizes, decoder_attention_heads=2, vocab_size=400),
        "bert": BertConfig(**helpers.shape(num_hidden_layers=1)),
    }[family]
    trunk = helpers.save_tiny(tmp_path / "trunk", config, helpers.wordpiece_tokenizer())
    cfg = site.config("sentiment", trunk__path=str(trunk), trainer__max_steps=1)
    train(cfg, tmp_path / "run")
    ready = prepared(cfg, tmp_path)
    assert start_from(ready.model, tmp_path / "run") == ["sentiment"]
    there = {n: v for n, v in saved(tmp_path / "run").items() if n.startswith("model.")}
    here = {f"model.safetensors:{n}": v for n, v in weights(ready.model.trunk.model).items()}
    assert differing(there, {name: here[name] for name in there}) == []
