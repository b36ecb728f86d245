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


ASK = """
import numpy as np, onnxruntime
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(folder)
run = {n: onnxruntime.InferenceSession(f"{folder}/{n}.onnx")
       for n in ("trunk", "head-qa", "head-pick", "head-ner")}

def answer(head, *given):
    given = tokenizer(*given, padding=True, return_tensors="np")
    given = {name: value.astype(np.int64) for name, value in given.items()}
    (given["states"],) = run["trunk"].run(None, given)
    taken = {i.name: given[i.name] for i in run[head].get_inputs()}
    return [values.tolist() for values in run[head].run(None, taken)[0]]

choices = [question + " It was dry.", question + " Nobody, I think."]
asked = answer("head-qa", texts, [question] * len(texts))
picked = [answer("head-pick", [text] * 2, choices) for text in texts]
print(json.dumps([asked, picked, answer("head-ner", texts)]))
"""


@pytest.mark.slow
def test_questions_and_choices_stand_behind_their_text(tmp_path: Path) -> None:
    """As branches of a decoder's documents, whose own logits they leave as they are."""
    model = untrained(tmp_path / "m", "llama", layout="branch", beside="branch")
    request = Request(["ner", "qa", "pick"])
    made = export(Source(model), tmp_path / "out", "onnx", request)
    assert made.facts["reads"] == {"ner": "tokens", "qa": "question", "pick": "last"}
    loaded = opened(model)
    asked, picked, tagged = alone(ASK, tmp_path / "out")
    sizes = []
    for number, text in enumerate(TEXTS):
        wanted, places = logits_of(loaded, "qa", text)
        own = np.asarray(asked[number])
        np.testing.assert_allclose(own[places[1:]], wanted[1:].numpy(), atol=1e-4)
        sizes.append(int(places[1:].max()) + 1 + int(places[0]) + 1)
        np.testing.assert_allclose(own[sizes[-1] - 1], wanted[0].numpy(), atol=1e-4)
        wanted, _ = logits_of(loaded, "pick", text)
        np.testing.assert_allclose(np.asarray(picked[number]), wanted.numpy(), atol=1e-4)
        wanted, places = logits_of(loaded, "ner", text)
        np.testing.assert_allclose(np.asarray(tagged[number])[places], wanted.numpy(), atol=1e-4)
    assert len(set(sizes)) > 1


@pytest.mark.slow
def test_an_encoder_reads_choices_and_second_texts_joined(tmp_path: Path) -> None:
    model = untrained(tmp_path / "m", "bert", beside="joint")
    made = export(Source(model), tmp_path / "out", "onnx", Request(["qa", "pick", "same"]))
    assert made.facts["reads"] == {"qa": "tokens", "pick": "mean", "same": "mean"}


def test_positions_behind_a_text_are_those_of_rows() -> None:
    """Against the layout that training reads, for two branches and padding."""
    import torch

    from mtl.export.onnx_graph import _places
    from mtl.layout import Unit, build_rows
    from tests.helpers import ints

    units = [
        Unit(ints(5, 6, 7), [ints(8, 9), ints(1, 2, 3)]),
        Unit(ints(5, 6), [ints(8)]),
        Unit(ints(5)),
    ]
    batch = build_rows([[unit] for unit in units], 0, bidirectional=True).batch
    real = batch.unit >= 0
    order = torch.arange(real.shape[1]).expand_as(real)
    found = _places(order, real.long(), batch.segment)
    torch.testing.assert_close(found[real], batch.position_ids[real])


def test_a_question_points_at_its_text_and_a_mean_is_of_what_stands_beside() -> None:
    """Against the head on plain slices of the states."""
    import torch

    from mtl.heads.classification import ClassificationHead
    from mtl.heads.spans import PointerSpanHead

    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, 6, 8, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    types = torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]])
    pointer, plain = PointerSpanHead(8).eval(), ClassificationHead(8, 3).eval()
    found = HeadGraph(pointer, "question")(states, mask)
    for row, (text, last) in enumerate(((4, 5), (2, 3))):
        wanted = pointer(torch.cat([states[row, last:][:1], states[row, :text]]))
        torch.testing.assert_close(found[row, :text], wanted[1:])
        torch.testing.assert_close(found[row, last], wanted[0])
    means = torch.stack([states[0, 4:].mean(0), states[1, 2:4].mean(0)])
    torch.testing.assert_close(HeadGraph(plain, "beside")(states, mask, types), plain(means))


@pytest.mark.slow
def test_what_is_left_out_is_said_and_refused_where_it_is_named(tmp_path: Path) -> None:
    model = untrained(tmp_path / "m", ner_decoding="crf", layout="branch")
    made = export(Source(model), tmp_path / "out", "onnx", Request())
    assert made.tasks == ["sentiment", "qa", "gist"]
    assert len(made.notes) == 1
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
