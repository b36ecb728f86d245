"""``mtl export``: folders, cards, refusals, uploads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mtl import load
from mtl.errors import CheckpointError, ConfigError
from mtl.export.base import FORMATS, Request, Source, export
from mtl.export.formats.onnx import INT8, TRUNK
from mtl.export.manifest import FORMAT, MANIFEST, read_manifest
from tests.export.models import alone
from tests.inference.conftest import Run, check_error
from train import main as train

TEXT = "Ines Talbot liked the soup ."


def front(folder: Path) -> Any:
    return yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])


def test_the_whole_model_answers_as_before_and_says_what_it_is(
    trained: Path, tmp_path: Path
) -> None:
    to = tmp_path / "out"
    export(Source(trained), to, "hub", Request(licence="mit"))
    before, after = (load(folder).predict(TEXT) for folder in (trained, to))
    assert before.to_dict() == after.to_dict()
    assert not (to / "trained_on.npy").exists()
    known = front(to)
    assert (known["license"], known["library_name"]) == ("mit", "mtl")
    metrics = json.loads((trained / "metrics.json").read_text())
    scored = known["model-index"][0]["results"]
    values = {one["dataset"]["type"]: one["metrics"][0]["value"] for one in scored}
    assert values["ner"] == pytest.approx(metrics["test/ner/f1"], abs=1e-4)
    card = (to / "README.md").read_text("utf-8")
    assert str(trained.parent) not in card
    for word in ("## Data", "## Results", "## Limits", "mtl.load", "positive"):
        assert word in card
    assert read_manifest(to)["tasks"]["sentiment"]["labels"] == ["negative", "neutral", "positive"]


@pytest.mark.slow
def test_some_tasks_of_a_model(mtl: Run, trained: Path, tmp_path: Path) -> None:
    code, _, err = mtl("export", trained, tmp_path / "out", "--task", "sentiment")
    assert code == 0, err
    assert not (tmp_path / "out" / "head-ner.safetensors").exists()
    said = json.loads((tmp_path / "out" / "mtl.json").read_text("utf-8"))
    assert list(said["tasks"]) == ["sentiment"]


@pytest.mark.slow
def test_a_folder_that_is_there_is_kept(mtl: Run, trained: Path, tmp_path: Path) -> None:
    to, mine = tmp_path / "out", tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    check_error(mtl("export", trained, mine), "DEST", "holds no export")
    check_error(mtl("export", trained, mine, "--overwrite"), "holds no export")
    assert (mine / "letter.txt").is_file()
    assert mtl("export", trained, to)[0] == 0
    check_error(mtl("export", trained, to), "--overwrite")
    assert mtl("export", trained, to, "--overwrite")[0] == 0
    check_error(mtl("export", trained, trained, "--overwrite"), "a folder of its own")
    check_error(mtl("export", trained, trained.parent, "--overwrite"), "a folder of its own")
    assert (trained / "model" / "mtl.json").is_file()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("--format", "onx"), "Did you mean 'onnx'?"),
        (("--int8",), "`--format onnx`"),
        (("--base", "a/b"), "`--format adapter`"),
        (("--as", "token_classification"), "`--format transformers`"),
        (("--task", "nerr"), "Did you mean 'ner'?"),
        (("--format", "adapter"), "tuning=lora"),
        (("--push-to-hub", "nobody"), "OWNER/NAME"),
        (("--private",), "--push-to-hub"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    mtl: Run, trained: Path, tmp_path: Path, typed: tuple[str, ...], says: str
) -> None:
    check_error(mtl("export", trained, tmp_path / "a" / "out", *typed), says)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(CheckpointError, match="newer mtl wrote it"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text("[")
    with pytest.raises(CheckpointError):
        read_manifest(tmp_path)


def test_a_failure_leaves_the_former_export(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "out"
    export(Source(trained), to, "hub", Request())
    before = sorted(p.name for p in to.iterdir())

    def broken(source: Source, request: Request, folder: Path) -> Any:
        (folder / "half").touch()
        raise ConfigError("no")

    monkeypatch.setitem(FORMATS._entries, "hub", broken)
    with pytest.raises(ConfigError):
        export(Source(trained), to, "hub", Request(), overwrite=True)
    assert sorted(p.name for p in to.iterdir()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


class Hub:
    """Stands for the library's client."""

    calls: list[tuple[str, Any]] = []
    wrong: Exception | None = None

    def __init__(self, **options: Any) -> None:
        del options

    def create_repo(self, name: str, **options: Any) -> None:
        if self.wrong is not None:
            raise self.wrong
        self.calls.append((name, options))

    def upload_folder(self, folder_path: Path, repo_id: str, **options: Any) -> str:
        files = {p.name for p in Path(folder_path).iterdir()}
        self.calls.append((repo_id, files))
        return f"https://example.org/{repo_id}"


@pytest.mark.slow
def test_an_export_is_uploaded_in_one_commit(
    mtl: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr(Hub, "calls", [])
    to = ("--push-to-hub", "me/mine", "--private")
    code, _, err = mtl("export", trained, tmp_path / "out", *to)
    assert code == 0, err
    (made, options), (there, files) = Hub.calls
    assert (made, there) == ("me/mine", "me/mine")
    assert options == {"private": True, "exist_ok": True}
    assert {"README.md", "mtl.json", "model.safetensors", MANIFEST} <= files
    monkeypatch.setattr(Hub, "wrong", OSError("no route"))
    refused = mtl("export", trained, tmp_path / "other", "--push-to-hub", "me/mine")
    assert refused[0] == 2
    assert "no route" in refused[2]
    assert (tmp_path / "other" / "mtl.json").is_file()


@pytest.mark.slow
def test_weights_of_8_bits_are_measured_on_the_test_split(
    mtl: Run, trained: Path, tmp_path: Path
) -> None:
    to = tmp_path / "out"
    code, _, err = mtl("export", trained, to, "--format", "onnx", "--int8")
    assert code == 0, err
    assert (to / INT8).is_file()
    card = (to / "README.md").read_text("utf-8")
    lines = [line.split("|")[1:-1] for line in card.splitlines() if "float32 |" in line]
    metrics = json.loads((trained / "metrics.json").read_text())
    wanted = [
        metrics[f"test/{name}"] for name in ("ner/f1", "sentiment/accuracy", "rating/pearson")
    ]
    for line in lines:  # PyTorch and ONNX, both in float32, score as the run did.
        assert [float(cell) for cell in line[1:4]] == pytest.approx(wanted, abs=2e-4)
    assert "| ONNX, int8 |" in card
    assert (to / INT8).stat().st_size < (to / TRUNK).stat().st_size
    bare = shutil.copytree(trained / "model", tmp_path / "bare")
    check_error(mtl("export", bare, tmp_path / "no", "--format", "onnx", "--int8"), "test split")


PEFT = """
import torch
from peft import PeftModel
from transformers import AutoModel, AutoTokenizer
base = json.load(open(folder + "/adapter_config.json"))["base_model_name_or_path"]
model = PeftModel.from_pretrained(AutoModel.from_pretrained(base, dtype="float32"), folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
found = []
for text in texts:
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        found.append(model(input_ids=ids).last_hidden_state[0].tolist())
print(json.dumps(found))
"""


@pytest.mark.slow
def test_adapters_open_in_peft_with_equal_states(mtl: Run, trained: Path, tmp_path: Path) -> None:
    from mtl.export.samples import states_of
    from mtl.training.model_io import load_model

    base = trained.parent
    line = [
        *("task=sentiment", f"tasks.sentiment.data.source={base}"),
        *("tasks.sentiment.columns.text=body", "trunk=hf", f"trunk.path={base / 'trunk'}"),
        *("tuning=lora", "trunk.lr=0.1", "batching.examples=8", "trainer.max_steps=3"),
        *("trainer.progress=false", "logger=none", f"hydra.run.dir={tmp_path / 'run'}"),
    ]
    assert train(line) == 0
    run, to = tmp_path / "run", tmp_path / "out"
    code, _, err = mtl("export", run, to, "--format", "adapter")
    assert code == 0, err
    assert "--base" in err
    texts = ["the soup was cold", "Ines"]
    loaded = load_model(run)
    for text, found in zip(texts, alone(PEFT, to, texts), strict=True):
        ids = loaded.encoder.plain(text)
        wanted = states_of(loaded.model.trunk, ids)
        torch.testing.assert_close(torch.tensor(found), wanted, rtol=1e-4, atol=1e-5)
    plain = states_of(load_model(trained).model.trunk, ids)
    assert not torch.allclose(plain, wanted, atol=1e-3)


@pytest.mark.slow
def test_tasks_with_an_adapter_each(mtl: Run, trained: Path, tmp_path: Path) -> None:
    """The whole model has them beside the trunk; formats of one trunk are refused."""
    base, run = trained.parent, tmp_path / "run"
    line = [
        *("task=ner,sentiment", "tuning=lora", "tuning.adapters=per_task", "tuning.rank=2"),
        *(f"tasks.{name}.data.source={base}" for name in ("ner", "sentiment")),
        "tasks.ner.columns={text: body, tokens: words, labels: ner_tags}",
        *("tasks.sentiment.columns.text=body", "trunk=hf", f"trunk.path={base / 'trunk'}"),
        *("trunk.lr=0.1", "batching.examples=8", "trainer.max_steps=3"),
        *("trainer.progress=false", "logger=none", f"hydra.run.dir={run}"),
    ]
    assert train(line) == 0
    wanted = load(run).predict(TEXT).to_dict()
    assert mtl("export", run, tmp_path / "hub")[0] == 0
    assert load(tmp_path / "hub").predict(TEXT).to_dict() == wanted
    changed = ("--remove", "ner", "--rename", "sentiment=mood", "--output", tmp_path / "one")
    code, _, err = mtl("heads", run, *changed)
    assert code == 0, err
    assert load(tmp_path / "one").predict(TEXT)["mood"].label == wanted["sentiment"]["label"]
    typed = ("--format", "adapter", "--task", "sentiment")
    assert mtl("export", run, tmp_path / "adapter", *typed)[0] == 0
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    check_error(mtl("export", run, tmp_path / "no", "--format", "adapter"), "one task")
    check_error(mtl("export", run, tmp_path / "no", "--format", "onnx"), "an adapter each")
