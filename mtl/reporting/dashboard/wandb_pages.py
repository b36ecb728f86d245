"""A dashboard's panels as a workspace and a report of W&B, by the package wandb-workspaces."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from mtl.config.section import Values
from mtl.errors import ConfigError, Problem
from mtl.reporting.dashboard.panels import BAR, IMPORTANCE, LINE, PARALLEL, TABLE, Panel, Part
from mtl.reporting.loggers.wandb_run import STEP

NAME = "mtl"
NOBODY = "ENTITY"
"""Stands for the user or team where nobody is logged in."""


def _interfaces() -> tuple[Any, Any]:
    """Return the modules of workspaces and of reports.

    Raises:
        ConfigError: If the package is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Of its own use of pydantic.
            import wandb_workspaces.reports.v2 as reports
            import wandb_workspaces.workspaces as workspaces
    except ImportError:
        expected = "to have the package wandb-workspaces, which builds dashboards"
        advice = "Run `pip install 'mtl[dashboards]'`."
        raise ConfigError(
            Problem("mtl dashboard", expected, "it is not installed", advice)
        ) from None
    return workspaces, reports


def workspace(parts: Sequence[Part], entity: str, project: str) -> Any:
    """Return the workspace, not yet saved.

    Raises:
        ConfigError: If wandb-workspaces is not installed.
    """
    workspaces, reports = _interfaces()
    sections = [
        workspaces.Section(
            name=part.name, panels=[_panel(reports, p) for p in part.panels], is_open=not number
        )
        for number, part in enumerate(parts)
    ]
    return workspaces.Workspace(entity=entity, project=project, name=NAME, sections=sections)


def report(parts: Sequence[Part], entity: str, project: str, *, runs: bool) -> Any:
    """Return the report, not yet saved.

    Args:
        parts: Its sections.
        entity: The user or team.
        project: The project whose runs it shows.
        runs: Whether panels name the runs that they show, for which one must be logged in.
    """
    _, reports = _interfaces()
    blocks: list[Any] = [reports.TableOfContents()]
    for part in parts:
        shown = [reports.Runset(entity=entity, project=project) if runs else reports.Runset()]
        panels = [_panel(reports, panel) for panel in part.panels]
        blocks += [reports.H1(part.name), reports.PanelGrid(runsets=shown, panels=panels)]
    return reports.Report(entity=entity, project=project, title=NAME, blocks=blocks)


def specification(parts: Sequence[Part], entity: str, project: str) -> Values:
    """Return workspace and report as plain JSON values, which takes no login."""
    built = {
        "workspace": workspace(parts, entity, project),
        "report": report(parts, entity, project, runs=False),
    }
    return {
        name: json.loads(page._to_model().model_dump_json(by_alias=True))
        for name, page in built.items()
    }


def publish(parts: Sequence[Part], entity: str, project: str) -> list[str]:
    """Save workspace and report with the login that there is; returns their addresses.

    Raises:
        ConfigError: If W&B refuses, or is not there.
    """
    try:
        pages = [
            workspace(parts, entity, project).save(),
            report(parts, entity, project, runs=True).save(),
        ]
    except ConfigError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0].strip().rstrip(".")
        expected = "to reach W&B with a login"
        raise ConfigError(Problem("--publish", expected, f"got: {reason}")) from error
    return [str(page.url) for page in pages]


def _panel(reports: Any, panel: Panel) -> Any:
    return _MAKE[panel.kind](reports, panel)


def _line(reports: Any, panel: Panel) -> Any:
    return reports.LinePlot(title=panel.title, x=STEP, y=list(panel.metrics))


def _bar(reports: Any, panel: Panel) -> Any:
    return reports.BarPlot(title=panel.title, metrics=list(panel.metrics))


def _table(reports: Any, panel: Panel) -> Any:
    return reports.WeavePanelSummaryTable(table_name=panel.metrics[0])


def _parallel(reports: Any, panel: Panel) -> Any:
    of = [reports.Config(key) for key in panel.parameters]
    of += [reports.SummaryMetric(name) for name in panel.metrics]
    columns = [reports.ParallelCoordinatesPlotColumn(metric=metric) for metric in of]
    return reports.ParallelCoordinatesPlot(title=panel.title, columns=columns)


def _importance(reports: Any, panel: Panel) -> Any:
    return reports.ParameterImportancePlot(with_respect_to=panel.metrics[0])


_MAKE: dict[str, Callable[[Any, Panel], Any]] = {
    LINE: _line,
    BAR: _bar,
    TABLE: _table,
    PARALLEL: _parallel,
    IMPORTANCE: _importance,
}
