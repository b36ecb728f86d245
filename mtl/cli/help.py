"""What ``python train.py --help`` prints."""

from __future__ import annotations

import re
import textwrap

from mtl.config.groups import Groups
from mtl.shipped import CHECKOUT, COMMAND, VERB

WIDTH = 80

HEAD = """\
Fine-tune one pretrained trunk on several tasks at once, with a head for each.

Usage: python train.py [task=NAME,NAME...] [GROUP=CHOICE...] [KEY=VALUE...]

Commands
  python train.py                               as task=ner,sentiment
  python train.py task=ner,sentiment            train both tasks jointly
  python train.py task=ner trunk=hf trunk.path=MODEL
                                                any Hugging Face model or folder
  python train.py task=ner tasks.ner.data.train=FILE
                  tasks.ner.data.validation=FILE tasks.ner.data.test=FILE
                                                your own files
  python train.py -m task=ner,sentiment trunk.lr=1e-5,5e-5
                                                a sweep: one job for each choice
  python train.py -m 'task=[ner,sentiment],[ner]'
                                                a sweep over sets of tasks
  python train.py resume=RUN                    continue a run in its own folder
  python train.py debug=fast                    a few steps, to see that it runs

Groups (conf/GROUP/CHOICE.yaml)
"""

KEYS = {
    "tasks.NAME.data.source": "bundled:NAME, hub:DATASET[:CONFIG], or a folder",
    "tasks.NAME.data.train": "a file or glob; also .validation and .test",
    "tasks.NAME.weight": "of the task's loss and of its score",
    "trunk.path": "the model for trunk=hf",
    "trunk.attention": "causal or bidirectional",
    "trunk.lr": "learning rate of the trunk; head.lr: of the heads",
    "batching.examples": "examples of an optimiser step",
    "batching.tokens": "most tokens of one pass through the trunk",
    "trainer.max_epochs": "trainer.max_steps wins over it",
    "trainer.val_check_interval": "steps between validations",
    "monitor": "val/score, or a task's: val/ner/f1",
    "seed": "the same seed gives the same run",
    "init": "a run's folder to take trunk and heads from",
    "hydra.run.dir": "the run's folder",
    "hydra.sweep.dir": "the folder of a sweep's runs",
}

FOOT = """
Options
  -m, --multirun         sweep: a job for each combination of comma-separated
                         values
  --config-dir DIR       look for further YAML files in DIR/GROUP/
  --cfg job              show the whole configuration and stop
  -h, --help             show this and stop

Every key, its type, default and meaning: mtl/config/schema/
"""


def help_text(groups: Groups) -> str:
    """Return the help, at most 80 columns wide.

    Args:
        groups: The groups whose choices are listed.
    """
    rows = [_row(name, ", ".join(groups.choices(name)), 12) for name in groups.names]
    keys = [_row(key, text, 28) for key, text in KEYS.items()]
    return _called(HEAD) + "\n".join(rows) + "\n\nKeys\n" + "\n".join(keys) + "\n" + FOOT


def _called(text: str) -> str:
    """Return a text whose commands are those of this installation, with columns as they were."""
    pattern = rf"{re.escape(COMMAND)}(.*?)(?=   |$)"

    def named(found: re.Match[str]) -> str:
        return f"{VERB}{found[1]}".ljust(len(found[0]))

    if CHECKOUT:
        return text
    return "\n".join(re.sub(pattern, named, line).rstrip() for line in text.split("\n"))


def _row(name: str, text: str, column: int) -> str:
    """Return a name and its text, the text wrapped in its own column."""
    lead = f"  {name:<{column}} "
    return textwrap.fill(
        text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
    )
