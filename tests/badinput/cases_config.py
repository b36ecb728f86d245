"""Commands and configurations that cannot be right."""

from __future__ import annotations

from typing import Any

from tests.badinput.harness import Case, mtl, train

MOOD = "type: text_classification\ndata: {source: data}\ncolumns: {text: text, label: sentiment}\n"
TWO = "tasks.ner.head.name=one", "tasks.sentiment.head.name=one"


def own(content: str, file: str = "task/mood.yaml", *more: str, task: str = "mood") -> Any:
    """Return the command and the file of a configuration beside the project's own."""
    argv = train("--config-dir=conf", *more, task=task)
    return {"argv": argv, "files": {f"conf/{file}": content}}


TASKS = [
    Case("no task", ("train", "task="), ("`task`", "Write for example task=ner,")),
    Case("empty task", ("train", "task=ner,"), ("`task`", "'ner,'", "Write task=ner.")),
    Case("unknown task", train(task="nerr"), ("`task`", "'nerr'", "Did you mean 'ner'?")),
    Case(
        "task that is still to be written",
        train(task="intent"),
        ("'intent'", "FOLDER/task/intent.yaml", "--config-dir FOLDER", "docs/adding-a-task.md"),
    ),
    Case(
        "tasks for task", ("train", "tasks=ner"), ("tasks.ner.weight=2", "Did you mean `task=ner`?")
    ),
    Case("list of tasks for task", ("train", "tasks=[ner,qa]"), ("Did you mean `task=[ner,qa]`?",)),
    Case(
        "task file that is a number",
        **own("7\n"),
        says=("conf/task/mood.yaml: Expected `key: value` lines", "'7'"),
    ),
    Case(
        "task file that is a list",
        **own("- a\n"),
        says=("task/mood.yaml", "the line `# @package tasks.mood`"),
    ),
    Case("one unknown task", train(task="ner,sentimnt"), ("Did you mean 'sentiment'?",)),
    Case("sweep over an unknown task", train("-m", task="[ner],[nerr]"), ("`task`", "'nerr'")),
    Case(
        "key of no task",
        train("tasks.sentiment.weight=2"),
        ("`tasks.sentiment.weight`", "{ner}", "Add sentiment to task="),
    ),
    Case(
        "key of a task that only the trunk speaks of",
        train("tasks.sentiment.weight=2", trunk="tiny", path=None),
        ("`tasks.sentiment.weight`", "{ner}"),
    ),
    Case("misspelt key of a task", train("tasks.ner.wieght=2"), ("mean `tasks.ner.weight`?",)),
    Case("misspelt option", train("tasks.ner.head.dropuot=0"), ("`tasks.ner.head.dropout`?",)),
    Case("decoding", train("tasks.ner.head.decoding=cfr"), ("{constrained, crf, plain}", "'crf'?")),
    Case(
        "a layer that there is not",
        train("tasks.ner.head.layer=9"),
        ("`tasks.ner.head.layer` to be at most 2", "got 9"),
    ),
    Case(
        "a layer and all of them",
        train("tasks.ner.head.layer=1", "tasks.ner.head.layer_mix=true"),
        ("`tasks.ner.head.layer` to be unset beside `layer_mix`",),
    ),
    Case(
        "weights of single labels in sequences",
        train("tasks.ner.head.decoding=crf", "tasks.ner.head.class_weighting=balanced"),
        ("`tasks.ner.head.class_weighting` to be unset", "head.decoding=crf", "got balanced"),
    ),
    Case("dropout", train("tasks.ner.head.dropout=1.5"), ("head.dropout`", "below 1", "got 1.5")),
    Case("smoothing", train("tasks.ner.head.label_smoothing=2"), ("label_smoothing`", "below 1")),
    Case(
        "class weight",
        train("tasks.ner.head.class_weights={O: -2}"),
        (".O` to be a number at least 0",),
    ),
    Case(
        "class weight of no label",
        train("tasks.ner.head.class_weights={B-PRE: 2}"),
        ("`tasks.ner.head.class_weights`", "Did you mean 'B-PER'?"),
    ),
    Case(
        "weights of classes by another name",
        train("tasks.ner.head.class_weighting=balance"),
        ("`tasks.ner.head.class_weighting`", "Did you mean 'balanced'?"),
    ),
    Case(
        "exponent of no focal loss",
        train("tasks.ner.head.focal_gamma=1"),
        ("`tasks.ner.head.focal_gamma` to be unset", "head.loss=focal"),
    ),
    Case(
        "smoothing and focal loss",
        train("tasks.ner.head.loss=focal", "tasks.ner.head.label_smoothing=0.1"),
        ("`tasks.ner.head.label_smoothing` to be unset", "head.loss=cross_entropy"),
    ),
    Case(
        "weights of a number's classes",
        train(
            "tasks.sentiment.options.problem=regression",
            "tasks.sentiment.head.class_weighting=balanced",
            task="sentiment",
        ),
        ("`tasks.sentiment.head.class_weighting` to be unset", "problem=single"),
    ),
    Case(
        "unknown problem",
        train("tasks.sentiment.options.problem=sngle", task="sentiment"),
        ("`tasks.sentiment.options.problem`", "Did you mean 'single'?"),
    ),
    Case(
        "metric of another problem",
        train("tasks.sentiment.metric=rmse", task="sentiment"),
        ("`tasks.sentiment.metric`", "{accuracy, ", "macro_f1, ", "'rmse'"),
    ),
    Case("shared head", train(*TWO, task="ner,sentiment"), ("(ner, sentiment)", "`head.name`s")),
    Case("head for a file", train("tasks.ner.head.name=a/b"), ("`tasks.ner.head.name`", "'a/b'")),
    Case("head for a module", train("tasks.ner.head.name=a.b"), ("`tasks.ner.head.name`", "'a.b'")),
    Case("unknown role", train("tasks.ner.columns.lables=x"), ("`tasks.ner.columns.labels`?",)),
    Case("role without a column", train("~tasks.ner.columns.labels"), ("columns.labels", "none")),
    Case(
        "name that PyTorch keeps",
        **own("# @package tasks.values\n" + MOOD, "task/values.yaml", task="values"),
        says=("`tasks.values`", "'values_1' would do"),
    ),
    Case(
        "file without a type",
        **own("# @package tasks.mood\ncolumns: {text: text}\n"),
        says=("`tasks.mood.type`", "task/mood.yaml", "such as text_classification"),
    ),
    Case(
        "file of an unknown type",
        **own("# @package tasks.mood\n" + MOOD.replace("class", "clas")),
        says=("`tasks.mood.type`", "Did you mean 'text_classification'?"),
    ),
    Case(
        "file without its package", **own(MOOD), says=("task/mood.yaml", "`# @package tasks.mood`")
    ),
    Case(
        "file that is no YAML",
        **own("# @package tasks.mood\ntype: [text\n"),
        says=("conf/task/mood.yaml:3: Expected YAML",),
    ),
]

KEYS = [
    Case("negative learning rate", train("trunk.lr=-1e-3"), ("`trunk.lr`", "at least 0", "-0.001")),
    Case("word for a rate", train("head.lr=fast"), ("`head.lr` to be a number", "'fast'")),
    Case("no number", train("trunk.lr=nan"), ("`trunk.lr` to be a number", "nan")),
    Case(
        "list for a number", train("batching.examples=[8,16]"), ("`batching.examples`", "[8, 16]")
    ),
    Case("half a seed", train("seed=0.5"), ("`seed` to be a whole number", "0.5")),
    Case("misspelt key", train("trunk.lrr=1e-4"), ("`trunk.lrr`", "Did you mean `trunk.lr`?")),
    Case("another program's key", train("learning_rate=1"), ("`learning_rate`", "`trunk.lr`?")),
    Case("misspelt group", train("mixin=uniform"), ("`mixin`", "Did you mean `mixing`?")),
    Case("misspelt logger", ("train", "logger=[csv,wandbb]"), ("`logger`", "mean 'wandb'?")),
    Case("no override", train("trunk.lr"), ("`key=value`", "`trunk.lr`")),
    Case("comma", train("trunk.lr=1e-3,1e-4"), ("`trunk.lr`", "Add -m to sweep over them")),
    Case("unknown option", train("--nonsense"), ("--nonsense", "train.py --help`")),
    Case("no folder of files", train("--config-dir=nowhere"), ("--config-dir", "'nowhere'")),
    Case(
        "unset variable",
        train("trunk.path=${oc.env:MTL_NO_SUCH_VARIABLE}"),
        ("`trunk.path`", "'MTL_NO_SUCH_VARIABLE' not found"),
    ),
    Case(
        "unknown key in a file",
        **own(
            "# @package _global_\ntrunk: {learning_rate: 1}\n",
            "experiment/mine.yaml",
            "+experiment=mine",
            task="ner",
        ),
        says=("`trunk.learning_rate`", "Did you mean `trunk.lr`?"),
    ),
    Case(
        "six errors at once",
        train(
            "trunk.lr=-1", "seed=x", "mixing=unifrom", "tasks.ner.metric=f2", "monitr=x", "ner=1"
        ),
        ("`trunk.lr`", "`seed`", "'uniform'?", "`tasks.ner.metric`", "`monitor`?", "`task=ner`"),
        problems=6,
    ),
    Case(
        "order of no name", train("mixing.order=roundrobin"), ("`mixing.order`", "'round_robin'?")
    ),
    Case(
        "a stage of no task",
        train("mixing.stages=[{tasks:[ner],epochs:1},{tasks:[net]}]"),
        ("`mixing.stages[1].tasks`", "'net'", "'ner'?"),
    ),
    Case(
        "a last stage with an end",
        train("mixing.stages=[{tasks:[ner],epochs:1}]"),
        ("`mixing.stages[0].epochs`", "to be unset"),
    ),
    Case(
        "a step that is too small",
        train("mixing=every_step", "batching.examples=1", task="ner,sentiment"),
        ("`batching.examples`", "at least 2"),
    ),
    Case(
        "aggregating one task",
        train("balancing=upgrad"),
        ("`balancing.name`", "where 'ner' alone has a weight above 0", "balancing=sum"),
    ),
    Case(
        "aggregating features",
        train("balancing=upgrad", "balancing.parameters=features", task="ner,sentiment"),
        ("`balancing.parameters`", "'features'", "would be the plain sum"),
    ),
    Case(
        "option of a balancing",
        train("balancing=cagrad", "balancing.options.c=-1", task="ner,sentiment"),
        ("`balancing.options.c` to be a number at least 0", "-1"),
    ),
    Case("monitor of no task", train("monitor=val/topic/f1"), ("`monitor`", "{ner}", "val/topic")),
    Case("monitor of no metric", train("monitor=val/ner/f2"), ("`monitor`", "'val/ner/f1'?")),
    Case("monitor of no name", train("monitor=loss"), ("`monitor`", "val/score", "'loss'")),
    Case(
        "monitor of another problem",
        train("monitor=val/sentiment/pearson", task="sentiment"),
        ("`monitor`", "val/sentiment/mcc", "'val/sentiment/pearson'"),
    ),
    Case(
        "no number of devices",
        train("trainer.accelerator=cpu", "trainer.devices=-2"),
        ("`trainer.devices`", "at least -1", "-2"),
    ),
    Case(
        "search for a budget in parts",
        train("trainer=fsdp", "trainer.accelerator=cpu", "trainer.auto_scale_tokens=true"),
        ("`trainer.auto_scale_tokens`", "trainer.strategy=fsdp", "Set `batching.tokens`"),
    ),
]

OUTPUT = [
    Case(
        "output below a file",
        train("hydra.run.dir=data/train.jsonl/out"),
        ("`hydra.run.dir`", "data/train.jsonl/out", "Not a directory", "Choose another"),
    ),
    Case(
        "output that is a file",
        train("hydra.run.dir=data/train.jsonl"),
        ("`hydra.run.dir`", "data/train.jsonl", "Choose another"),
    ),
    Case(
        "sweep below a file",
        train("-m", "seed=1,2", "hydra.sweep.dir=data/train.jsonl/out"),
        ("`hydra.sweep.dir`", "Choose another"),
    ),
    Case(
        "output that holds a run",
        train("hydra.run.dir=run"),
        ("`hydra.run.dir`", "continue a run with resume=run"),
    ),
    Case("output without a name", train("hydra.run.dir="), ("`hydra.run.dir`", "a new folder")),
]

USAGE = [
    Case(
        "unknown command", mtl("predct", "run"), ("'predct'", "Did you mean 'predict'?", "--help")
    ),
    Case("unknown score", mtl("score", "ner", "a.txt"), ("'ner'", "see `mtl score --help`")),
    Case(
        "unknown flag", mtl("predict", "run", "--txt", "a"), ("--txt", "see `mtl predict --help`")
    ),
    Case("no run", mtl("predict"), ("'RUN'", "see `mtl predict --help`")),
    Case("tokens", mtl("predict", "run", "--text", "a", "--tokens", "0"), ("'--tokens'", "to 1")),
]

CASES = [*TASKS, *KEYS, *OUTPUT, *USAGE]
