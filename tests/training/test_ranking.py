"""Rankings and choices of a run: in one process, in two, and from its folder."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mtl.cli import main
from mtl.config.schema import DataConfig, TaskConfig
from mtl.training.run import train
from tests.training.corpus import write_rows
from tests.training.forked import two_ranks
from tests.training.site import Site, metrics
from train import main as train_py

THINGS = ["soup", "mill", "pump", "rain", "harbour"]


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Return pairs of queries, four to six rows each, shuffled, with choices besides."""
    rng = random.Random(seed)
    found = []
    for query in range(count):
        for number in range(4 + query % 3):
            one, two = rng.choice(THINGS), rng.choice(THINGS)
            row = {"asked": f"Where is the {one} ?", "found": f"Here {number} the {two} ."}
            best = {"ends": [one, two, "no"][: 2 + number % 2], "gold": number % 2}
            found.append({**row, **best, "query": f"{seed}-{query}", "grade": number % 3})
    rng.shuffle(found)
    return found


def write_data(folder: Path) -> Path:
    for seed, (split, count) in enumerate((("train", 5), ("validation", 4), ("test", 7))):
        write_rows(folder / f"{split}.jsonl", rows(count, seed))
    return folder


COLUMNS = {"text": "asked", "second": "found", "label": "grade", "query": "query"}


def test_rankings_from_file_to_evaluation(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data")
    cfg = site.config()
    cfg.tasks["rank"] = TaskConfig(
        type="text_classification",
        data=DataConfig(source=str(data)),
        columns=COLUMNS,
        metric="ndcg_10",
    )
    found = train(cfg, tmp_path / "run")
    names = {f"{stage}/rank/{name}" for stage in ("val", "test") for name in ("ndcg_10", "map")}
    assert names <= found.keys()
    assert found["val/score"] == found["val/rank/ndcg_10"]
    capsys.readouterr()
    file = str(data / "test.jsonl")
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(tmp_path / "run"), "--task", "rank", "--data", file, "--json"])
    captured = capsys.readouterr()
    assert end.value.code == 0, captured.err
    report = json.loads(captured.out)["tasks"]["rank"]
    for name in ("ndcg_10", "map", "mrr"):
        assert report["scores"][name] == pytest.approx(found[f"test/rank/{name}"], abs=1e-6)
    counts = {row["name"]: row["value"] for row in report["tables"]["ranking"]}
    assert counts["queries"] == 7


@pytest.mark.slow
def test_two_processes_rank_and_choose_as_one(site: Site, tmp_path: Path) -> None:
    """Rows of a query are on both, in passes of a few tokens."""
    data = write_data(tmp_path / "data")
    (tmp_path / "conf" / "task").mkdir(parents=True)
    for name, text in {
        "rank": f"type: text_classification\ncolumns: {json.dumps(COLUMNS)}",
        "pick": "type: multiple_choice\noptions: {label: 0}\n"
        "columns: {text: asked, choices: ends, label: gold}",
    }.items():
        text = f"# @package tasks.{name}\n{text}\nhead: {{dropout: 0}}\n"
        (tmp_path / "conf" / "task" / f"x_{name}.yaml").write_text(text, encoding="utf-8")
    line = [
        f"--config-dir={tmp_path / 'conf'}", "task=x_rank,x_pick", "trunk=hf",
        *(f"tasks.{name}.data.source={data}" for name in ("rank", "pick")),
        f"trunk.path={site.trunk}", "trunk.dropout=0", "trainer.accelerator=cpu",
        "trainer.max_epochs=2", "trainer.threads=1", "trainer.progress=false", "logger=none",
        "batching.examples=5", "batching.tokens=48",
    ]  # fmt: skip
    assert train_py([*line, f"hydra.run.dir={tmp_path / 'one'}"]) == 0
    both = ["trainer=ddp", "trainer.devices=2", f"hydra.run.dir={tmp_path / 'two'}"]
    ended = two_ranks(*line, *both)
    assert ended.returncode == 0, ended.stderr
    found = [metrics(tmp_path / name) for name in ("one", "two")]
    assert found[1] == pytest.approx(found[0], abs=1e-4)
    assert {"test/rank/mrr", "test/pick/accuracy"} <= found[0].keys()
