"""Pairs from file to prediction: entailment by labels, similarity by numbers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mtl.cli import main
from mtl.config.schema import DataConfig, TaskConfig
from mtl.errors import ConfigError
from mtl.training.run import train
from tests.training.corpus import write_rows
from tests.training.site import Site, prepared

THINGS = ["soup", "mill", "pump", "rain"]


def rows(count: int, seed: int, problem: str) -> list[dict[str, Any]]:
    """Return pairs that agree if they name the same thing."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        one, two = rng.choice(THINGS), rng.choice(THINGS)
        same = number % 2 == 0
        two = one if same else next(t for t in (two, *THINGS) if t != one)
        label: Any = (5.0 if same else 1.0) if problem == "regression" else ["no", "yes"][same]
        row = {"premise": f"Ines saw the {one} .", "hypothesis": f"So the {two} .", "gold": label}
        found.append(row)
    return found


@pytest.mark.parametrize("problem", ["single", "regression"])
def test_pairs_from_file_to_prediction(
    site: Site, tmp_path: Path, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, split in enumerate(("train", "validation", "test")):
        write_rows(tmp_path / "data" / f"{split}.jsonl", rows(24, seed, problem))
    cfg = site.config()
    cfg.tasks["pairs"] = TaskConfig(
        type="text_classification",
        data=DataConfig(source=str(tmp_path / "data")),
        columns={"text": "premise", "second": "hypothesis", "label": "gold"},
        options={"problem": problem},
    )
    run = tmp_path / "run"
    train(cfg, run)

    def mtl(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([arguments[0], str(run), *arguments[1:]])
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    texts = ["--text", "Ines saw the mill ."]
    code, out, _ = mtl("predict", *texts, "--second", "So the mill .", "--second", "So the rain .")
    assert code == 0
    found = json.loads(out)["pairs"]
    assert [one["second"] for one in found] == ["So the mill .", "So the rain ."]
    alike = [{"premise": texts[1], "hypothesis": one["second"]} for one in found]
    code, out, _ = mtl("predict", "--input", str(write_rows(tmp_path / "in.jsonl", alike)))
    assert code == 0
    key = "value" if problem == "regression" else "label"
    assert [json.loads(line)["pairs"][key] for line in out.splitlines()] == [
        one[key] if key == "label" else pytest.approx(one[key], abs=1e-4) for one in found
    ]
    code, _, err = mtl("predict", *texts)
    assert code == 2
    assert "`--second`" in err
    code, _, err = mtl(
        "evaluate", "--task", "pairs", "--data", str(tmp_path / "data" / "test.jsonl")
    )
    assert code == 0, err


def test_the_first_token_of_a_branch(site: Site, tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "validation")):
        write_rows(tmp_path / f"{split}.jsonl", rows(8, seed, "single"))
    cfg = site.config()
    cfg.tasks["pairs"] = TaskConfig(
        type="text_classification",
        data=DataConfig(source=str(tmp_path)),
        columns={"text": "premise", "second": "hypothesis", "label": "gold"},
        head={"pooling": "first"},
    )
    expected = r"`tasks\.pairs\.head\.pooling` to be last or mean.*options\.layout=joint"
    with pytest.raises(ConfigError, match=expected):
        prepared(cfg, tmp_path)
    cfg.tasks["pairs"].options = {"layout": "joint"}
    assert len(prepared(cfg, tmp_path).data.train[0]) == 8
