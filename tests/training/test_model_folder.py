"""What a run leaves behind is a model for this program and for transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from mtl.data.collate import Collator, Sharing
from mtl.errors import CheckpointError
from mtl.tasks.encode import encode_split
from mtl.training.evaluation import Evaluation
from mtl.training.model_io import load_model, save_model
from mtl.training.run import train
from mtl.training.setup import Prepared
from mtl.types import MicroBatch
from tests.training.corpus import rows
from tests.training.site import Site, change, differing, prepared, read_checkpoint, saved, weights


@pytest.fixture(scope="module")
def run(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three tasks; not to be changed."""
    folder = tmp_path_factory.mktemp("folder")
    cfg = site.config("ner", "sentiment", "rating", trunk__max_length=20, trunk__stride=5)
    change(cfg, "tasks.sentiment.attention", "bidirectional")
    train(cfg, folder)
    return folder


def one_pass(ready: Prepared) -> MicroBatch:
    """Return some examples of all tasks in one pass."""
    collator = Collator(
        ready.data.test, budget=4096, sharing=Sharing(rows=True, branches=True, pad=0)
    )
    (batch,) = collator([[(task, n)] for task in range(3) for n in range(4)])
    return batch


def test_transformers_opens_it_as_it_is(run: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    theirs = AutoModel.from_pretrained(run / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    ours = load_model(run)
    text = "Ines Talbot left Brackwater before the rain."
    found = tokenizer(text, return_tensors="pt")
    (tokens,) = ours.encoder.tokenize([text])
    assert (" " + text if ours.encoder.prefix_space else text) == tokenizer.decode(tokens.ids)
    with torch.no_grad():
        expected = theirs(input_ids=found["input_ids"]).last_hidden_state
        states = ours.model.trunk.model(input_ids=found["input_ids"]).last_hidden_state
    assert torch.equal(states, expected)


def test_it_holds_the_best_checkpoints_weights(run: Path) -> None:
    (best,) = (run / "checkpoints").glob("best*")
    expected = read_checkpoint(best)["state_dict"]
    model = load_model(run).model
    assert differing({f"model.{n}": v for n, v in weights(model).items()}, expected) == []


def test_saved_and_loaded_logits_are_equal(site: Site, tmp_path: Path) -> None:
    cfg = site.config("ner", "sentiment", "rating")
    ready = prepared(cfg, tmp_path)
    with torch.no_grad():  # Away from the fresh zeros.
        for parameter in ready.model.heads.parameters():
            parameter.normal_()
    save_model(tmp_path / "model", ready.model, ready.encoder, ready.columns)
    loaded = load_model(tmp_path / "model")
    batch = one_pass(ready)
    with torch.no_grad():
        before, after = ready.model.eval()(batch), loaded.model(batch)
    assert before.keys() == after.keys() == {"ner", "sentiment", "rating"}
    for name, logits in before.items():
        assert torch.equal(after[name], logits)


def test_the_tasks_are_as_they_were(run: Path) -> None:
    found = load_model(run)
    assert not found.model.training
    about = {n: (t.type, t.primary_metric, t.weight) for n, t in found.model.tasks.items()}
    assert about == {
        "ner": ("token_classification", "f1", 1.0),
        "sentiment": ("text_classification", "accuracy", 1.0),
        "rating": ("text_classification", "pearson", 1.0),
    }
    assert (found.encoder.max_length, found.encoder.stride) == (20, 5)
    assert found.encoder.prefix_space
    tags = ["B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    assert found.model.tasks["ner"].learned.model_dump(exclude={"words", "counts"}) == {
        "scheme": "iob2",
        "labels": ["O", *tags],
    }
    assert found.model.tasks["sentiment"].learned.model_dump()["labels"] == [
        "negative",
        "neutral",
        "positive",
    ]
    stars = torch.tensor([row["stars"] for row in rows(16)], dtype=torch.float64)
    state = found.model.tasks["rating"].learned.model_dump()
    assert state["mean"] == pytest.approx(float(stars.mean()))
    assert state["spread"] == pytest.approx(float(stars.std(correction=0)))
    assert found.description.tasks["rating"].columns == {"text": "text", "label": "stars"}


def test_a_folder_with_the_architectures_former_name(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "model", tmp_path / "model")
    path = tmp_path / "model" / "mtl.json"
    description = json.loads(path.read_text())
    trunk = description["trunk"]
    trunk["kind"] = trunk.pop("architecture")
    path.write_text(json.dumps(description))
    before, now = weights(load_model(tmp_path).model), weights(load_model(run).model)
    assert not differing(before, now)
    trunk["kind"] = " "
    path.write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=r"trunk\.architecture"):
        load_model(tmp_path)


def test_each_tasks_own_attention_is_kept(run: Path) -> None:
    found = load_model(run)
    ways = {name: found.attention(name) for name in found.model.tasks}
    assert ways == {"ner": "causal", "sentiment": "bidirectional", "rating": "causal"}


def test_loaded_scores_are_those_of_the_run(run: Path, site: Site) -> None:
    """Encode the test split anew with the loaded model; the metrics are those it reported."""
    found = load_model(run)
    reported = json.loads((run / "metrics.json").read_text())
    cfg = site.config("ner", "sentiment", "rating", trunk__max_length=20, trunk__stride=5)
    splits = prepared(cfg, run).splits
    for name, task in found.model.tasks.items():
        examples = splits[name].test
        assert examples is not None
        store = encode_split(task, examples, found.encoder, found.attention(name))
        evaluation = Evaluation({name: task}, [store])
        for number in range(len(store)):  # One at a time, in a row of its own.
            (batch,) = Collator(
                [store], budget=1, sharing=Sharing(rows=False, branches=False, pad=0)
            )([[(0, number)]])
            with torch.no_grad():
                evaluation.count(found.model, batch)
        for metric, value in evaluation.compute()[name].items():
            assert reported[f"test/{name}/{metric}"] == pytest.approx(value, rel=1e-4), metric


def test_nothing_but_weights_and_words(run: Path) -> None:
    """No pickle, no path, no time."""
    names = {path.name for path in (run / "model").iterdir()}
    heads = {f"head-{task}.safetensors" for task in ("ner", "sentiment", "rating")}
    trunk = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert names == heads | trunk | {"mtl.json", "trained_on.npy"}
    for path in (run / "model").iterdir():
        assert str(run).encode() not in path.read_bytes()
    assert all(value.dtype == torch.float32 for value in saved(run).values())
