"""The page of runs, made of folders that were written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtl.cli.app import main
from mtl.reporting.report.page import LARGEST, page, write_report
from mtl.reporting.report.reading import read_run
from tests.browser import PHONE, check_page, opened

EVIL = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
SPANS = [{"text": "Ines", "label": "PER", "start": 0, "end": 4}]


def sample(number: int, wrong: float, text: str = "We loved it.") -> dict[str, Any]:
    found = "bad" if wrong else "good"
    return {
        "place": f"test.jsonl:{number}",
        "given": {"text": f"{text} {number}"},
        "answer": {"label": found, "probabilities": {"good": 1 - wrong, "bad": wrong}},
        "expected": {"label": "good"},
        "kinds": ["good as bad"] if wrong else [],
        "wrong": wrong,
    }


def evidence(samples: list[dict[str, Any]]) -> dict[str, Any]:
    missed = {
        "place": "test.jsonl:9",
        "given": {"text": "Ines left."},
        "answer": {"entities": []},
        "expected": {"entities": SPANS},
        "kinds": ["PER missed"],
        "wrong": 1.0,
    }
    mood = {
        "type": "text_classification",
        "metric": "accuracy",
        "examples": 100_000,
        "looked_at": 1000,
        "kinds": {"good as bad": 12},
        "samples": samples,
        "tables": {
            "labels": [
                {"label": "good", "precision": 0.5, "recall": 1.0, "f1": 0.66, "support": 3}
            ],
            "calibration": [
                {"low": 0.8, "high": 1.0, "examples": 7, "confidence": 0.9, "accuracy": 0.5}
            ],
        },
        "pairs": {"labels": {"labels": ["good", "<b>"], "counts": [[3, 1], [0, 2]]}},
    }
    ner = {
        "type": "token_classification",
        "metric": "f1",
        "examples": 1,
        "looked_at": 1,
        "kinds": {"PER missed": 1},
        "samples": [missed],
        "tables": {},
        "pairs": {},
    }
    return {"step": 20, "metrics": {}, "tasks": {"mood": mood, "ner": ner}}


def make_run(folder: Path, *, score: float = 0.5, text: str = "We loved it.") -> Path:
    """Write the folder of a run as training does."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / "report").mkdir()
    config = {"tasks": {"mood": {"data": {"train": "train.jsonl"}}, "ner": {}}, "seed": 1}
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    overrides = ["task=[mood,ner]", f"trunk.lr={score}"]
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides), encoding="utf-8")
    metrics = {
        "test/mood/accuracy": score,
        "baseline/mood/accuracy": 0.4,
        "test/ner/f1": 0.9,
        "val/score": score,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    curves = "step,train/mood/loss,val/mood/accuracy,val/score\n"
    curves += "".join(f"{s},{1 / s},{score * s / 30},{score * s / 30}\n" for s in (10, 20, 30))
    (folder / "report" / "curves.csv").write_text(curves, encoding="utf-8")
    samples = [sample(n, 0.9 - n / 100, text) for n in range(30)] + [sample(99, 0.0)]
    (folder / "report" / "test.json").write_text(json.dumps(evidence(samples)), encoding="utf-8")
    facts = {"tasks": {"mood": [90, 10, 0], "ner": [5, 1, 1]}, "trunk": "tiny", "steps": 30}
    facts |= {"architecture": "llama", "parameters": 12345, "tuning": "full", "device": "cpu"}
    facts |= {"processes": 2, "precision": "32-true", "examples": 8}
    (folder / "report" / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_what_a_page_says(tmp_path: Path) -> None:
    text = page([read_run(make_run(tmp_path / "run"))])
    for part in (
        "Weakest task: mood, with accuracy 0.5000 on test, where the baseline has 0.4000.",
        "Most frequent mistakes among 1,000 answers: good as bad (12).",
        "1,000 of 100,000 answers were looked at",
        "more steps (trainer.max_epochs): the score of all tasks was best at the end, at step 30.",
        "12,345 parameters",
        "python train.py &#39;task=[mood,ner]&#39; trunk.lr=0.5",
        "PER missed",
        "80.0% to 100.0%",
        "a larger pretrained trunk (trunk=hf trunk.path=...): this one has 12,345 weights.",
        "90 train, 10 validation (train.jsonl)",
    ):
        assert part in text


def test_what_a_balancing_did(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    curves = "step,train/mood/weight,train/ner/weight,train/mood/cosine_ner\n"
    curves += "".join(f"{step},{step / 10},1.0,-0.{step}\n" for step in (10, 20))
    (run / "report" / "curves.csv").write_text(curves, encoding="utf-8")
    text = page([read_run(run)])
    assert text.count("<figcaption>weight in training</figcaption>") == 1  # One never changes.
    assert text.count("<figcaption>cosine with the gradient of ner</figcaption>") == 1
    assert text.count("<figcaption>cosine with the gradient of mood</figcaption>") == 1
    assert text.count('class="zero"') == 2
    assert text.count('y1="0.0" y2="0.0"') == 2  # All are below 0.
    assert "-0.1000" in text


def test_what_a_run_began_with(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert '<th class="n" scope="col">before</th>' not in page([read_run(run)])
    found = json.loads((run / "metrics.json").read_text())
    more = {"before/mood/accuracy": 0.7654, "baseline/score": 0.3333}
    (run / "metrics.json").write_text(json.dumps({**found, **more}), encoding="utf-8")
    text = page([read_run(run)])
    assert '<th class="n" scope="col">before</th>' in text
    assert '<td class="n">0.7654</td>' in text
    assert '<td class="n">0.3333</td>' in text


def test_kinds_say_how_many_are_here(tmp_path: Path) -> None:
    text = page([read_run(make_run(tmp_path / "run"))])
    assert '<option value="PER missed">PER missed (1 of 1)</option>' in text
    text = page([read_run(make_run(tmp_path / "other"))], examples=5)
    assert '<option value="good as bad">good as bad (5 of 12)</option>' in text


def test_ranks_of_adapters_are_a_picture(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    ranks = {f"layers.{n}.{m}": n for n in range(12) for m in ("q_proj", "mlp.up_proj")}
    facts = {"initial_rank": 12, "ranks": ranks | {"layers.3.mlp.down_proj": 7}}
    (run / "report" / "tuning.json").write_text(json.dumps(facts), encoding="utf-8")
    text = " ".join(page([read_run(run)]).split())
    for name in ("q_proj", "mlp.up_proj", "mlp.down_proj"):
        assert f'<th class="n" scope="col">{name}</th>' in text
    assert '<td style="--strength: 0.917">11</td>' in text
    row = text[text.index('<th scope="row">3</th>') :].partition("</tr>")[0]
    assert row.count("<td style") == 3
    assert "of 12 that each began with, 5.6 are left on average" in text


def test_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    runs = [read_run(make_run(tmp_path / f"r{n}", score=n / 10)) for n in range(1, 4)]
    text = page(runs)
    assert "the best run on validation is r3" in text
    for name in ("r1", "r2", "r3"):
        assert f'<th class="n" scope="col">{name}</th>' in text
    assert "<code>trunk.lr=0.2</code>" in text
    rows = [text.index(f'<tr><th scope="row">{name}</th>') for name in ("r3", "r2", "r1")]
    assert rows == sorted(rows)
    assert text.count("<polyline") == 6


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    text = page([read_run(make_run(tmp_path / sweep / "job-0")) for sweep in ("a", "b")])
    assert "a/job-0" in text
    assert "b/job-0" in text


def test_a_sweep_is_shown_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = []
    for number, (status, score) in enumerate((("done", 0.3), ("pruned", 0.1), ("done", 0.5))):
        folder = make_run(tmp_path / f"job-{number}", score=score)
        job = {"job": number, "status": status, "score": score, "higher": True, "monitor": "val/x"}
        (folder / ".hydra" / f"job-{number}.json").write_text(json.dumps(job))
        jobs.append(job)
    folder = make_run(tmp_path / "job-3")
    (folder / "metrics.json").unlink()
    failed = {"job": 3, "status": "error", "message": "Expected <b>.\nmore", "score": None}
    (folder / ".hydra" / "job-3.json").write_text(json.dumps(failed))
    told = {"lines": ["pruning saved <i>"], "command": "python train.py a", "jobs": [*jobs, failed]}
    (tmp_path / "sweep.json").write_text(json.dumps(told))
    (tmp_path / "front.svg").write_text("<svg><script>document.title='x'</script></svg>")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path)])
    assert ended.value.code == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<li>pruning saved &lt;i&gt;</li>" in text
    assert "<code>python train.py a</code>" in text
    assert "0: 0.3000, 1: 0.3000, 2: 0.5000" in text  # the best so far
    assert "0: 0.3000, 1: 0.1000, 2: 0.5000" in text
    assert "<td>pruned</td>" in text
    assert "<td>error: Expected &lt;b&gt;.</td>" in text
    assert "<svg><script>" not in text  # The picture is an image: no script of it runs.


@pytest.mark.parametrize("verb", ["report", "dashboard"])
def test_a_folder_of_no_run(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, str(tmp_path)])
    assert ended.value.code == 2
    said = f"error: Expected `mtl {verb}` to be given the folder of a run or of a sweep, but '"
    assert capsys.readouterr().err == f"{said}{tmp_path}' holds none.\n"


def test_data_is_never_markup(tmp_path: Path) -> None:
    text = page([read_run(make_run(tmp_path / "run", text=EVIL))])
    assert EVIL not in text
    assert "&lt;script&gt;document.title" in text
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_a_run_that_has_not_ended(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "metrics.json").unlink()
    (run / "report" / "test.json").unlink()
    text = page([read_run(run)])
    assert "There are no final scores yet: has not ended; 30 steps so far." in text
    assert "<polyline" in text


def test_a_folder_with_a_configuration_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "config.yaml").write_text("tasks: {ner: {}}", encoding="utf-8")
    assert "There are no final scores yet" in page([read_run(run)])


def test_damaged_files_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "metrics.json").write_text("{", encoding="utf-8")
    (run / "report" / "curves.csv").write_bytes(b"step\n\xff\n")
    text = page([read_run(run)])
    assert "metrics.json cannot be read" in text


def test_a_page_stays_small(tmp_path: Path) -> None:
    runs = [
        read_run(make_run(tmp_path / f"r{n}", score=n / 100, text="long " * 2500))
        for n in range(20)
    ]
    text = page(runs)
    assert len(text.encode()) < LARGEST
    assert "Tables and mistakes are those of the 8 best of 20 runs." in text
    assert "6 more runs are not drawn" in text or "12 more runs are not drawn" in text


def test_a_page_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    (run / "report.html").mkdir()
    write_report(run, [run])
    assert "report.html: not written" in capsys.readouterr().err


def go(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(["report", *map(str, arguments)])
    return int(end.value.code or 0), capsys.readouterr().err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("job-0", "job-1"):
        make_run(tmp_path / "sweep" / name)
    code, said = go(capsys, tmp_path / "sweep")
    assert code == 0
    assert str(tmp_path / "sweep" / "report.html") in said
    assert "job-1" in (tmp_path / "sweep" / "report.html").read_text(encoding="utf-8")
    target = tmp_path / "both.html"
    assert go(capsys, tmp_path / "sweep" / "job-0", "--output", target)[0] == 0
    assert target.is_file()
    code, said = go(capsys, tmp_path / "none")
    assert code == 2
    assert "is not there" in said
    code, said = go(capsys, tmp_path / "sweep", "--output", tmp_path / "x.txt")
    assert code == 2
    assert "`--output`" in said


@pytest.mark.slow
def test_filters_work_in_a_browser(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, text=EVIL) for name in ("a", "b")]
    file = tmp_path / "report.html"
    file.write_text(page([read_run(run) for run in runs]), encoding="utf-8")
    check_page(file)
    with opened(file, PHONE) as (browser, said):
        assert browser.title().startswith("mood, ner")
        shown = lambda: browser.locator("#task-1 article:visible").count()  # noqa: E731
        counted = browser.locator("#task-1 output")
        assert (shown(), counted.inner_text()) == (10, "10 of 60 shown")
        browser.locator("#task-1 [data-more]").click()
        assert shown() == 20
        browser.locator("#task-1 select[name=run]").select_option("a")
        assert counted.inner_text() == "10 of 30 shown"
        browser.locator("#task-1 input[name=text]").fill("ONERROR")
        assert counted.inner_text() == "10 of 30 shown"
        browser.locator("#task-1 input[name=text]").fill("nowhere")
        assert shown() == 0
        browser.locator("#task-1 button[type=reset]").click()
        browser.locator("#task-1 input[name=right]").check()
        assert counted.inner_text() == "10 of 62 shown"
        browser.locator("#task-1 select[name=kind]").select_option("good as bad")
        assert counted.inner_text() == "10 of 60 shown"
        assert said == []
