"""Metrics that a task's YAML can add by name: those of torchmetrics, and those of other packages.

::

    metrics: [calibration_error, {name: auroc, average: weighted}]

A name of torchmetrics is its class's in snake_case: ``CalibrationError`` is ``calibration_error``.
An entry of :data:`METRICS` returns a :class:`torchmetrics.Metric`, given options by keyword.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

import torch
from torchmetrics import Metric, classification, nominal, regression, retrieval, text

from mtl.errors import ConfigError, Problem
from mtl.registry import Registry

METRICS: Registry[Callable[..., Metric]] = Registry("metric", group="mtl.metrics")

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ONE_WORD = {"InfoLM": "infolm", "SQuAD": "squad"}

for _module in (classification, nominal, regression, retrieval, text):
    for _name in _module.__all__:
        _entry = getattr(_module, _name)
        if inspect.isclass(_entry) and issubclass(_entry, Metric):
            METRICS.register(_ONE_WORD.get(_name) or _WORDS.sub("_", _name).lower())(_entry)


def build_metric(spec: object, facts: Mapping[str, Any], where: str) -> tuple[str, Metric]:
    """Return the name and the metric that an item of ``metrics`` asks for.

    Args:
        spec: A name, or a mapping of ``name`` and the metric's own options.
        facts: What the task knows, such as ``num_classes``; given where the metric takes it.
        where: The config key.

    Raises:
        ConfigError: If there is no such metric, or its options are wrong.
    """
    options = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            Problem(where, "to be a metric's name, or a group with its `name`", f"got {spec!r}")
        )
    factory = METRICS.get(name, where)
    taken = inspect.signature(factory).parameters
    known = {key: value for key, value in facts.items() if key in taken}
    if missing := _missing(taken, {**known, **options}):
        form = ", ".join([f"name: {name}", *(f"{key}: {what}" for key, what in missing.items())])
        lacks = f"'{name}' lacks {', '.join(missing)}"
        expected = "to be a metric with all options that it needs"
        raise ConfigError(Problem(where, expected, lacks, f"Write {{{form}}}."))
    try:
        return name, factory(**{**known, **options})
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(
            Problem(where, f"to be a metric that can be made of its options ('{name}')", f"{error}")
        ) from error


def _missing(
    parameters: Mapping[str, inspect.Parameter], given: Mapping[str, object]
) -> dict[str, str]:
    """Return options that a metric needs and was not given, with what they may be."""
    return {
        key: " | ".join(map(str, get_args(p.annotation))) or "…"
        for key, p in parameters.items()
        if p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and key not in given
    }


def takes(metric: Metric) -> tuple[set[str], set[str]]:
    """Return what a metric's ``update`` must be given by name, and what it may be."""
    parameters = metric._update_signature.parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return {p.name for p in named if p.default is p.empty}, {p.name for p in named}


def feed(metric: Metric, given: Mapping[str, Any]) -> bool:
    """Update a metric with what it takes of `given`; returns False if something is missing.

    Tensors are moved to the metric's device.
    """
    needed, taken = takes(metric)
    if not needed <= given.keys():
        return False
    chosen = {name: value for name, value in given.items() if name in taken}
    metric.update(
        **{
            name: value.to(metric.device) if isinstance(value, torch.Tensor) else value
            for name, value in chosen.items()
        }
    )
    return True


def try_metric(name: str, metric: Metric, given: Mapping[str, Any], where: str) -> None:
    """See whether a metric can take what a task feeds it and gives one number; it is reset.

    Raises:
        ConfigError: If it cannot.
    """
    shown = ", ".join(f"{key} ({describe(value)})" for key, value in given.items())
    try:
        if not feed(metric, given):
            missing = ", ".join(sorted(takes(metric)[0] - given.keys()))
            raise TypeError(f"it needs {missing}")
        number = metric.compute()
        if not isinstance(number, float | int) and torch.as_tensor(number).numel() != 1:
            raise ValueError("it gives several numbers")
    except Exception as error:  # A metric of any package may raise anything.
        raise ConfigError(
            Problem(
                where,
                f"to be metrics that can take what the task feeds: {shown}",
                f"'{name}' cannot: {str(error).strip().rstrip('.')}",
            )
        ) from error
    finally:
        metric.reset()


def describe(value: object) -> str:
    """Return what a fed value is, in a few words, for messages."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if isinstance(value, list | tuple) and value:
        return f"a list of {type(value[0]).__name__}"
    return type(value).__name__
