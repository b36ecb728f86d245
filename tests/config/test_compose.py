"""What a command line asks for, and every way in which it can be wrong."""

from pathlib import Path

import pytest

from tests.config.conftest import CHOICES, compose, refusal


def test_tasks_are_joined_by_a_comma() -> None:
    assert list(compose("task=ner,sentiment").config.tasks) == ["ner", "sentiment"]
    assert compose("task=[ner,sentiment]").config == compose("task=ner,sentiment").config
    assert list(compose("task=ner").config.tasks) == ["ner"]
    assert compose().config == compose("task=ner,sentiment").config


def test_readme_real_model_and_data() -> None:
    cfg = compose(
        "task=ner,sentiment",
        "trunk=hf",
        "trunk.path=Qwen/Qwen3-0.6B-Base",
        "tasks.ner.data.source=hub:eriktks/conll2003",
    ).config
    assert (cfg.trunk.name, cfg.trunk.path) == ("hf", "Qwen/Qwen3-0.6B-Base")
    assert cfg.tasks["ner"].data.source == "hub:eriktks/conll2003"
    assert cfg.tasks["sentiment"].data.source == "bundled:newsroom"


def test_readme_own_files() -> None:
    splits = [f"tasks.ner.data.{name}=F" for name in ("train", "validation", "test")]
    data = compose("task=ner", *splits).config.tasks["ner"].data
    assert (data.train, data.validation, data.test) == ("F", "F", "F")


def test_readme_sweep() -> None:
    composed = compose("task=ner,sentiment", "trunk.lr=1e-5,5e-5", multirun=True)
    assert composed.multirun
    assert "multirun" not in str(composed.cfg.hydra.sweep.dir)


def test_several_loggers() -> None:
    assert compose("logger=[wandb,csv]").config.logger.names == ["wandb", "csv"]
    assert compose("logger=none").config.logger.names == []
    assert compose("logger.names=[csv]").config.logger.names == ["csv"]
    assert compose("logger.use.csv=true").config.logger.names == ["wandb", "csv"]


def test_keys_of_a_task_need_no_plus() -> None:
    cfg = compose("task=ner", "tasks.ner.options.label_smoothing=0.1", "tasks.ner.weight=2").config
    assert cfg.tasks["ner"].options == {"label_smoothing": 0.1}
    assert cfg.tasks["ner"].weight == 2.0


def test_a_task_is_added_on_the_command_line() -> None:
    topic = ["+tasks.topic.type=text_classification", "+tasks.topic.data.train=F"]
    assert list(compose("task=ner", *topic, "tasks.topic.weight=3").config.tasks) == [
        "ner",
        "topic",
    ]


def test_a_task_is_removed() -> None:
    assert list(compose("~tasks.sentiment").config.tasks) == ["ner"]


def test_an_unused_column_is_null() -> None:
    columns = compose("task=ner", "tasks.ner.columns={text: null, tokens: 0}").config
    assert columns.tasks["ner"].columns == {"tokens": 0, "labels": "ner_tags"}


def test_further_folder(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    text = "# @package tasks.topic\ntype: text_classification\ndata: {source: F}\n"
    (tmp_path / "task" / "topic.yaml").write_text(text)
    cfg = compose("task=ner,topic", folders=(tmp_path,)).config
    assert list(cfg.tasks) == ["ner", "topic"]


def test_experiment_with_one_of_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_DATA", "/data")
    cfg = compose("experiment=conll2003_sst2", "task=ner", "trunk.path=M").config
    assert list(cfg.tasks) == ["ner"]
    assert cfg.tasks["ner"].data.train == "/data/conll2003/eng.train"


def test_unset_variable_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTL_DATA", raising=False)
    message = refusal("experiment=conll2003_sst2", "trunk.path=M")
    assert message == (
        "Expected `tasks.ner.data.train` to resolve, but got: Environment variable 'MTL_DATA' not"
        " found. So it is with 5 more keys."
    )


NAMES = ", ".join(CHOICES)
ONE_SENTENCE = [
    ("task=nerr", f"`task` to be one of {{{NAMES}}}, but got 'nerr'. Did you mean 'ner'?"),
    (
        "trunk=tyni",
        "`trunk` to be one of {hf, tiny}, but got 'tyni'. Did you mean 'tiny'?",
    ),
    ("tunk=tiny", "Did you mean `trunk`?"),
    ("trunk=[tiny,hf]", "Expected `trunk` to be one name, but got [tiny,hf]."),
    ("trunk=null", "`trunk` to be one of {hf, tiny}, but got 'null'."),
    ("trunk={lr: 1}", "`trunk` to be one of {hf, tiny}"),
    (
        "trunk.learning_rate=1",
        "`trunk.learning_rate` to be a key, but it is none. Did you mean `trunk.lr`?",
    ),
    (
        "+trunk.learning_rate=1",
        "`trunk.learning_rate` to be a key, but it is none. Did you mean `trunk.lr`?",
    ),
    (
        "++trunk.learning_rate=1",
        "`trunk.learning_rate` to be a key, but it is none. Did you mean `trunk.lr`?",
    ),
    ("+foo.bar=1", "`foo` to be a key"),
    ("lr=1", "Did you mean `trunk.lr` or `head.lr`?"),
    ("batch_size=1", "Did you mean `batching.examples`?"),
    (
        "tasks.ner.wieght=1",
        "`tasks.ner.wieght` to be a key, but it is none. Did you mean `tasks.ner.weight`?",
    ),
    ("+tasks.ner.foo=1", "`tasks.ner.foo` to be a key"),
    (
        "tasks.ner.head.dorpout=0",
        "`tasks.ner.head.dorpout` to be a key, but it is none. Did you mean `tasks.ner.head.",
    ),
    ("tasks.ner.head.dropout=x", "`tasks.ner.head.dropout` to be a number, but got 'x'."),
    ("tasks.ner.options.smoothing=0", "`tasks.ner.options.smoothing` to be a key"),
    ("tasks.ner.label_smothing=0.1", "Did you mean `tasks.ner.options.label_smoothing`?"),
    ("tasks.ner.decodign=crf", "Did you mean `tasks.ner.head.decoding`?"),
    ("tasks.ner.columns.lables=x", "Did you mean `tasks.ner.columns.labels`?"),
    ("tasks.ner.columns.labels=[1]", "`tasks.ner.columns.labels` to be a column's name or number"),
    ("tasks.nre.weight=1", "a chosen task of {ner, sentiment}, but got 'nre'. Did you mean 'ner'?"),
    ("+tasks.nerr.weight=1", "`tasks.nerr` to be a chosen task"),
    ("tasks.ner.type=token_clasification", "Did you mean 'token_classification'?"),
    ("tasks.ner.type=null", "Expected `tasks.ner.type` to be a text, but got null."),
    ("tasks.ner.metric=f2", "`tasks.ner.metric` to be one of {accuracy, f1}, but got 'f2'."),
    ("tasks.ner.data.source=null", "`tasks.ner.data.source` or `tasks.ner.data.train`"),
    ("tasks.ner.data.train=", "`tasks.ner.data.train` to be a text, but got ''."),
    ("tasks.ner.data.encoding=utf-9", "but got 'utf-9'"),
    ("tasks.ner.data.format=jsnl", "but got 'jsnl'. Did you mean 'jsonl'?"),
    ("tasks.ner.data.on_bad_row=ignore", "one of {error, skip}, but got 'ignore'"),
    ("tasks.ner.data.validation_fraction=1", "above 0 and below 1, but got 1.0."),
    ("tasks.ner.attention=causl", "but got 'causl'. Did you mean 'causal'?"),
    ("tasks.ner=null", "Expected `tasks.ner` to be a group of keys, but got null."),
    ("trunk.lr=-1", "Expected `trunk.lr` to be a number at least 0, but got -1.0."),
    ("trunk.lr=abc", "Expected `trunk.lr` to be a number at least 0, but got 'abc'."),
    ("head.lr=-1e-3", "`head.lr` to be a number at least 0, but got -0.001."),
    ("batching.examples=0", "`batching.examples` to be a whole number at least 1, but got 0."),
    ("batching.examples=0.5", "a whole number at least 1, but got 0.5."),
    ("schedule.warmup=1.5", "`schedule.warmup` to be a number from 0 to 1, but got 1.5."),
    ("schedule.name=lienar", "but got 'lienar'. Did you mean 'linear'?"),
    ("mixing=propotional", "but got 'propotional'. Did you mean 'proportional'?"),
    ("mixing.name=unifrom", "but got 'unifrom'. Did you mean 'uniform'?"),
    ("mixing.temperature=0", "`mixing.temperature` to be a number above 0, but got 0.0."),
    (
        "tuning.name=lorra",
        "gradual, ia3, last, lora, rslora, vera}, but got 'lorra'. Did you mean 'lora'?",
    ),
    ("optimizer.betas=[0.9]", "`optimizer.betas` to be a list of 2 values, but got [0.9]."),
    ("trainer.devices=0", "`trainer.devices` to be at least 1, or -1, but got 0."),
    ("trainer.precision=bf16", "`trainer.precision` to be one of"),
    ("logger.names=[wandbb]", "`logger.names[0]` to be one of"),
    ("logger.use.wandb=false", "Expected `logger.use.wandb` to be true"),
    ("logger=wandb,csv", "write logger=[wandb,csv] for a list."),
    ("trunk.lr=1,2", "Add -m to sweep over them"),
    ("trunk.lr=choice(1,2)", "but got 'choice(1,2)'. Add -m to sweep over them."),
    ("trunk.lr=${seeed}", "Expected `trunk.lr` to resolve, but got: Interpolation key 'seeed'"),
    ("trunk.path=M", "`trunk` to be hf with `trunk.path`"),
    ("trunk=hf", "Expected `trunk.path` to be a model or a folder for trunk=hf, but got null."),
    ("monitor=val/nerr/f1", "`monitor` to name a task of {ner, sentiment}, but got 'val/nerr/f1'."),
    ("monitor=val/ner/f2", "`monitor` to be one of {val/ner/accuracy, val/ner/f1, val/score}"),
    ("monitor=score", "`monitor` to be one of {val/ner/<metric>, "),
    ("seed=abc", "Expected `seed` to be a whole number from 0 to 4294967295, but got 'abc'."),
    ("seed=-1", "`seed` to be a whole number from 0 to 4294967295, but got -1."),
    ("seed", "Expected `seed` to be `key=value`, but it has no `=`."),
    ("trunk.path=[a", "Expected 'trunk.path=[a' to be `key=value` in Hydra's grammar"),
    ("tasks.ner.data.train={a,b}.c", "'tasks.ner.data.train={a,b}.c' to be `key=value` in Hydra's"),
    (
        "hydra.run.dirr=x",
        "`hydra.run.dirr` to be a key, but it is none. Did you mean `hydra.run.dir`?",
    ),
    ("seed.more=1", "Expected `seed` to be a whole number"),
]


@pytest.mark.parametrize(("override", "text"), ONE_SENTENCE)
def test_one_wrong_override_is_one_sentence(override: str, text: str) -> None:
    message = refusal(override)
    assert text in message
    assert "\n" not in message
    assert message.endswith((".", "?"))


def test_an_option_of_a_method_outside_of_its_options() -> None:
    message = refusal("balancing=dwa", "balancing.temprature=1")
    assert "Did you mean `balancing.options.temperature`?" in message


@pytest.mark.parametrize("override", ["tasks.ner.name=x", "task=ner,nerr", "logger=[csv,wandbb]"])
def test_a_wrong_name_among_right_ones(override: str) -> None:
    assert "\n" not in refusal(override)


def test_all_problems_come_at_once() -> None:
    lines = refusal(
        "tunk=tiny",
        "task=ner,nerr",
        "trunk=tyni",
        "trunk.learning_rate=1",
        "+foo.bar=1",
        "seed=-1",
        "schedule.warmup=2",
        "monitor=val/qa/f1",
        "tasks.nerr.weight=1",
        "nonsense",
        "hydra.rum.dir=x",
    ).splitlines()
    assert lines[0] == "9 problems:"
    assert len(lines) == 10
    named = [
        "tunk",
        "nerr",
        "tyni",
        "learning_rate",
        "`foo`",
        "`seed`",
        "warmup",
        "nonsense",
        "rum",
    ]
    for name in named:
        assert sum(name in line for line in lines) == 1, name


def test_a_misspelt_task_silences_what_follows_from_it() -> None:
    message = refusal("task=nerr", "tasks.nerr.weight=1", "monitor=val/nerr/f1", "trunk.path=M")
    assert [line.strip()[:20] for line in message.splitlines()] == [
        "2 problems:",
        "- Expected `task` to",
        "- Expected `trunk` t",
    ]


def test_a_group_is_chosen_once() -> None:
    assert (
        refusal("task=ner", "task=sentiment")
        == "Expected `task` to be given once, but got it twice."
    )


class TestSweep:
    def test_swept_keys_and_files_are_checked(self) -> None:
        message = refusal("trunk.lrr=1,2", "trunk=tiny,hff", "task=[ner],[nerr]", multirun=True)
        assert message.count("Did you mean") == 3

    def test_swept_values_are_left_to_the_jobs(self) -> None:
        assert compose("trunk.lr=-1,1e-3", "trunk=tiny,hf", multirun=True).multirun

    def test_what_no_job_can_have_is_refused(self) -> None:
        assert "at least 0" in refusal("trunk.lr=-1", "seed=1,2", multirun=True)

    def test_tasks_of_any_job_may_have_keys(self) -> None:
        sets = "task=[ner,sentiment],[ner],[sentiment]"
        assert compose(sets, "tasks.sentiment.weight=2", multirun=True).multirun
        assert "but got 'nre'" in refusal(sets, "tasks.nre.weight=2", multirun=True)

    def test_files_of_the_sweep_group_are_sweeps(self) -> None:
        assert compose("sweep=lr").multirun
        assert compose("sweep=lr", "task=ner,sentiment").multirun

    def test_what_a_sweep_file_varies_is_checked(self, tmp_path: Path) -> None:
        (tmp_path / "sweep").mkdir()
        text = (
            "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {trunk.lrr: '1,2'}}}\n"
        )
        (tmp_path / "sweep" / "wrong.yaml").write_text(text)
        with pytest.raises(
            Exception,
            match=r"`trunk.lrr` to be a key, but it is none. Did you mean `trunk.lr`",
        ):
            compose("sweep=wrong", folders=(tmp_path,))

    def test_files_are_swept_by_pattern(self) -> None:
        assert compose("mixing=glob(*)", multirun=True).multirun
        assert "is for groups" in refusal("seed=glob(*)", multirun=True)

    @pytest.mark.parametrize("values", ["range(1,5)", "interval(0,1)", "choice(1,2)"])
    def test_other_sweeps(self, values: str) -> None:
        assert compose(f"seed={values}", multirun=True).multirun


def test_the_balancing_is_chosen_unless_it_is_named() -> None:
    for line, name in {
        ("task=ner,sentiment",): "equal_norms",
        ("task=ner",): "sum",
        ("task=ner,sentiment", "trainer=fsdp"): "sum",
        ("task=ner,sentiment", "balancing=dwa"): "dwa",
        ("task=ner,sentiment", "balancing=sum"): "sum",
    }.items():
        composed = compose(*line)
        assert composed.config.balancing.name == name
        assert composed.cfg.balancing.name == ("auto" if "balancing" not in line[-1] else name)
    assert compose("task=ner,sentiment", "balancing.options.every=5").config.balancing.options == {
        "every": 5
    }
    message = refusal("task=ner,sentiment", "balancing.options.evry=5")
    assert "Did you mean `balancing.options.every`?" in message
