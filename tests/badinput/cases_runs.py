"""Runs that cannot be continued, or started from."""

from __future__ import annotations

from tests.badinput.damage import LAST, checkpoint, code, cut, drop, other_trunk, trunk
from tests.badinput.harness import Case, train

AGAIN = "Copy another checkpoint of the run over it, or train anew"
CONFIG = "run/.hydra/config.yaml"


def resume(*more: str) -> tuple[str, ...]:
    """Return the command that continues the finished run."""
    return ("train", "resume=run", *more)


RESUME = [
    Case("resume of nothing", ("train", "resume="), ("`resume`", "a run's folder")),
    Case("resume of no folder", ("train", "resume=rnu"), ("`resume`", "not exist", "mean 'run'?")),
    Case("resume of no run", ("train", "resume=data"), ("`resume`", "no .hydra/config.yaml")),
    Case("resume as a sweep", resume("-m"), ("resume=RUN without -m",)),
    Case(
        "resume with other settings",
        resume("trunk.lr=1e-3", "task=ner"),
        ("`changed_data` beside resume=run", "`trunk.lr=1e-3`, `task=ner`"),
    ),
    Case("resume for half an epoch", resume("trainer.max_epochs=0.5"), ("`trainer.max_epochs`",)),
    Case("resume for less", resume("trainer.max_steps=1"), ("`trainer.max_steps`", "own 2")),
    Case(
        "resume with a broken configuration",
        resume(),
        (f"{CONFIG}:2: Expected YAML",),
        files={CONFIG: "tasks: [\n"},
    ),
    Case("resume with none", resume(), (f"{CONFIG}: ", "it is empty"), files={CONFIG: ""}),
    Case(
        "resume with a wrong one",
        resume(),
        (f"{CONFIG}: ", "`trunk.lr`"),
        files={CONFIG: "tasks: {ner: {type: token_classification}}\ntrunk: {lr: -1}\n"},
        problems=2,
    ),
    Case(
        "resume with worse data",
        resume("trainer.max_steps=4"),
        ("data/train.jsonl:1", "'tokens'"),
        files={"data/train.jsonl": [{"text": "a"}]},
    ),
]

CHECKPOINTS = [
    Case("no checkpoint", resume(), (LAST, "no such file", "Train anew"), damage=drop(LAST)),
    Case("truncated checkpoint", resume(), (LAST, "cut short", AGAIN), damage=cut(LAST, 4000)),
    Case("empty checkpoint", resume(), (LAST, "cut short", AGAIN), damage=cut(LAST, 0)),
    Case(
        "checkpoint with code", resume(), (LAST, "which could run code", AGAIN), damage=code(LAST)
    ),
    Case(
        "checkpoint of other tasks",
        resume(),
        (LAST, "{ner, sentiment}", "{topic}", "it belongs to another run"),
        damage=checkpoint(lambda c: c["mtl"].update(tasks={"topic": {"labels": ["a"]}})),
    ),
    Case(
        "checkpoint of another program",
        resume(),
        (LAST, "{ner, sentiment}", "it belongs to another run"),
        damage=checkpoint(lambda c: c.pop("mtl")),
    ),
    Case(
        "checkpoint without its step",
        resume("trainer.max_steps=4"),
        (LAST, "'global_step'", "copy another checkpoint of the run over it"),
        damage=checkpoint(lambda c: c.pop("global_step")),
    ),
    Case(
        "checkpoint without a weight",
        resume("trainer.max_steps=4"),
        (LAST, "'heads.sentiment.linear.bias' is missing", "Put it back, or train anew"),
        damage=checkpoint(lambda c: c["state_dict"].pop("model.heads.sentiment.linear.bias")),
    ),
    Case(
        "checkpoint without labels",
        resume("trainer.max_steps=4"),
        (LAST, "what task 'ner' learned", "copy another checkpoint of the run over it"),
        damage=checkpoint(lambda c: c["mtl"]["tasks"]["ner"].pop("scheme")),
    ),
    Case(
        "checkpoint of another trunk",
        resume("trainer.max_steps=4"),
        (LAST, "has shape (400, 16) instead of (400, 8)", "Put it back, or train anew"),
        damage=other_trunk,
    ),
]

INIT = [
    Case("init from no run", train("init=data"), ("`init`", "'data'", "it has no mtl.json")),
    Case("init from no folder", train("init=nowhere"), ("`init`", "'nowhere'", "no such folder")),
    Case(
        "init of another trunk",
        train("init=run", "trunk.pretrained=false"),
        ("`init`", "'run/model'", "(24, 16) instead of (32, 16)", "choose its trunk, or another"),
        damage=trunk(intermediate_size=32),
    ),
    Case(
        "init from truncated weights",
        train("init=run"),
        ("run/model/model.safetensors", "cannot be read"),
        damage=cut("run/model/model.safetensors", 3000),
    ),
    Case(
        "init from a truncated head",
        train("init=run"),
        ("run/model/head-ner.safetensors", "cannot be read"),
        damage=cut("run/model/head-ner.safetensors", 50),
    ),
]

CASES = [*RESUME, *CHECKPOINTS, *INIT]
