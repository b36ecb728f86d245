"""The script that rebuilds the bundled decoder, on a few texts and a tiny configuration."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtl.config.schema import TrunkConfig
from mtl.trunk.load import load_trunk
from scripts import pretrain_decoder as script
from tests import helpers

ROOT = Path(__file__).resolve().parents[2]


def write_texts(path: Path, count: int, word: str) -> Path:
    blocks = [f"{word} {number}.\n{helpers.CORPUS[number % 6]}" for number in range(count)]
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path


def blocks(path: Path) -> Counter[str]:
    return Counter(b.strip() for b in path.read_text(encoding="utf-8").split("\n\n") if b.strip())


def test_weights_repeat_and_sample(tmp_path: Path) -> None:
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
    source = write_texts(tmp_path / "news.txt", 600, "News")
    kept, held = script.prepare(source, 2.5, "news", tmp_path)
    train, cut = (blocks(tmp_path / part / "news.txt") for part in ("train", "validation"))
    everything = blocks(source)
    assert not train.keys() & cut.keys()
    assert train.keys() | cut.keys() == everything.keys()
    assert 0 < len(cut) < 30
    assert set(cut.values()) == {1}
    assert set(train.values()) == {2, 3}
    assert sum(train.values()) / len(train) == pytest.approx(2.5, abs=0.1)
    assert kept == sum(len(t.encode()) + 2 for t in train.elements())
    assert held == sum(len(t.encode()) + 2 for t in cut)


def test_what_is_set_apart_depends_on_the_document_alone(tmp_path: Path) -> None:
    found = []
    for name, count in (("few", 300), ("many", 500)):
        work = tmp_path / name
        for part in ("train", "validation"):
            (work / part).mkdir(parents=True)
        script.prepare(write_texts(work / "t.txt", count, "Text"), 1, "t", work)
        found.append(set(blocks(work / "validation" / "t.txt")))
    assert found[0] <= found[1]


def test_sources_have_names_of_their_own() -> None:
    paths = [script.BUNDLED, Path("a/news.txt"), Path("b/news.txt"), Path("c.txt")]
    assert script.names([(p, 1.0) for p in paths]) == ["newsroom", "news-1", "news-2", "c"]


@pytest.mark.slow
def test_it_writes_the_same_weights_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that load in float32, learned a little, and are stored in bfloat16."""
    trunk = tmp_path / "trunk"
    helpers.save_tiny(trunk, helpers.llama_config(), helpers.bpe_tokenizer())
    (trunk / "model.safetensors").unlink()
    texts = write_texts(tmp_path / "texts.txt", 200, "Text")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = []
    for name in ("one", "two"):
        out = tmp_path / name
        line = [
            f"{texts}:0.5",
            *("--trunk", str(trunk), "--out", str(out), "--work", str(tmp_path / "work" / name)),
            *("--tokens", "360", "--batch", "128", "--pass", "64", "--length", "32"),
            *("--threads", "1", "--set", "trainer.progress=false", "trainer.limit_val_examples=4"),
            "tasks.lm.data.max_examples=40",
        ]
        assert script.main(line) == 0
        found.append({f.name: f.read_bytes() for f in out.iterdir()})
    assert found[0] == found[1]
    metrics = json.loads((tmp_path / "work" / "one" / "run" / "metrics.json").read_text())
    assert metrics["val/lm/bits_per_byte"] > 0
    stored = load_file(tmp_path / "one" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    loaded = load_trunk(TrunkConfig(name="hf", path=str(tmp_path / "one")), writes=True)
    assert loaded.output is not None
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    state = loaded.output.model.state_dict()
    assert all(torch.equal(state[n], stored[n].float()) for n in stored)
