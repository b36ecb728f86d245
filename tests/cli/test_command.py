"""``train.py`` from its arguments to its exit code, with a training of our own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mtl.cli import train as script
from mtl.errors import DataError, Interrupted
from tests.cli.conftest import Result, Training

Command = Callable[..., Result]


def folders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir()) if path.exists() else []


def snapshot(path: Path) -> dict[str, tuple[int, bytes]]:
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in path.iterdir()}


class TestRun:
    def test_joint(self, command: Command, training: Training) -> None:
        assert command("task=ner,sentiment", "hydra.run.dir=r").code == 0
        assert list(training.cfg.tasks) == ["ner", "sentiment"]
        assert training.run_dir == Path.cwd() / "r"
        assert folders(training.run_dir) == [".hydra", "checkpoints"]
        saved = yaml.safe_load((training.run_dir / ".hydra" / "config.yaml").read_text())
        assert sorted(saved["tasks"]) == ["ner", "sentiment"]

    def test_prints_nothing_of_its_own(self, command: Command) -> None:
        result = command("task=ner")
        assert (result.out, result.err) == ("", "")

    def test_two_in_one_second_have_their_own_folders(
        self, command: Command, training: Training
    ) -> None:
        for _ in range(3):
            assert command("task=ner").code == 0
        assert len({run_dir for _, run_dir in training.calls}) == 3

    def test_a_folder_with_a_run_is_left_alone(self, command: Command, training: Training) -> None:
        command("task=ner", "hydra.run.dir=r")
        before = snapshot(Path("r/.hydra"))
        result = command("task=sentiment", "hydra.run.dir=r")
        assert result.code == 2
        assert "holds a run" in result.err
        assert snapshot(Path("r/.hydra")) == before
        assert len(training.calls) == 1

    def test_names_of_folders(self, command: Command, training: Training) -> None:
        assert command("task=ner", "hydra.run.dir='a b,c=d'").code == 0
        assert training.run_dir.name == "a b,c=d"
        assert (
            command("hydra.run.dir=${trunk.name}-${hydra.job.override_dirname}", "seed=5").code == 0
        )
        assert training.run_dir.name == "tiny-seed=5"

    def test_a_users_error_is_one_message(self, command: Command, training: Training) -> None:
        training.by_seed[7] = DataError("x.conll:3: a bad row.")
        result = command("seed=7", "hydra.run.dir=r")
        assert (result.code, result.out, result.err) == (2, "", "error: x.conll:3: a bad row.\n")
        assert not Path("r").exists()

    def test_a_crash_has_a_traceback(self, command: Command, training: Training) -> None:
        training.by_seed[7] = ValueError("boom")
        result = command("seed=7", "hydra.run.dir=r")
        assert result.code == 1
        assert "Traceback" in result.err
        assert result.err.endswith("ValueError: boom\n")

    @pytest.mark.parametrize("as_exit", [False, True])
    def test_interrupt(self, command: Command, training: Training, as_exit: bool) -> None:
        stop: BaseException = KeyboardInterrupt()
        if as_exit:  # as Lightning does
            stop = SystemExit(1)
            stop.__context__ = KeyboardInterrupt()
        training.by_seed[7] = stop
        result = command("seed=7")
        assert (result.code, result.err) == (130, "interrupted\n")

    def test_a_signal_that_the_run_has_answered(self, command: Command, training: Training) -> None:
        training.by_seed[7] = Interrupted(143)
        result = command("seed=7", "hydra.run.dir=r")
        assert (result.code, result.err) == (143, "")
        assert Path("r").is_dir()

    @pytest.mark.parametrize(
        "argv",
        [
            ["task="],
            ["task=ner,"],
            ["trunk.lr=-1"],
            ["tunk=tiny", "seed=x"],
            ["+trunk.lr=1"],
            ["--nonsense"],
            ["--cfg=x"],
            ["--config-dir=nowhere"],
            ["hydra/launcher=nowhere"],
            ["trunk.lr=1,2"],
            ["hydra.run.dir=${nothing}"],
            ["resume="],
            ["-m", "resume=x"],
            ["-m", "task=ner,nerr"],
            ["-m", "hydra.sweep.dir=/dev/null/x"],
            ["hydra.run.dir=/dev/null/x"],
        ],
        ids=" ".join,
    )
    def test_nothing_is_written_for_a_wrong_command(
        self, command: Command, training: Training, argv: list[str]
    ) -> None:
        result = command(*argv)
        assert result.code == 2
        assert result.err.startswith("error: ")
        assert result.out == ""
        assert "Traceback" not in result.err
        assert "HYDRA_FULL_ERROR" not in result.err
        assert folders(Path()) in ([], ["outputs"])
        assert training.calls == []

    def test_resume_in_a_file_is_refused(self, command: Command) -> None:
        Path("c/debug").mkdir(parents=True)
        Path("c/debug/r.yaml").write_text("# @package _global_\nresume: x\n")
        assert "on the command line" in command("--config-dir=c", "debug=r").err

    def test_show_the_configuration(self, command: Command) -> None:
        shown = yaml.safe_load(command("task=ner", "trunk.lr=0.5", "--cfg", "job").out)
        assert (shown["trunk"]["lr"], shown["tasks"]["ner"]["weight"]) == (0.5, 1.0)
        assert "lr: 0.5" in command("trunk.lr=0.5", "--cfg", "job", "--package", "trunk").out
        assert folders(Path()) == []

    def test_options_stand_anywhere(self, command: Command) -> None:
        assert command("trunk.lr=0.5", "--cfg=job", "seed=3").code == 0


class TestResume:
    @pytest.fixture
    def run(self, command: Command) -> Path:
        command("task=ner", "trunk.lr=0.25", "trainer.max_epochs=2", "hydra.run.dir=r")
        return Path.cwd() / "r"

    def test_with_its_own_configuration(
        self, command: Command, training: Training, run: Path
    ) -> None:
        first, before = training.cfg, snapshot(run / ".hydra")
        assert command("resume=r", "trainer.max_epochs=5", "trainer.max_steps=9").code == 0
        assert training.run_dir == run
        cfg = training.cfg
        assert (cfg.resume, cfg.trainer.max_epochs, cfg.trainer.max_steps) == (str(run), 5, 9)
        cfg.resume, cfg.trainer.max_epochs, cfg.trainer.max_steps = None, 2, None
        assert cfg == first
        assert snapshot(run / ".hydra") == before
        assert folders(Path()) == ["r"]

    def test_null_is_no_resume(self, command: Command, training: Training) -> None:
        assert command("resume=null", "task=ner").code == 0
        assert training.cfg.resume is None

    def test_nothing_else_may_change(self, command: Command, run: Path) -> None:
        err = command("resume=r", "trunk.lr=1", "task=ner,sentiment", "hydra.run.dir=x").err
        assert "but got `trunk.lr=1`, `task=ner,sentiment`, `hydra.run.dir=x`." in err

    @pytest.mark.parametrize(
        ("argv", "text"),
        [
            (["resume=nowhere"], "nowhere does not exist"),
            (["resume=."], "has no .hydra/config.yaml"),
            (
                ["resume=r", "trainer.max_epochs=0"],
                "a whole number at least 1",
            ),
            (["resume=r", "trainer.max_epochs=["], "error: Cannot read trainer.max_epochs=["),
            (["resume=r", "-m"], "without -m"),
        ],
    )
    def test_refusals(
        self, command: Command, training: Training, run: Path, argv: list[str], text: str
    ) -> None:
        result = command(*argv)
        assert result.code == 2
        assert text in result.err
        assert len(training.calls) == 1

    @pytest.mark.parametrize("text", ["a: [", "- 1\n", "a: 1\n", "\xff"])
    def test_a_broken_configuration(self, command: Command, run: Path, text: str) -> None:
        (run / ".hydra" / "config.yaml").write_text(text, encoding="latin-1")
        result = command("resume=r")
        assert result.code == 2
        assert "Traceback" not in result.err

    def test_a_failed_resume_keeps_the_run(
        self, command: Command, training: Training, run: Path
    ) -> None:
        training.by_seed[42] = DataError("gone")
        before = snapshot(run / ".hydra")
        assert command("resume=r").code == 2
        assert snapshot(run / ".hydra") == before


class TestSweep:
    def test_plain_hydra(self, command: Command, training: Training) -> None:
        assert command("-m", "task=ner,sentiment", "trunk.lr=1e-5,5e-5").code == 0
        seen = [(list(cfg.tasks), cfg.trunk.lr) for cfg, _ in training.calls]
        assert seen == [
            (["ner"], 1e-5),
            (["ner"], 5e-5),
            (["sentiment"], 1e-5),
            (["sentiment"], 5e-5),
        ]
        assert len({run_dir for _, run_dir in training.calls}) == 4

    def test_over_sets_with_keys_of_each(self, command: Command, training: Training) -> None:
        keys = ["tasks.ner.weight=2", "tasks.sentiment.options.label_smoothing=0.1"]
        assert command("--multirun", "task=[ner,sentiment],[ner],[sentiment]", *keys).code == 0
        seen = [
            {name: task.weight for name, task in cfg.tasks.items()} for cfg, _ in training.calls
        ]
        assert seen == [{"ner": 2.0, "sentiment": 1.0}, {"ner": 2.0}, {"sentiment": 1.0}]

    def test_a_file_of_the_group(self, command: Command, training: Training) -> None:
        assert command("sweep=lr", "task=ner,sentiment").code == 0
        assert [cfg.trunk.lr for cfg, _ in training.calls] == [1e-4, 3e-4, 1e-3]
        assert all(len(cfg.tasks) == 2 for cfg, _ in training.calls)

    def test_a_failed_job_does_not_stop_the_rest(
        self, command: Command, training: Training
    ) -> None:
        training.by_seed[2] = DataError("x.conll:3: a bad row.")
        result = command("-m", "seed=1,2,3", "task=ner", "hydra.sweep.dir=s")
        assert result.code == 2
        assert [cfg.seed for cfg, _ in training.calls] == [1, 2, 3]
        assert "job 1: error: x.conll:3: a bad row." in result.err
        assert "Traceback" not in result.err
        table = result.out[result.out.index("2 of 3 jobs done in s") :]
        assert [word in table for word in ("seed=1", "0.0300", "error: x.conll")] == [True] * 3
        assert "task=ner" not in table.partition("the best again")[0]
        jobs = [json.loads(f.read_text()) for f in sorted(Path("s").glob("*/.hydra/job-*.json"))]
        assert [job["status"] for job in jobs] == ["done", "error", "done"]

    @pytest.mark.parametrize("wrong", ["-1", "abc"])
    def test_a_wrong_value_fails_its_own_job(
        self, command: Command, training: Training, wrong: str
    ) -> None:
        result = command("-m", f"trunk.lr={wrong},0.1")
        assert result.code == 2
        assert [cfg.trunk.lr for cfg, _ in training.calls] == [0.1]

    def test_a_crash_wins_over_an_error(self, command: Command, training: Training) -> None:
        training.by_seed.update({1: ValueError("boom"), 2: DataError("bad")})
        result = command("-m", "seed=1,2,3")
        assert result.code == 1
        assert "ValueError: boom" in result.err
        assert [cfg.seed for cfg, _ in training.calls] == [1, 2, 3]

    @pytest.mark.parametrize("stop", [KeyboardInterrupt(), Interrupted(130)])
    def test_an_interrupt_ends_it_with_its_table(
        self, command: Command, training: Training, stop: BaseException
    ) -> None:
        training.by_seed[2] = stop
        result = command("-m", "seed=1,2,3")
        assert result.code == 130
        assert "interrupted" in result.out
        assert len(training.calls) == 2

    def test_folders_are_never_shared(self, command: Command, training: Training) -> None:
        assert command("-m", "seed=1,2", "hydra.sweep.dir=s").code == 0
        assert command("-m", "seed=1,2", "hydra.sweep.dir=s").code == 2
        assert command("-m", "seed=1,2", "hydra.sweep.dir=t", "hydra.sweep.subdir=same").code == 2
        assert len(training.calls) == 3

    def test_a_job_of_a_sweep_is_resumed_like_a_run(
        self, command: Command, training: Training
    ) -> None:
        command("-m", "task=[ner],[sentiment]", "tasks.ner.weight=2", "hydra.sweep.dir=s")
        assert command("resume=s/job-1").code == 0
        assert list(training.cfg.tasks) == ["sentiment"]


class TestProcesses:
    @pytest.fixture(autouse=True)
    def _second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the second of two processes that torchrun started."""
        for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "2")):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", "1")

    def test_the_first_shows_a_wrong_command(self, command: Command) -> None:
        assert command("task=nr") == Result(2, "", "")

    def test_a_sweep_starts_its_own(
        self, command: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RANK", "0")
        result = command("-m", "seed=1,2")
        assert result.code == 2
        assert "torchrun has started this one" in result.err

    def test_half_a_launcher(self, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MASTER_PORT")
        result = command("task=ner")
        assert result.code == 2
        assert "MASTER_PORT is not set" in result.err


def test_arguments_of_the_process_are_left_alone(command: Command) -> None:
    before = list(sys.argv)
    command("task=ner")
    assert sys.argv == before
    assert script.main(["--help"]) == 0
