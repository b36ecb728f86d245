"""A run of W&B online, from its beginning to its end, against a server of this machine.

What the server stands for, and what not, says :mod:`tests.reporting.loggers.wandb_server`: the
interfaces by which a run begins, streams its metrics, uploads files and ends.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reporting.loggers.conftest import LOGGED, TASKS
from tests.reporting.loggers.wandb_server import Received, server

pytestmark = pytest.mark.slow
SCRIPT = """
import json, sys
from pathlib import Path
from mtl.config.schema import WandbConfig
from mtl.reporting.loggers import build_loggers, finish_loggers
folder, logged, tasks = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
about = {"tags": ["a tag"], "notes": "why", "job_type": "probe"}
options = WandbConfig(project="tests", mode="online", **about)
config = {"trunk": {"lr": 1e-5}}
loggers = build_loggers(["wandb"], folder, config=config, tasks=tasks, wandb=options)
for step, metrics in logged:
    loggers[0].log_metrics(metrics, step=step)
finish_loggers(loggers, failed=False)
"""


def environment(home: Path, found: Received) -> dict[str, str]:
    """Of a process that knows no other server."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "WANDB_BASE_URL": found.address,
        "WANDB_API_KEY": "a" * 40,
    }


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Received:
    """What the server has after a run in a process of its own."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "run"
    folder.mkdir()
    with server() as found:
        tasks = {name: [metrics, sorted(lower)] for name, (metrics, lower) in TASKS.items()}
        arguments = [str(folder), json.dumps(LOGGED), json.dumps(tasks)]
        ended = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            env=environment(home, found), capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert found.ended.wait(30), ended.stderr
    return found


def test_every_scalar_arrives_with_its_step(received: Received) -> None:
    wanted = [{**metrics, "trainer/global_step": step} for step, metrics in LOGGED]
    found = [
        {name: value for name, value in row.items() if not name.startswith("_")}
        for row in received.history
    ]
    assert found == wanted


def test_the_run_has_its_name_and_what_it_is_about(received: Received) -> None:
    made = received.runs[0]
    assert (made["project"], made["displayName"], made["notes"]) == ("tests", "run", "why")
    assert (made["tags"], made["jobType"]) == (["a tag"], "probe")
    assert "1e-05" in json.dumps(received.runs) or "1e-5" in json.dumps(received.runs)


def test_it_ends_as_finished_with_its_files(received: Received) -> None:
    assert received.exit_code == 0
    assert {"config.yaml", "wandb-summary.json", "requirements.txt"} <= received.files.keys()
    summary = json.loads(received.files["wandb-summary.json"])
    assert summary["val/score"] == {"last": 0.625, "max": 0.625} or summary["val/score"] == 0.625
    assert summary["val/rating/rmse"] in (0.25, {"last": 0.25, "min": 0.25})


IMPATIENT = """
from mtl.reporting.loggers import wandb_run
wandb_run.FINISH_SECONDS = 3.0
"""
STEPS = "for step, metrics"
GONE = IMPATIENT + SCRIPT.replace(STEPS, f'print("started", flush=True)\ninput()\n{STEPS}')


def test_training_goes_on_where_the_server_is_gone_in_mid_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    tasks = {name: [metrics, sorted(lower)] for name, (metrics, lower) in TASKS.items()}
    with server() as found:
        running = subprocess.Popen(
            [sys.executable, "-c", GONE, str(folder), json.dumps(LOGGED), json.dumps(tasks)],
            env=environment(tmp_path, found), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
    out, err = running.communicate("\n", timeout=240)
    assert running.returncode == 0, err
    assert "not all is uploaded" in out + err
    assert list((folder / "wandb").glob("run-*/run-*.wandb"))
