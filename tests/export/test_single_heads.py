"""Heads as transformers' own classes have them, against the model's own logits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl.errors import ConfigError
from mtl.export.base import Request, Source, export
from mtl.export.manifest import read_manifest
from tests.export.models import TEXTS, alone, logits_of, opened, untrained


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder whose text head has a bias and reads the mean."""
    return untrained(tmp_path_factory.mktemp("llama"), pooling="mean")


def written(model: Path, to: Path, task: str, head: str | None = None) -> Path:
    export(Source(model), to, "transformers", Request([task], head))
    return to


CLASSES = {
    "ner": "AutoModelForTokenClassification",
    "sentiment": "AutoModelForSequenceClassification",
    "qa": "AutoModelForQuestionAnswering",
}
LOOK = """
import torch, transformers

def logits(folder, name, pair):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = getattr(transformers, name).from_pretrained(folder).eval()
    for text in texts:
        given = tokenizer(*((question, text) if pair else (text,)), return_tensors="pt")
        with torch.inference_mode():
            out = model(**given)
        found = torch.stack([out.start_logits, out.end_logits], -1) if pair else out.logits
        yield found[0].tolist()

print(json.dumps([list(logits(*export)) for export in {exports}]))
"""
HELD = [
    *(("llama", task) for task in ("sentiment", "qa")),
    *(("gpt2", task) for task in ("ner", "sentiment")),
    *(("bert", task) for task in ("ner", "qa")),
]
OF_TOKENS = ("llama, mean", "sentiment")
"""A head for texts that is exported as one for tokens."""


@dataclass
class Looked:
    """A model, and what one of its heads says as a class of transformers'."""

    model: Path
    logits: list[torch.Tensor]


@pytest.fixture(scope="module")
def looked(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Looked]:
    """Exports of all kinds, all opened in one process that cannot import mtl."""
    base = tmp_path_factory.mktemp("looked")
    heads = {"bert": {"pooling": "first"}}
    last = {"pooling": "last", "bias": False}
    models = {kind: untrained(base / kind, kind, **heads.get(kind, last)) for kind, _ in HELD}
    exports = [
        (str(written(models[kind], base / f"{kind}-{task}", task)), CLASSES[task], task == "qa")
        for kind, task in HELD
    ]
    tokens = written(llama, base / "tokens", "sentiment", "token_classification")
    exports.append((str(tokens), CLASSES["ner"], False))
    found = alone(LOOK.format(exports=exports), base)
    return {
        (kind, task): Looked(models.get(kind, llama), [torch.tensor(values) for values in logits])
        for (kind, task), logits in zip([*HELD, OF_TOKENS], found, strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "task"), HELD)
def test_logits_in_a_process_without_mtl_are_ours(
    kind: str, task: str, looked: dict[tuple[str, str], Looked]
) -> None:
    loaded = opened(looked[kind, task].model)
    for text, logits in zip(TEXTS, looked[kind, task].logits, strict=True):
        wanted, places = logits_of(loaded, task, text)
        own = logits[None] if task == "sentiment" else logits[torch.from_numpy(places).long()]
        torch.testing.assert_close(own, wanted, rtol=1e-4, atol=1e-5)


def test_a_class_with_a_pooler_is_refused(tmp_path: Path) -> None:
    """BERT's class for texts has one between trunk and labels; all others hold ours."""
    model = untrained(tmp_path / "m", "bert", pooling="first")
    with pytest.raises(ConfigError, match="pooler"):
        written(model, tmp_path / "out", "sentiment")


def test_a_tagger_opens_with_its_labels_and_equal_logits(llama: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = written(llama, tmp_path / "out", "ner")
    model: Any = AutoModelForTokenClassification.from_pretrained(folder).eval()
    assert model.config.id2label == {0: "O", 1: "B-PER", 2: "I-PER"}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        found = model(**tokenizer(TEXTS, return_tensors="pt", padding=True)).logits
    loaded = opened(llama)
    for number, text in enumerate(TEXTS):
        wanted, places = logits_of(loaded, "ner", text)
        own = found[number][torch.from_numpy(places).long()]
        torch.testing.assert_close(own, wanted, rtol=1e-4, atol=1e-5)
    about = read_manifest(folder)
    assert about["tasks"]["ner"]["labels"] == ["O", "B-PER", "I-PER"]
    assert about["class"] == "AutoModelForTokenClassification"


@pytest.mark.slow
def test_the_mean_of_token_logits_is_the_logit_of_the_mean(
    looked: dict[tuple[str, str], Looked],
) -> None:
    loaded = opened(looked[OF_TOKENS].model)
    for text, logits in zip(TEXTS, looked[OF_TOKENS].logits, strict=True):
        wanted, _ = logits_of(loaded, "sentiment", text)
        torch.testing.assert_close(logits.mean(0)[None], wanted, rtol=1e-4, atol=1e-5)


WRITE = """
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder).eval()
given = tokenizer(texts[0] + "\\nGist:", return_tensors="pt")
first = given["input_ids"].shape[1]
ids = model.generate(**given, max_new_tokens=8, do_sample=False, eos_token_id=0)[0][first:]
print(json.dumps(tokenizer.decode(ids, skip_special_tokens=True).strip()))
"""


@pytest.mark.slow
def test_a_writer_writes_what_it_writes_here(tmp_path: Path) -> None:
    """The head is its own, not the trunk's; greedy texts are compared."""
    model = untrained(tmp_path / "m", "gpt2")
    loaded = opened(model)
    from mtl.inference.predictor import RowPredictor

    (answer,) = RowPredictor(loaded, "cpu").predict([{"text": TEXTS[0]}], ["gist"])
    folder = written(model, tmp_path / "out", "gist")
    assert alone(WRITE, folder) == answer["gist"]["text"]


SUMMARIZE = """
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
found = []
for text in texts:
    ids = model.generate(**tokenizer(text, return_tensors="pt"))[0]
    found.append(tokenizer.decode(ids, skip_special_tokens=True).strip())
print(json.dumps(found))
"""


@pytest.mark.slow
def test_an_encoder_decoder_writes_what_it_writes_here(tmp_path: Path) -> None:
    """Its beams, limits and prompt are in the folder, and no argument is needed."""
    from mtl.inference.predictor import RowPredictor

    options = {"prompt": "Gist:", "num_beams": 2, "min_new_tokens": 4}
    model = untrained(tmp_path / "m", "t5", options=options)
    rows: Any = [{"text": text} for text in TEXTS]
    wanted = [a["gist"]["text"] for a in RowPredictor(opened(model), "cpu").predict(rows, ["gist"])]
    folder = written(model, tmp_path / "out", "gist")
    assert alone(SUMMARIZE, folder) == wanted
    assert all(wanted)
    assert read_manifest(folder)["class"] == "AutoModelForSeq2SeqLM"


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_encoder_decoder_has_our_logits(tied: bool, tmp_path: Path) -> None:
    """Behind the tokens of a summary, against our pass over text and summary."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    from mtl.inference.predictor import RowPredictor

    model = untrained(tmp_path / "m", "t5", tied=tied)
    folder = written(model, tmp_path / "out", "gist")
    loaded = opened(model)
    row: Any = {"text": TEXTS[0], "target": ["Rain."]}
    predictor = RowPredictor(loaded, "cpu")
    _, store = predictor.encode(loaded.model.tasks["gist"], [row], None, targets=True)
    answered = next(iter(predictor.outputs([store], decode=lambda n, logits, examples: [logits])))
    ids = torch.from_numpy(answered.examples.encoded[0].branches[0].ids).long()[None]
    given = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
    theirs = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        found = theirs(**given, decoder_input_ids=ids).logits[0]
    torch.testing.assert_close(found, answered.outputs[0], rtol=1e-4, atol=1e-5)
    assert ids.shape[1] > 1


@pytest.mark.slow
def test_a_prompt_that_asks_is_refused(tmp_path: Path) -> None:
    model = untrained(tmp_path / "m", "t5", options={"prompt": "{question}"})
    with pytest.raises(ConfigError, match="each text's question"):
        written(model, tmp_path / "out", "gist")


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("sentiment", "the mean of a text's states"),
        ("ner,qa", "to name one task"),
    ],
)
def test_what_cannot_be_held_is_refused(llama: Path, tmp_path: Path, task: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        export(Source(llama), tmp_path / "a" / "out", "transformers", Request(task.split(",")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "head", "says"),
    [
        ("sentiment", {"pooling": "last"}, "head.bias=false"),
        ("ner", {"ner_decoding": "crf"}, "depend on each other"),
        ("qa", {"layout": "branch"}, "as a branch"),
    ],
)
def test_heads_that_are_more_than_a_layer_are_refused(
    tmp_path: Path, task: str, head: dict[str, Any], says: str
) -> None:
    model = untrained(tmp_path / "m", **head)
    with pytest.raises(ConfigError, match=says):
        written(model, tmp_path / "out", task)
    assert not (tmp_path / "out").exists()
