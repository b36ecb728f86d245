"""Choices from file to prediction, beside another task of the same texts."""

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
from tests.training.site import Site

THINGS = ["soup", "mill", "pump", "rain"]


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Return texts with two to four choices, of which the right one names the same thing."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        things = rng.sample(THINGS, 2 + number % 3)
        right = rng.randrange(len(things))
        row: dict[str, Any] = {"story": f"Ines saw the {things[right]} .", "gold": "ABCD"[right]}
        found.append({**row, "ends": [f"So the {thing} ." for thing in things]})
    return found


def test_choices_from_file_to_prediction(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, split in enumerate(("train", "validation", "test")):
        write_rows(tmp_path / "data" / f"{split}.jsonl", rows(24, seed))
    cfg = site.config("sentiment")
    cfg.tasks["pick"] = TaskConfig(
        type="multiple_choice",
        data=DataConfig(source=str(tmp_path / "data")),
        columns={"text": "story", "choices": "ends", "label": "gold"},
    )
    run = tmp_path / "run"
    scores = train(cfg, run)
    chance = (8 / 2 + 8 / 3 + 8 / 4) / 24
    assert scores["baseline/pick/accuracy"] == pytest.approx(chance)

    def mtl(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([arguments[0], str(run), *arguments[1:]])
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    texts = ["--text", "Ines saw the mill ."]
    ends = ["So the mill .", "So the rain .", "So the mill ."]
    code, out, err = mtl("predict", *texts, *(part for end in ends for part in ("--choice", end)))
    assert code == 0, err
    found = json.loads(out)["pick"]
    assert found["choices"] == ends
    assert found["choice"] == ends["ABC".index(found["label"])]
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert found["probabilities"][0] == found["probabilities"][2]
    file = write_rows(tmp_path / "in.jsonl", [{"story": texts[1], "ends": ends}])
    code, out, _ = mtl("predict", "--task", "pick", "--input", str(file))
    assert code == 0
    again = json.loads(out)["pick"]
    assert again["label"] == found["label"]
    assert again["probabilities"] == pytest.approx(found["probabilities"], abs=2e-4)
    test = str(tmp_path / "data" / "test.jsonl")
    code, out, err = mtl("evaluate", "--task", "pick", "--data", test, "--json")
    assert code == 0, err
    kept = json.loads(out)["tasks"]["pick"]["scores"]["accuracy"]
    assert kept == pytest.approx(scores["test/pick/accuracy"])
    code, _, err = mtl("predict", "--task", "pick", *texts, "--choice", "So .")
    assert code == 2
    assert "Expected `--choice` twice or more beside `--text`" in err
    code, _, err = mtl("predict", "--task", "sentiment", *texts, "--choice", "a", "--choice", "b")
    assert code == 2
    assert "Expected `--choice` to be for a task that reads one" in err
