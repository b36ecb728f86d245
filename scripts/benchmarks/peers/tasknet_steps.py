"""The side of tasknet, in an environment of its own: loads once, then trains whenever it is asked.

It reads one request a line on standard input and answers each with a line on standard output; see
``remote.py``. The first names the model, the rows and the settings, and is answered with the real
tokens of all examples and the versions of packages. Every other, ``{"steps": 12}``, trains from the
first weights, and is answered with what was done after the first few steps, and in how many
seconds.

Rows of the first request are JSON lines: ``{"tokens": [...], "labels": [0, 3, ...]}`` for entities,
``{"sentence": "...", "labels": 1}`` for sentiment.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import datasets
import evaluate
import torch
import transformers
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value

evaluate.load = lambda *names, **rest: None  # tasknet fetches a metric on import: not needed here.

import tasknet  # noqa: E402

Request = Mapping[str, Any]
PACKAGES = ("tasknet", "transformers", "torch")


class Clock(transformers.TrainerCallback):
    """Times the steps after the first few, loading between them included."""

    def __init__(self, skipped: int) -> None:
        self.skipped = skipped
        self.start = self.end = 0.0
        self.first = self.tokens = self.steps = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Count one step."""
        self.end, seen = time.perf_counter(), int(state.num_input_tokens_seen)
        if state.global_step <= self.skipped:
            self.start, self.first = self.end, seen
            return
        self.steps += 1
        self.tokens = seen - self.first


def data_of(path: str, features: Features) -> DatasetDict:
    """Return rows as a set with all three parts, of which only the first is used."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    parts = {"train": rows, "validation": rows[:1], "test": rows[:1]}
    return DatasetDict({k: Dataset.from_list(v, features=features) for k, v in parts.items()})


def tasks_of(options: Request) -> list[Any]:
    """Return tasknet's tasks: entities and sentiment."""
    words = Features(
        tokens=Sequence(Value("string")), labels=Sequence(ClassLabel(names=options["entities"]))
    )
    texts = Features(sentence=Value("string"), labels=ClassLabel(names=options["sentiments"]))
    return [
        tasknet.TokenClassification(dataset=data_of(options["ner"], words), name="ner"),
        tasknet.Classification(
            dataset=data_of(options["sentiment"], texts), s1="sentence", name="sentiment"
        ),
    ]


class Side:
    """tasknet's model and tasks, and the weights that every round starts from."""

    def __init__(self, options: Request) -> None:
        torch.set_num_threads(options["threads"])
        transformers.set_seed(1)
        self.options = options
        self.tasks = tasks_of(options)
        self.folder = tempfile.TemporaryDirectory()
        self.settings = {
            "model_name": options["model"],
            "max_length": options["max_length"],
            "output_dir": self.folder.name,
            "seed": 1,
            "per_device_train_batch_size": options["batch"],
            "learning_rate": options["lr"],
            "lr_scheduler_type": "linear",
            "warmup_steps": 0.1,
            "optim": "adamw_torch_fused",
            "weight_decay": 0.01,
            "max_grad_norm": 1.0,
            "include_num_input_tokens_seen": "non_padding",
            "eval_strategy": "no",
            "save_strategy": "no",
            "logging_strategy": "steps",
            "logging_steps": 10,
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "batched": True,
        }
        self.model = tasknet.Model(self.tasks, self.settings)
        self.start = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.trainer(1)  # Encodes the rows; later ones find them encoded.

    def trainer(self, steps: int) -> Any:
        """Return a Trainer from the first weights."""
        self.model.load_state_dict(self.start)
        return tasknet.Trainer(self.model, self.tasks, self.settings | {"max_steps": steps})

    def tokens(self) -> int:
        """Return the real tokens of all examples."""
        parts = [task.processed_features["train"]["attention_mask"] for task in self.tasks]
        return sum(int(row.sum()) for part in parts for row in part)

    def round(self, steps: int) -> dict[str, float]:
        """Train some steps and return what was timed."""
        clock = Clock(self.options["skipped"])
        trainer = self.trainer(steps)
        trainer.add_callback(clock)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        return {
            "seconds": clock.end - clock.start,
            "steps": clock.steps,
            "tokens": clock.tokens,
            "examples": clock.steps * self.options["batch"],
        }


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # What libraries print is no answer.
    transformers.logging.set_verbosity_error()
    for library in (transformers.logging, datasets.logging):
        library.disable_progress_bar()
    side = Side(json.loads(sys.stdin.readline()))
    about = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(json.dumps({"tokens": side.tokens(), "about": about}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(side.round(json.loads(line)["steps"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
