"""Signals to runs of several processes: all save one checkpoint, at one step; nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mtl.training.checkpoint import read_checkpoint
from tests import helpers
from tests.training.corpus import write_corpus
from tests.training.processes import ROOT, arguments, logged, train_py
from tests.training.site import Site, differing, last_weights, metrics

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux"),
]
STEPS = 150
AGENT = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A one-layer Llama and a small corpus."""
    base = tmp_path_factory.mktemp("site")
    config = helpers.llama_config(num_hidden_layers=1, hidden_size=8)
    trunk = helpers.save_tiny(base / "trunk", config, helpers.bpe_tokenizer())
    return Site(trunk, write_corpus(base / "data"))


@pytest.fixture(scope="module")
def line(site: Site, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of two processes, with dropout, that takes a few seconds."""
    more = (
        "trainer=ddp",
        "trainer.devices=2",
        f"trainer.max_steps={STEPS}",
        "trainer.val_check_interval=70",
        "trainer.log_every_n_steps=3",
        "trunk.dropout=0.2",
        "trunk.lr=1e-3",
        "head.lr=1e-3",
        "callbacks.checkpoint.every_n_train_steps=20",
    )
    return arguments(site, tmp_path_factory.mktemp("conf"), *more)


@pytest.fixture(scope="module")
def whole(line: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    ended = train_py(*line, f"hydra.run.dir={folder}")
    assert ended.returncode == 0, ended.stderr
    return folder


def steps_logged(run: Path) -> int:
    """Return how many rows of training a run has logged so far."""
    try:
        return sum("train/loss" in row for row in logged(run))
    except (OSError, ValueError):
        return 0


def descendants(pid: int) -> list[int]:
    """Return a process and all below it."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [pid, *(each for child in text.split() for each in descendants(int(child)))]


def stop(
    command: list[str], run: Path, tell: Callable[[int], None], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Start a run and tell it to stop as soon as it has logged more than there was."""
    before = steps_logged(run)
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 120
        while steps_logged(run) < before + 2 and running.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.02)
        tell(running.pid)
        out, err = running.communicate(timeout=120)
    finally:
        for pid in descendants(running.pid):
            os.kill(pid, signal.SIGKILL)
        running.wait()
    return subprocess.CompletedProcess(command, running.returncode, out, err)


def to_parent(number: int) -> Callable[[int], None]:
    return lambda pid: os.kill(pid, number)


def to_group(number: int) -> Callable[[int], None]:
    return lambda pid: os.killpg(pid, number)


def to_all(number: int) -> Callable[[int], None]:
    """As SLURM does, which knows all processes of a job."""

    def tell(pid: int) -> None:
        for each in descendants(pid):
            os.kill(each, number)

    return tell


def check_equal(run: Path, whole: Path) -> None:
    assert not differing(last_weights(run), last_weights(whole))
    assert metrics(run) == metrics(whole)
    assert logged(run) == logged(whole)


STOPS = {
    "Ctrl-C": (to_parent(signal.SIGINT), 130),
    "SIGTERM to the group": (to_group(signal.SIGTERM), 143),
    "SIGUSR1 to all": (to_all(signal.SIGUSR1), 138),
}


def test_one_run_is_stopped_by_each_signal_in_turn(
    line: list[str], whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, str(ROOT / "train.py"), *line, f"hydra.run.dir={run}"]
    taken = 0
    for name, (tell, code) in STOPS.items():
        ended = stop(command, run, tell)
        assert ended.returncode == code, (name, ended.stderr)
        assert "and saved; go on with: python train.py resume=" in ended.stderr, name
        assert "Traceback" not in ended.stderr, name
        last = read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
        assert f"after step {last}, and saved" in ended.stderr, name
        assert taken < last < STEPS, name
        taken = last
        assert not list(run.glob(".processes-*")), name
        command = [sys.executable, str(ROOT / "train.py"), f"resume={run}"]
    ended = train_py(f"resume={run}")
    assert ended.returncode == 0, ended.stderr
    check_equal(run, whole)


def kill_all(pid: int) -> None:
    for each in reversed(descendants(pid)):
        os.kill(each, signal.SIGKILL)


def test_torchrun_goes_on_after_a_kill(line: list[str], whole: Path, tmp_path: Path) -> None:
    """And after SIGTERM, which the agent passes on, and by itself after a worker is killed.

    With restarts of its own, it runs the same command again. Otherwise its workers would find in
    its store where those before them had listened.
    """
    run = tmp_path / "run"
    own = [str(ROOT / "train.py"), *line, f"hydra.run.dir={run}", "resume=auto"]
    ended = stop([*AGENT, *own], run, to_parent(signal.SIGTERM))
    assert "stopped by SIGTERM after step" in ended.stderr
    first = read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
    assert 0 < first < STEPS

    stop([*AGENT, *own], run, kill_all)
    assert not (run / "metrics.json").exists()
    killed: list[int] = []

    def kill_one(pid: int) -> None:
        assert not (run / "metrics.json").exists()
        killed.append(descendants(pid)[-1])
        os.kill(killed[0], signal.SIGKILL)

    command = [*AGENT, "--max-restarts=1", *own]
    ended = stop(command, run, kill_one, TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
    assert ended.returncode == 0, ended.stderr
    assert f"(pid: {killed[0]})" in ended.stderr  # The agent's word for it.
    check_equal(run, whole)


def rank_of(pid: int) -> str | None:
    """Return which process of its run one is."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((v[5:].decode() for v in variables if v.startswith(b"RANK=")), None)


def test_a_run_heals_after_each_process_is_killed(
    line: list[str], whole: Path, tmp_path: Path
) -> None:
    """It goes on where its last checkpoint was, and ends as if nothing had happened."""
    run = tmp_path / "run"
    own = [*line, f"hydra.run.dir={run}", "trainer.max_restarts=2"]
    last = run / "checkpoints" / "last.ckpt"

    def written() -> int:
        return last.stat().st_mtime_ns if last.exists() else 0

    def kill_each(pid: int) -> None:
        killed: set[int] = set()
        for rank in ("0", "1"):
            before = written()
            while written() == before:
                time.sleep(0.02)
            assert not (run / "metrics.json").exists()
            (chosen,) = {each for each in descendants(pid) if rank_of(each) == rank} - killed
            killed.add(chosen)
            os.kill(chosen, signal.SIGKILL)

    ended = stop([sys.executable, str(ROOT / "train.py"), *own], run, kill_each)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("all start again") == 2
    assert ended.stderr.count("restart 1 of 2") == ended.stderr.count("restart 2 of 2") == 1
    assert "Traceback" not in ended.stderr
    assert not list(run.glob(".processes-*"))
    check_equal(run, whole)
