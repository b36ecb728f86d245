"""A parent and its processes: one outcome, whatever each of them does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch.distributed  # noqa: F401  (sets a variable when it is imported)

from mtl.errors import CheckpointError, DataError, Interrupted, ProcessError
from mtl.launch import parent
from mtl.launch.parent import environment, run_processes
from mtl.launch.processes import read_metrics

SCRIPT = Path(__file__).with_name("script.py")
ROOT = SCRIPT.parents[2]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture(autouse=True)
def _all_is_left_as_it_was(tmp_path: Path) -> Iterator[None]:
    before = settings()
    yield
    assert settings() == before
    assert not list(tmp_path.glob(".processes-*"))
    for file in tmp_path.glob("*.pid"):
        assert not alive(int(file.read_text().split()[0]))


def settings() -> tuple[dict[str, str], list[object]]:
    """Return this process's variables and signal handlers."""
    variables = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return variables, [signal.getsignal(n) for n in parent.ENDING]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_first_alone_speaks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_processes({}, tmp_path, 3, [str(SCRIPT)])
    assert capfd.readouterr() == ("process 0\n", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"{n}.{of}" for n in range(3) for of in ("pid", "start-0")
    ]


@pytest.mark.parametrize("plan", [{"all": "wrong"}, {"0": "hang", "1": "wrong"}])
def test_a_users_error_is_one(plan: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^x\.tsv:3: Expected a label\.$"):
        run_processes(plan, tmp_path, 2, [str(SCRIPT)])


def test_a_users_error_is_the_cause_of_a_crash(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        run_processes({"0": "late crash", "1": "wrong"}, tmp_path, 2, [str(SCRIPT)])


def test_the_first_crash_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProcessError, match=r"^Process 2 of 2: ValueError: boom$"):
        run_processes({"0": "late crash", "1": "crash"}, tmp_path, 2, [str(SCRIPT)])
    shown = capfd.readouterr().err
    assert shown.count("Traceback") == 1
    assert shown.endswith("ValueError: boom\n")


def test_a_killed_process_ends_all(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"Process 2 of 3 was ended by SIGKILL.*resume="):
        run_processes({"0": "late crash", "1": "killed", "2": "hang"}, tmp_path, 3, [str(SCRIPT)])


def send_when_running(
    number: int, folder: Path, count: int = 2, again: float | None = None
) -> None:
    """Send this process a signal as soon as all of its children run, and perhaps again."""

    def wait() -> None:
        while len(list(folder.glob("*.pid"))) < count:
            time.sleep(0.02)
        time.sleep(0.2)
        os.kill(os.getpid(), number)
        if again is not None:
            time.sleep(again)
            os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    send_when_running(signal.SIGINT, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_processes({"all": "hang"}, tmp_path, 2, [str(SCRIPT)])


def test_sigterm_is_passed_on(tmp_path: Path) -> None:
    send_when_running(signal.SIGTERM, tmp_path)
    with pytest.raises(SystemExit) as stop:
        run_processes({"all": "leave"}, tmp_path, 2, [str(SCRIPT)])
    assert stop.value.code == 143


@pytest.mark.slow
def test_who_saves_after_the_others_is_waited_for(tmp_path: Path) -> None:
    send_when_running(signal.SIGUSR1, tmp_path)
    with pytest.raises(Interrupted) as stop:
        run_processes({"0": "save slowly", "1": "save"}, tmp_path, 2, [str(SCRIPT)])
    assert stop.value.code == 138
    assert {path.name for path in tmp_path.glob("*.saved")} == {"0.saved", "1.saved"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_second_signal_ends_who_does_not_hear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(parent, "REPEAT", 0.3)
    send_when_running(number, tmp_path, again=0.5)
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        run_processes({"all": "deaf"}, tmp_path, 2, [str(SCRIPT)])


def test_who_ignores_a_signal_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "PATIENCE", 0.5)
    send_when_running(signal.SIGTERM, tmp_path)
    with pytest.raises(SystemExit):
        run_processes({"0": "leave", "1": "hang"}, tmp_path, 2, [str(SCRIPT)])


@pytest.mark.slow
def test_children_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from mtl.launch.parent import run_processes;"
        f"run_processes({{'all': 'hang'}}, Path({str(tmp_path)!r}), 2, [{str(SCRIPT)!r}])"
    )
    running = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    files = [tmp_path / f"{rank}.pid" for rank in range(2)]
    until(lambda: all(f.exists() and f.read_text() for f in files))
    running.kill()
    running.wait()
    until(lambda: not any(alive(int(f.read_text().split()[0])) for f in files))
    assert not list(tmp_path.glob(".processes-*"))  # Nobody else would remove it either.


def test_nobody_else_can_read_the_configuration(tmp_path: Path) -> None:
    """It may hold secrets; the test's fixture sees that nothing of it is left."""
    before = os.umask(0)
    try:
        run_processes({"all": "look", "password": "x"}, tmp_path, 2, [str(SCRIPT)])
    finally:
        os.umask(before)
    assert (tmp_path / "modes").read_text() == "0o700 0o600"


def until(true: object) -> None:
    end = time.monotonic() + 60
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_groups_at_one_time_have_ports_of_their_own(tmp_path: Path) -> None:
    folders = [tmp_path / str(n) for n in range(3)]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(3) as threads:  # As joblib's threads run jobs of a sweep.
        list(threads.map(lambda folder: run_processes({}, folder, 2, [str(SCRIPT)]), folders))
    ports = [{file.read_text().split()[1] for file in f.glob("*.pid")} for f in folders]
    assert [len(own) for own in ports] == [1, 1, 1]
    assert len(set.union(*ports)) == 3


@pytest.mark.parametrize("how", ["once", "crash once"])
def test_all_start_again_after_one_ended_early(
    how: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_processes({"0": "hang once", "1": how}, tmp_path, 2, [str(SCRIPT)], max_restarts=2)
    shown = capfd.readouterr()
    assert shown.out == "process 0\nprocess 0\n"
    reason = "" if how == "once" else " (ZeroDivisionError: division by zero)"
    assert shown.err == (
        f"a process ended early{reason}: all start again and go on from the last checkpoint "
        "(restart 1 of 2)\n"
    )
    resumed = {p.name: p.read_text() for p in tmp_path.glob("*.start-*")}
    assert resumed == {
        "0.start-0": "None",
        "1.start-0": "None",
        "0.start-1": str(tmp_path),
        "1.start-1": str(tmp_path),
    }


def test_without_a_checkpoint_they_start_from_the_beginning(tmp_path: Path) -> None:
    with pytest.raises(ProcessError):
        run_processes({"1": "killed"}, tmp_path, 2, [str(SCRIPT)], max_restarts=1)
    assert (tmp_path / "1.start-1").read_text() == "None"


def test_out_of_restarts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = r"^Process 2 of 2 was ended by SIGKILL, .*No restart is left \(.*=2\)\. .*resume=\S+\.$"
    with pytest.raises(ProcessError, match=words):
        run_processes({"0": "hang", "1": "killed"}, tmp_path, 2, [str(SCRIPT)], max_restarts=2)
    assert capfd.readouterr().err.count("all start again") == 2
    assert (tmp_path / "1.start-2").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wrong", "leave now"])
def test_what_would_come_again_is_not_started_again(how: str, tmp_path: Path) -> None:
    with pytest.raises((DataError, Interrupted)):
        run_processes({"0": "hang", "1": how}, tmp_path, 2, [str(SCRIPT)], max_restarts=2)
    assert not list(tmp_path.glob("*.start-1"))


def test_a_signal_is_no_reason_to_start_again(tmp_path: Path) -> None:
    send_when_running(signal.SIGTERM, tmp_path)
    with pytest.raises(SystemExit):
        run_processes({"all": "leave"}, tmp_path, 2, [str(SCRIPT)], max_restarts=2)
    assert not list(tmp_path.glob("*.start-1"))


def test_what_an_aborted_process_said_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ProcessError, match="Process 2 of 2 was ended by SIGABRT"):
        run_processes({"0": "hang", "1": "abort"}, tmp_path, 2, [str(SCRIPT)])
    shown = capfd.readouterr().err
    assert shown.startswith("process 1\nwhat the library said\n")
    assert "SIGTERM" not in shown  # The launcher's own words.


def test_cores_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0))
    assert environment(2)["OMP_NUM_THREADS"] == str(max(1, cores // 2))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in environment(2)


def test_no_metrics(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Expected the run's metrics"):
        read_metrics(tmp_path)
