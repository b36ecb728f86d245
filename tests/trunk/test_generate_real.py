"""Real documents of unequal length in one batch, against one at a time: the same tokens."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl.config.schema import TrunkConfig
from mtl.trunk.generate import Decoding, Prompt, generate
from mtl.trunk.load import BUNDLED, document_limit, load_trunk
from mtl.trunk.text import byte_level
from mtl.trunk.trunk import Trunk
from scripts.convert_llama2c import convert
from tests.helpers import shape
from tests.trunk.writers import save_writer

DATA = Path(os.environ.get("MTL_DATA", "/nowhere"))
FILE = DATA / "aeslc" / "test.jsonl"
STORIES = DATA.parent / "weights" / "stories260K"
COUNT = 200

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILE.is_file(), reason="needs AESLC under MTL_DATA"),
]


def _small(folder: Path, config: Any) -> Trunk:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BUNDLED / "tiny")
    config.vocab_size = len(tokenizer)
    path = save_writer(folder / config.model_type, config, tokenizer)
    return load_trunk(TrunkConfig(name="hf", path=str(path)), writes=True)


def _llama(folder: Path) -> Trunk:
    from transformers import LlamaConfig

    sizes = shape(hidden_size=32, intermediate_size=64, max_position_embeddings=1024)
    return _small(folder, LlamaConfig(**sizes))


def _t5(folder: Path) -> Trunk:
    from transformers import T5Config

    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
    return _small(folder, T5Config(**sizes, decoder_start_token_id=0))


def _stories(folder: Path) -> Trunk:
    if not STORIES.is_dir():
        pytest.skip("needs stories260K")
    convert(STORIES, folder)
    return load_trunk(TrunkConfig(name="hf", path=str(folder)), writes=True)


TRUNKS: dict[str, Callable[[Path], Trunk]] = {"llama": _llama, "t5": _t5, "stories260K": _stories}


def real_prompts(trunk: Trunk) -> list[Prompt]:
    """Return what a summary of each document would be written after."""
    with FILE.open(encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(COUNT)]
    encoder = trunk.text_encoder(
        document_limit(trunk, 250), 8, prefix_space=byte_level(trunk.tokenizer)
    )
    branch = encoder.plain("\nSubject:")
    if trunk.start is not None:
        branch = np.asarray([trunk.start], dtype=np.int32)
    tokens = encoder.tokenize([row["document"] for row in rows])
    room = encoder.room_before(len(branch) + 12)
    return [Prompt(encoder.document(t, (0, min(len(t), room))), branch) for t in tokens]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", TRUNKS)
def test_two_hundred_documents_at_once(tmp_path: Path, name: str, side: str) -> None:
    trunk = TRUNKS[name](tmp_path).eval()
    trunk.tokenizer.padding_side = side
    given = real_prompts(trunk)
    sizes = [len(p) for p in given]
    assert max(sizes) > 3 * min(sizes)
    decoding = Decoding(max_new_tokens=6)
    with torch.inference_mode():
        together = generate(trunk, given, decoding)
        alone = [generate(trunk, [p], decoding)[0] for p in given]
    found, wanted = ([h.ids.tolist() for (h,) in texts] for texts in (together, alone))
    assert found == wanted
    assert len({tuple(ids) for ids in wanted}) > COUNT / 4
