"""Untrained model folders of a few architectures, with a head of each kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mtl.config.schema import TrunkConfig
from mtl.inference.predictor import RowPredictor
from mtl.inference.rows import prepare
from mtl.tasks.base import restore
from mtl.training.model import MultiTaskModel, build_heads, make_task
from mtl.training.model_io import LoadedModel, load_model, save_model
from mtl.trunk.load import load_trunk
from mtl.trunk.trunk import Trunk
from tests import helpers

TEXTS = [
    "Okonkwo & Sons sold the mill.",
    "Rain.",
    "She asked whether the museum would open, and nobody knew; the pump ran on.",
]
QUESTION = "Who sold it?"
CHOICES: Any = {"choices": ["It was dry.", "Nobody, I think."]}


def bert_config() -> Any:
    from transformers import BertConfig

    return BertConfig(**helpers.shape())


def gpt2_config() -> Any:
    from transformers import GPT2Config

    return GPT2Config(vocab_size=400, n_embd=16, n_layer=2, n_head=2, n_positions=64)


def t5_config() -> Any:
    from transformers import T5Config

    return T5Config(vocab_size=150, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)


KINDS = {
    "llama": (helpers.llama_config, "bpe"),
    "gpt2": (gpt2_config, "bpe"),
    "bert": (bert_config, "wordpiece"),
    "t5": (t5_config, "metaspace"),
}


USUAL: dict[str, Any] = {"layout": "joint", "options": {}, "tied": False}


def untrained(folder: Path, kind: str = "llama", **head: Any) -> Path:
    """Write a model whose weights are random; returns its folder.

    Args:
        folder: Where it goes, and its trunk.
        kind: A name of :data:`KINDS`.
        **head: Options of the head of `sentiment`, or of `ner` as ``ner_decoding``; of `gist`, its
            ``options`` and whether it is ``tied``.
    """
    config, tokenizer = KINDS[kind]
    path = helpers.save_tiny(folder / "trunk", config(), helpers.TOKENIZERS[tokenizer]())
    writes = kind != "bert"
    trunk = load_trunk(TrunkConfig(name="hf", path=str(path)), writes=writes)
    layout, own, tied = (head.pop(k, v) for k, v in USUAL.items())
    tagging = {"decoding": head.pop("ner_decoding", "plain")}
    labels = ["O", "B-PER", "I-PER"]
    specs: dict[str, Any] = {
        "ner": ("token_classification", {}, tagging, {"scheme": "iob2", "labels": labels}),
        "sentiment": ("text_classification", {}, head, {"labels": ["bad", "fair", "good"]}),
        "qa": (
            "span_extraction",
            {"layout": layout},
            {},
            {"impossible": False, "layout": layout, "positions": 64},
        ),
    }
    if beside := head.pop("beside", ""):
        specs["pick"] = ("multiple_choice", {"layout": beside}, {}, {"form": "1", "question": True})
        specs["same"] = (
            "text_classification",
            {"layout": beside},
            {"pooling": "mean"},
            {"labels": ["no", "yes"], "pair": True},
        )
    if writes:
        sizes = {"max_target_tokens": 8, "max_new_tokens": 8}
        options = {"prompt": "\nGist:", **sizes, **own}
        specs["gist"] = ("generation", options, {"tied": tied}, {})
    return save_untrained(folder / "model", trunk, specs, 60, prefix_space=tokenizer == "bpe")


def save_untrained(
    folder: Path, trunk: Trunk, specs: dict[str, Any], window: int, *, prefix_space: bool
) -> Path:
    """Write a model that was not trained, with heads that speak up; returns its folder.

    Args:
        folder: Where it goes.
        trunk: Its trunk.
        specs: By name a task's type, options, head, and what it learned.
        window: The longest window in tokens; windows share 8.
        prefix_space: Whether the tokenizer sees a space before a text.
    """
    tasks = []
    for name, (type, options, its_head, state) in specs.items():
        task = make_task(name, type, options=options, head=its_head)
        restore(task, {**task.learned.model_dump(), **state})
        task.fits(trunk)
        tasks.append(task)
    heads = build_heads(tasks, trunk.hidden_size, 0, trunk.output)
    helpers.loud(heads)
    model = MultiTaskModel(trunk, tasks, heads).eval()
    encoder = trunk.text_encoder(window, 8, prefix_space=prefix_space)
    save_model(folder, model, encoder, {name: {} for name in specs})
    return folder


def logits_of(loaded: LoadedModel, name: str, text: str) -> tuple[Any, Any]:
    """Return a task's logits (G, C) of a text, and the places of its tokens that are read."""
    predictor = RowPredictor(loaded, "cpu", pack=False)
    task = loaded.model.tasks[name]
    row = prepare({"text": text, "tokens": text.split(), "question": QUESTION, **CHOICES}, 1)
    _, store = predictor.encode(task, [row], None)
    (answered,) = predictor.outputs([store], decode=lambda n, logits, examples: [logits])
    return answered.outputs[0], answered.examples.encoded[0].offset


ALONE = """
import json, sys

class No:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mtl":
            raise ImportError("there is no mtl here")

sys.meta_path.insert(0, No())
try:
    import mtl
except ImportError:
    pass
else:
    raise AssertionError
folder, texts, question = json.loads(sys.argv[1])
"""


READER = os.environ.get("MTL_TEST_READER", sys.executable)
"""The Python that reads exports back; that of an environment without mtl, if one is named."""


def alone(code: str, folder: Path, texts: list[str] = TEXTS) -> Any:
    """Run code in a process that cannot import mtl; returns the JSON that it prints last."""
    given = json.dumps([str(folder), texts, QUESTION])
    line = [READER, "-W", "ignore", "-c", ALONE + code, given]
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def opened(folder: Path) -> LoadedModel:
    """Return a model, opened."""
    return load_model(folder)
