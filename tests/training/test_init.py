"""``init=RUN``: start from another run's trunk, and from the heads of the tasks both have."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from mtl.errors import CheckpointError, ConfigError
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
    cfg = site.config("ner", "rating", init__run=str(run), trainer__max_steps=1, trunk__lr=0.0)
    train(cfg, tmp_path)
    said = "".join(capsys.readouterr())
    assert "the heads of {ner} come from" in said
    assert "new heads: {rating}" in said
    both = {name: value for name, value in saved(run).items() if name.startswith("model.")}
    assert differing(both, {name: saved(tmp_path)[name] for name in both}) == []


def test_a_task_of_other_labels_is_refused(site: Site, run: Path, tmp_path: Path) -> None:
    other = {"negative": "bad", "neutral": "so-so", "positive": "good"}
    data = [{**row, "sentiment": other[row["sentiment"]]} for row in rows(16)]
    write_rows(tmp_path / "train.jsonl", data)
    cfg = site.config("sentiment", seed=7)
    change(cfg, "tasks.sentiment.data.source", str(tmp_path))
    ready = prepared(cfg, tmp_path)
    said = r"`tasks\.sentiment` .* labels are bad, good, so-so here, and negative, .* there\."
    with pytest.raises(ConfigError, match=said):
        start_from(ready.model, run)


@pytest.mark.parametrize("task", ["sentiment", "ner"])
def test_the_labels_that_a_task_had_are_said(
    site: Site, run: Path, tmp_path: Path, task: str
) -> None:
    """With the key of the message the task begins with the run's head."""
    few = [row for row in rows(16) if row["sentiment"] != "neutral" and "B-PER" in row["ner_tags"]]
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", few)
    cfg = site.config(task, seed=7)
    change(cfg, f"tasks.{task}.data.source", str(tmp_path))
    with pytest.raises(ConfigError, match=rf"Add '?tasks\.{task}\.data\.labels=") as refused:
        start_from(prepared(cfg, tmp_path / "one").model, run)
    (word,) = re.findall(r"Add ('[^']*'|\S+), the labels that it had", str(refused.value))
    key, _, value = shlex.split(word)[0].partition("=")
    change(cfg, key, value.strip("[]").split(","))
    assert start_from(prepared(cfg, tmp_path / "two").model, run) == [task]


def test_a_task_of_another_kind_is_refused(site: Site, run: Path, tmp_path: Path) -> None:
    """The same name and labels, but any number of them."""
    cfg = site.config("sentiment")
    change(cfg, "tasks.sentiment.options", {"problem": "multi"})
    with pytest.raises(ConfigError, match=r"`tasks\.sentiment` to be the task that it is in"):
        start_from(prepared(cfg, tmp_path).model, run)


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


OLD, NEW = ("ner", "sentiment"), "rating"


def test_heads_stay_bit_for_bit_where_the_trunk_does_not_learn(
    site: Site, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = {"tuning__name": "frozen", "tuning__cache": "false", "trainer__max_steps": 3}
    metrics = train(site.config(*OLD, NEW, init__run=str(run), **frozen), tmp_path)
    before, after = saved(run), saved(tmp_path)
    assert differing(before, {name: after[name] for name in before}) == []
    fresh = weights_of_new(site, tmp_path)
    assert differing(fresh, {name: after[name] for name in fresh}) != []
    for name, value in metrics.items():
        stage, _, rest = name.partition("/")
        if stage == "before":
            assert metrics.get(f"test/{rest}", metrics.get(f"val/{rest}")) == value
    assert {name.split("/")[1] for name in metrics if name.startswith("before/")} == set(OLD)
    said = "".join(capsys.readouterr())
    assert "before" in said
    assert "sentiment: accuracy was " in said


def weights_of_new(site: Site, folder: Path) -> dict[str, Any]:
    """Return the weights of the new head before any step, by their names in a model folder."""
    ready = prepared(site.config(*OLD, NEW), folder)
    return {f"head-{NEW}.safetensors:{n}": v for n, v in weights(ready.model.heads[NEW]).items()}


@pytest.mark.parametrize(("share", "rows_of_old"), [(0.5, 8), (0.01, 1)])
def test_rehearsal_trains_old_tasks_with_a_share_of_their_rows(
    site: Site, run: Path, tmp_path: Path, share: float, rows_of_old: int
) -> None:
    cfg = site.config(*OLD, NEW, init__run=str(run), init__rehearse=share)
    ready = prepared(cfg, tmp_path)
    sizes = {store.task: len(store) for store in ready.data.train}
    assert sizes == {"ner": rows_of_old, "sentiment": rows_of_old, NEW: 16}
    assert ready.tasks[1].learned.model_dump()["labels"] == ["negative", "neutral", "positive"]


def test_tasks_that_are_not_rehearsed_are_not_trained(
    site: Site, run: Path, tmp_path: Path
) -> None:
    cfg = site.config(*OLD, NEW, init__run=str(run), init__rehearse=0.0)
    ready = prepared(cfg, tmp_path)
    assert ready.data.planner.steps_per_epoch == 3  # 16 rows of the new task, 6 a step
    assert set(ready.data.resting) == set(OLD)


@pytest.mark.parametrize(
    ("names", "changes", "says"),
    [
        ((NEW,), {"init__rehearse": 0.5}, r"`init\.rehearse` to be unset, because no task"),
        ((NEW,), {"init__keep": "distill"}, r"`init\.keep` to be unset, because no task"),
        (OLD, {"init__rehearse": 0.0}, r"`init\.rehearse` to be above 0, because all tasks"),
        (
            (*OLD, NEW),
            {"init__keep": "distill", "tuning__name": "frozen"},
            r"`init\.keep` to be nothing, because the trunk does not learn.*init\.rehearse",
        ),
        (
            (*OLD, NEW),
            {"init__keep": "distill", "balancing__conflict": True},
            r"`init\.keep` to be nothing, because balancing keeps the tasks' gradients apart",
        ),
    ],
)
def test_what_cannot_be_held_is_refused(
    site: Site, run: Path, tmp_path: Path, names: tuple[str, ...], changes: Any, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        prepared(site.config(*names, init__run=str(run), **changes), tmp_path)
