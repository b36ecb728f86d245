"""ONNX files, run by onnxruntime where there is no mtl, against the model's own logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtl.errors import ConfigError
from mtl.export.base import Request, Source, export
from mtl.export.formats.onnx import _close
from mtl.export.manifest import read_manifest
from mtl.export.onnx_graph import HeadGraph
from tests.export.models import TEXTS, alone, logits_of, opened, untrained

RUN = """
import numpy as np, onnxruntime
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(folder)
names = [p for p in ("trunk", "head-ner", "head-sentiment", "head-qa", "head-gist")]
run = {n: onnxruntime.InferenceSession(f"{folder}/{n}.onnx") for n in names}

def answer(head, given):
    ids, mask = (given[n].astype(np.int64) for n in ("input_ids", "attention_mask"))
    (states,) = run["trunk"].run(None, {"input_ids": ids, "attention_mask": mask})
    named = {"states": states, "attention_mask": mask}
    taken = {i.name: named[i.name] for i in run[head].get_inputs()}
    return run[head].run(None, taken)[0]

alone = {h: [answer(h, tokenizer([t], return_tensors="np"))[0].tolist() for t in texts]
         for h in ("head-ner", "head-sentiment")}
batch = tokenizer(texts, padding=True, return_tensors="np")
both = {h: answer(h, batch).tolist() for h in alone}
print(json.dumps([alone, both]))
"""


def test_logits_that_are_no_numbers_are_not_close() -> None:
    """A comparison with NaN is false, whichever way it is asked."""
    wanted = np.array([[1.0, 2.0]])
    _close(wanted + 1e-6, wanted, "ner")
    for found in (wanted + 1e-3, np.array([[1.0, np.nan]])):
        with pytest.raises(ConfigError, match=r"those of task 'ner' are .* apart"):
            _close(found, wanted, "ner")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "pooling"), [("llama", "mean"), ("llama", "last"), ("bert", "first")]
)
def test_logits_at_any_length_and_batch_are_ours(kind: str, pooling: str, tmp_path: Path) -> None:
    model = untrained(tmp_path / "m", kind, pooling=pooling)
    made = export(Source(model), tmp_path / "out", "onnx", Request())
    assert made.facts["reads"]["sentiment"] == pooling
    code = RUN if kind != "bert" else RUN.replace(', "head-gist"', "")
    loaded = opened(model)
    for found in alone(code, tmp_path / "out"):
        for number, text in enumerate(TEXTS):
            wanted, places = logits_of(loaded, "ner", text)
            own = np.asarray(found["head-ner"][number])[places]
            np.testing.assert_allclose(own, wanted.numpy(), atol=1e-4)
            wanted, _ = logits_of(loaded, "sentiment", text)
            own = np.asarray(found["head-sentiment"][number])[None]
            np.testing.assert_allclose(own, wanted.numpy(), atol=1e-4)
    assert "onnxruntime" in (tmp_path / "out" / "README.md").read_text()
    assert read_manifest(tmp_path / "out")["export"] == "onnx"


@pytest.mark.slow
def test_what_is_left_out_is_said_and_refused_where_it_is_named(tmp_path: Path) -> None:
    model = untrained(tmp_path / "m", ner_decoding="crf", layout="branch")
    made = export(Source(model), tmp_path / "out", "onnx", Request())
    assert made.tasks == ["sentiment", "gist"]
    assert len(made.notes) == 2
    with pytest.raises(ConfigError, match="depend on each other"):
        export(Source(model), tmp_path / "other", "onnx", Request(["ner"]))
    assert not (tmp_path / "other").exists()


def test_a_text_is_pooled_by_its_mask(tmp_path: Path) -> None:
    """Against plain means, and first and last states."""
    import torch
    from torch import nn

    from mtl.heads.classification import ClassificationHead

    states = torch.randn(2, 5, 8)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    head = ClassificationHead(8, 3).eval()
    nn.init.normal_(head.linear.weight)
    wanted = {
        "mean": torch.stack([states[0].mean(0), states[1, :3].mean(0)]),
        "first": states[:, 0],
        "last": torch.stack([states[0, 4], states[1, 2]]),
    }
    for reads, picked in wanted.items():
        found = HeadGraph(head, reads)(states, mask)  # type: ignore[arg-type]
        torch.testing.assert_close(found, head(picked), rtol=1e-5, atol=1e-5)
