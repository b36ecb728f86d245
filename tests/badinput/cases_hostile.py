"""Files that would run code, or lead out of their folder, if they were believed.

Every payload makes the file ``it-ran``; the test that no file is left behind sees it.
"""

from __future__ import annotations

import json
from typing import Any

from tests.badinput.cases_models import HEAD, TEXT, predict
from tests.badinput.cases_runs import AGAIN, resume
from tests.badinput.damage import (
    DESCRIPTION,
    LAST,
    all_of,
    checkpoint,
    code,
    description,
    drop,
    edit,
    keep_best,
    trunk,
)
from tests.badinput.harness import Case, train

WEIGHTS = "trunk/model.safetensors"
SOURCE = "open('it-ran', 'w').close()\n\n\nclass Own:\n    pass\n"
AUTO = {"AutoConfig": "own.Own", "AutoModel": "own.Own"}
TRUST = ("Python code of its own", "set trunk.trust_remote_code=true", "read the code first")
TAG = "!!python/object/apply:os.mkdir [it-ran]"
COPY = "_target_: shutil.copy, src: data/train.jsonl, dst: it-ran"
CALL = "Configuration files may not name code to run; take it out"
NER = "tasks.ner.data"


def index(file: str) -> Any:
    """Return the files of a trunk whose weights are said to be in a file."""
    names = {"embed_tokens.weight": file}
    content = json.dumps({"metadata": {"total_size": 1}, "weight_map": names})
    return {"trunk/model.safetensors.index.json": content}


def experiment(content: str, *more: str) -> Any:
    """Return the command with an experiment's file from somebody else, and the file."""
    argv = train("--config-dir=conf", "experiment=mine", *more)
    return {"argv": argv, "files": {"conf/experiment/mine.yaml": "# @package _global_\n" + content}}


MODELS = [
    Case(
        "trunk as a pickle",
        train(),
        ("`trunk.path`", "a pickle (pytorch_model.bin)", "could run code", "model.safetensors"),
        damage=all_of(drop(WEIGHTS), code("trunk/pytorch_model.bin")),
    ),
    Case(
        "adapter for a trunk",
        train(),
        ("`trunk.path`", "an adapter of another model", "merge it"),
        files={
            "trunk/adapter_config.json": json.dumps(
                {"peft_type": "LORA", "base_model_name_or_path": "../other", "r": 2}
            )
        },
        damage=code("trunk/adapter_model.bin"),
    ),
    Case(
        "model with code",
        train(),
        ("`trunk.path`", *TRUST),
        files={"trunk/own.py": SOURCE},
        damage=trunk(model_type="own", auto_map=AUTO),
    ),
    Case(
        "model with code from elsewhere",
        train(),
        ("`trunk.path`", *TRUST),
        damage=trunk(model_type="own", auto_map={k: f"a/b--{v}" for k, v in AUTO.items()}),
    ),
    Case(
        "tokenizer with code",
        train(),
        ("`trunk.path`", *TRUST),
        files={"trunk/own.py": SOURCE},
        damage=edit(
            "trunk/tokenizer_config.json",
            lambda v: v.update(
                tokenizer_class="Own", auto_map={"AutoTokenizer": ["own.Own", "own.Own"]}
            ),
        ),
    ),
    Case(
        "attention from elsewhere",
        train(),
        ("`trunk.path`", "'somebody/attention'", "take `attn_implementation` out"),
        damage=trunk(attn_implementation="somebody/attention"),
    ),
    Case(
        "weights in another folder",
        train(),
        ("`trunk.path`", "model.safetensors.index.json", "'../weights.safetensors'"),
        index("../weights.safetensors"),
        damage=lambda folder: (folder / WEIGHTS).rename(folder / "weights.safetensors"),
    ),
    Case(
        "weights at an absolute path",
        train(),
        ("`trunk.path`", "model.safetensors.index.json", "not a file of the folder"),
        index("/weights.safetensors"),
        damage=drop(WEIGHTS),
    ),
    Case(
        "index without files",
        train(),
        ("`trunk.path`", "has no `weight_map`"),
        {"trunk/model.safetensors.index.json": "[]"},
        damage=drop(WEIGHTS),
    ),
    Case(
        "head as a pickle",
        predict(*TEXT),
        (HEAD, "Expected a safetensors file", "cannot be read"),
        damage=code(HEAD),
    ),
    Case(
        "model as a pickle",
        predict(*TEXT),
        ("run/model: ", "a pickle (pytorch_model.bin)"),
        damage=all_of(
            drop("run/model/model.safetensors", HEAD, "run/model/head-sentiment.safetensors"),
            code("run/model/pytorch_model.bin"),
        ),
    ),
    Case(
        "finished model with code",
        predict(*TEXT),
        ("run/model: ", "Python code of its own"),
        files={"run/model/own.py": SOURCE},
        damage=edit("run/model/config.json", lambda v: v.update(model_type="own", auto_map=AUTO)),
    ),
    Case(
        "task that is a path",
        predict(*TEXT),
        (DESCRIPTION, "names in `tasks`", "'../x'", "letters, digits"),
        damage=description(lambda d: d["tasks"].update({"../x": d["tasks"].pop("ner")})),
    ),
    Case(
        "head that is a path",
        predict(*TEXT),
        (DESCRIPTION, "name in `tasks.ner.head`", "'/x'"),
        damage=description(lambda d: d["tasks"]["ner"]["head"].update(name="/x")),
    ),
    Case(
        "head of a long name",
        train(f"tasks.ner.head.name={'a' * 80}"),
        ("`tasks.ner.head.name`", "at most 50"),
    ),
    Case(
        "checkpoint that would remove another file",
        resume("trainer.max_steps=4"),
        (LAST, "named like best-step=0000010.ckpt", "'../../data/train.jsonl'", AGAIN[:5].lower()),
        damage=checkpoint(keep_best({"../../data/train.jsonl": -1.0})),
    ),
]

DATA = [
    Case(
        "dataset script in a folder",
        train(f"{NER}.source=hub:evil"),
        (f"{NER}.source", "a loading script, which is not run", "Name the data files"),
        files={"evil/evil.py": SOURCE},
    ),
    Case(
        "script for a split",
        train(f"{NER}.source=evil"),
        (f"{NER}.source", "a training split in 'evil'"),
        files={"evil/train.py": SOURCE},
    ),
    Case(
        "pickle for a split",
        train(f"{NER}.source=evil"),
        (f"{NER}.source", "a training split in 'evil'"),
        damage=code("evil/train.pkl"),
    ),
    Case(
        "folder of pickles",
        train(f"{NER}.source=hub:evil"),
        (f"{NER}.source", "No (supported) data files"),
        damage=code("evil/train.pkl"),
    ),
    Case(
        "pickle for a file",
        train(f"{NER}.train=evil.pkl"),
        ("evil.pkl: ", "an archive of one file"),
        damage=code("evil.pkl"),
    ),
    Case(
        "pickle named Parquet",
        train(f"{NER}.train=evil.parquet"),
        ("evil.parquet: ", "cannot be read"),
        damage=code("evil.parquet"),
    ),
    Case(
        "label that writes on the terminal",
        train(task="sentiment"),
        ("data/validation.jsonl:1", r"'\x1b[2Jgood'"),
        files={
            "data/validation.jsonl": [
                {"text": "Ines left.", "tokens": ["Ines"], "sentiment": "\x1b[2Jgood"}
            ]
        },
    ),
]

CONFIGS = [
    Case(
        "task file with a Python tag",
        train("--config-dir=conf", task="mood"),
        ("conf/task/mood.yaml:2: Expected YAML", "python/object/apply"),
        files={"conf/task/mood.yaml": f"# @package tasks.mood\ntype: {TAG}\n"},
    ),
    Case(
        "run with a Python tag",
        resume(),
        ("run/.hydra/config.yaml:1: Expected YAML", "python/object/apply"),
        files={"run/.hydra/config.yaml": f"tasks: {TAG}\n"},
    ),
    Case(
        "callback that is called",
        train(f"+hydra.callbacks.mine={{{COPY}}}"),
        ("`hydra.callbacks.mine._target_`", "'shutil.copy'", CALL),
    ),
    Case(
        "callback in a file",
        **experiment(f"hydra: {{callbacks: {{mine: {{{COPY}}}}}}}\n"),
        says=("`hydra.callbacks.mine._target_`", "'shutil.copy'", CALL),
    ),
    Case(
        "callback behind an interpolation",
        **experiment(
            "monitor: shutil.copy\nhydra: {callbacks: {mine: {_target_: '${monitor}', "
            "src: data/train.jsonl, dst: it-ran}}}\n"
        ),
        says=("`hydra.callbacks.mine._target_`", "'shutil.copy'", CALL, "`monitor`"),
        problems=2,
    ),
    Case(
        "callback inside Hydra's own module",
        train("+hydra.callbacks.mine={_target_: hydra._internal.core_plugins.os.mkdir, path: x}"),
        ("`hydra.callbacks.mine._target_`", CALL),
    ),
    Case(
        "log handler that is called",
        **experiment(
            "hydra: {job_logging: {handlers: {file: "
            "{(): shutil.copy, src: data/train.jsonl, dst: it-ran}}}}\n"
        ),
        says=("`hydra.job_logging.handlers.file.()`", "'shutil.copy'", CALL),
    ),
    Case(
        "log handler of another class",
        **experiment(
            "hydra: {job_logging: {handlers: {file: {class: logging.os.mkdir, path: it-ran}}}}\n"
        ),
        says=("`hydra.job_logging.handlers.file.class`", "'logging.os.mkdir'", CALL),
    ),
    Case(
        "log handler that imports",
        **experiment("hydra: {job_logging: {handlers: {console: {stream: 'ext://own.Own'}}}}\n"),
        says=("`hydra.job_logging.handlers.console.stream`", "'ext://own.Own'", CALL),
    ),
    Case(
        "sampler that is called",
        train("-m", "seed=1,2", f"+hydra.sweeper.sampler={{{COPY}}}"),
        ("`hydra.sweeper.sampler._target_`", "'shutil.copy'", CALL),
    ),
    Case(
        "callback in the second file of a sweep",
        argv=train("--config-dir=conf", "-m", "experiment=good,mine", "hydra.sweep.dir=out"),
        says=("`hydra.job_logging.handlers.file.()`", "'shutil.copy'", CALL),
        files={
            "conf/experiment/good.yaml": "# @package _global_\nseed: 1\n",
            "conf/experiment/mine.yaml": "# @package _global_\nhydra: {job_logging: {handlers: "
            "{file: {(): shutil.copy, src: data/train.jsonl, dst: it-ran}}}}\n",
        },
    ),
    Case(
        "head with something to call",
        train(f"tasks.ner.head.x={{{COPY}}}"),
        ("`tasks.ner.head.x` to be a key",),
    ),
    Case(
        "secret on the command line",
        train("WANDB_API_KEY=0123456789abcdef"),
        ("`WANDB_API_KEY`", "export WANDB_API_KEY=…"),
    ),
]

CASES = [*MODELS, *DATA, *CONFIGS]
