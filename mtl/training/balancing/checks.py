"""What a balancing cannot work with, said before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from mtl.config.schema import Config
from mtl.errors import Problem, one_of
from mtl.training.balancing.base import BALANCINGS

AUTO = "auto"
"""Stands for a method that is chosen by :func:`automatic`: this one, or the sum."""
BALANCED = "equal_norms"
PLACES = ("trunk", "last", "adapters")
"""Which of the trunk's parameters tasks are compared on."""
FEATURES = (
    "Tasks read the hidden states at places of their own, where the gradients of two tasks never "
    "meet, so that every method would be the plain sum. Choose trunk, last or adapters."
)


def automatic(config: Config) -> str:
    """Return the method that ``balancing=auto`` stands for.

    That is `equal_norms`, or `sum` where it cannot work. On eight sets of tasks `equal_norms` was
    better than the sum, and on seven within a point of the best weights that a search had found
    (docs/quality.md).
    """
    section = config.balancing.model_copy(update={"name": BALANCED})
    whole = config.model_copy(update={"balancing": section})
    apart = config.tuning.adapters == "per_task"
    return "sum" if apart or refusals(whole) else BALANCED


def refusals(config: Config) -> list[Problem]:
    """Return why the chosen balancing cannot work with the rest of a configuration."""
    section = config.balancing
    method = BALANCINGS.get(section.name)
    problems = list(_missing(section.name, getattr(method, "needs", ())))
    if section.parameters not in PLACES:
        problem = one_of("balancing.parameters", section.parameters, PLACES)
        if section.parameters == "features":
            problem = Problem("balancing.parameters", problem.expected, problem.found, FEATURES)
        problems.append(problem)
    by_task = getattr(method, "by_task", False)
    apart = config.tuning.name == "frozen" or config.tuning.adapters == "per_task"
    if apart and section.name != "sum" and not by_task:
        problems += _nothing_shared(config)
    if by_task or section.conflict:
        problems += _by_task(config, "balancing.name" if by_task else "balancing.conflict")
    elif getattr(method, "reads_losses", False) and config.trainer.strategy == "fsdp":
        expected = "to be a method that needs no losses ahead, with trainer.strategy=fsdp"
        advice = "Choose balancing=dwa or uncertainty, or trainer=ddp."
        problems.append(Problem("balancing.name", expected, f"got {section.name}", advice))
    return problems


def _missing(name: str, needs: tuple[str, ...]) -> Iterator[Problem]:
    missing = [package for package in needs if find_spec(package) is None]
    if missing:
        expected = f"to be a method whose packages are installed ({name} needs {', '.join(needs)})"
        found = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not"
        advice = "Run `pip install 'mtl[balancing]'`, or choose sum, random or famo."
        yield Problem("balancing.name", expected, found, advice)


def _nothing_shared(config: Config) -> Iterator[Problem]:
    """Yield that weights of losses change nothing where no parameter learns from two tasks."""
    heads = [task.head.get("name") or name for name, task in config.tasks.items()]
    if len(set(heads)) == len(heads):
        frozen = config.tuning.name == "frozen"
        key = "tuning=frozen" if frozen else "tuning.adapters=per_task"
        expected = f"to be sum with {key}, where tasks share nothing that learns"
        other = "let the trunk learn, such as by tuning=lora" if frozen else "share one adapter"
        advice = f"Choose balancing=sum, or {other}."
        yield Problem("balancing.name", expected, f"got {config.balancing.name}", advice)


def _by_task(config: Config, key: str) -> Iterator[Problem]:
    """Yield why each task's own gradient of the trunk cannot be had, or is of no use."""
    if key == "balancing.name":
        lead, found, without = (
            "to be a method of losses alone",
            f"got {config.balancing.name}",
            "balancing=sum",
        )
    else:
        lead, found, without = "to be false", "got true", "balancing.conflict=false"
    weighed = [name for name, task in config.tasks.items() if task.weight > 0]
    if len(weighed) < 2:
        only = f"'{weighed[0]}' alone" if weighed else "none"
        expected = f"{lead} where {only} has a weight above 0"
        yield Problem(key, expected, found, f"Add a task, or choose {without}.")
    frozen = config.tuning.name == "frozen"
    if frozen or config.trunk.lr == 0:
        expected = f"{lead} with {'tuning=frozen' if frozen else 'trunk.lr=0'}, as no trunk learns"
        advice = f"Choose {without}, or let the trunk learn, such as by tuning=lora."
        yield Problem(key, expected, found, advice)
    if config.trainer.precision == "16-mixed":
        expected = f"{lead} with trainer.precision=16-mixed, whose gradients are scaled"
        yield Problem(key, expected, found, f"Choose trainer.precision=bf16-mixed, or {without}.")
    if config.trainer.strategy == "fsdp":
        expected = f"{lead} with trainer.strategy=fsdp, whose processes have parts of gradients"
        yield Problem(key, expected, found, f"Choose trainer=ddp, or {without}.")
    if config.mixing.order == "round_robin":
        expected = f"{lead} with mixing.order=round_robin, whose steps have one task each"
        yield Problem(key, expected, found, f"Choose mixing.order=every_step, or {without}.")
    if config.init.keep == "distill":
        expected = f"{lead} with init.keep=distill, whose loss is of no single task"
        advice = f"Choose {without}, or rehearse old tasks: init.keep=nothing init.rehearse=0.2."
        yield Problem(key, expected, found, advice)
