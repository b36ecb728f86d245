"""``mtl serve``: trained models behind HTTP, with a page to try them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl.cli.options import Device, Tokens, TrustRemoteCode
from mtl.errors import ConfigError, Problem
from mtl.launch.importing import importing

if TYPE_CHECKING:
    from mtl.inference.predictor import RowPredictor

LIMITS = "Limits"


def register(app: typer.Typer) -> None:
    """Add ``mtl serve``."""
    app.command("serve")(serve)


def serve(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]RUN…", help="Folders of runs; several need names."),
    ],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where it listens; 0.0.0.0 is everywhere.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="0 is any that is free.")
    ] = 8000,
    device: Device = "auto",
    tokens: Tokens = None,
    latency_ms: Annotated[
        int,
        typer.Option(min=1, metavar="MS", help="What one batch of requests may take."),
    ] = 500,
    max_body: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="BYTES",
            help="Of a request; more is answered with 413.",
            rich_help_panel=LIMITS,
        ),
    ] = 1_000_000,
    max_characters: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Of a text; more is answered with 422.", rich_help_panel=LIMITS
        ),
    ] = 50_000,
    max_texts: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Of a request; more is answered with 422.",
            rich_help_panel=LIMITS,
        ),
    ] = 64,
    max_queue: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Texts that wait; more is answered with 429.",
            rich_help_panel=LIMITS,
        ),
    ] = 512,
    drain_seconds: Annotated[
        float,
        typer.Option(min=0, metavar="S", help="For requests to finish when it is told to end."),
    ] = 30.0,
    api_key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Has the key that requests must bring; or MTL_API_KEY."),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep corrections made on the page here, to train on."),
    ] = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Answer texts over HTTP with all heads of one run, or of several by name.

    POST /v1/predict takes {"texts": "…"}; /openapi.json describes it all, and GET / is a page to
    try it. Ctrl-C or SIGTERM ends it when what it took is answered.
    """
    named = by_name(runs)
    check_installed()
    with importing("mtl.inference.predictor"):
        from mtl.inference.predictor import RowPredictor
    from mtl.inference.opening import found
    from mtl.reporting.console import note
    from mtl.serving.app import Serving
    from mtl.serving.run import listen
    from mtl.serving.run import serve as answer
    from mtl.serving.settings import Limits, Settings, read_key, unsafe
    from mtl.training.model_io import load_model

    key = read_key(api_key_file)
    limits = Limits(max_body, max_characters, max_texts, max_queue)
    settings = Settings(limits, latency_ms / 1000, drain_seconds, key, corrections)
    with listen(host, port) as bound:
        models: dict[str, RowPredictor] = {}
        for name, run in named.items():
            loaded = load_model(found(run), trust_remote_code=trust_remote_code)
            models[name] = RowPredictor(loaded, device, tokens)
        if (warning := unsafe(host, key)) is not None:
            note(warning)
        told = "; ".join(f"{name} ({', '.join(model.tasks)})" for name, model in models.items())
        serving = Serving(models, settings)
        answer(serving, bound, lambda address: note(f"{address} answers: {told}"))


def by_name(runs: list[str]) -> dict[str, str]:
    """Return runs by the names that requests call them by.

    Raises:
        ConfigError: If several have no names, or one name.
    """
    if len(runs) == 1 and "=" not in runs[0]:
        return {_own_name(runs[0]): runs[0]}
    found: dict[str, str] = {}
    for text in runs:
        name, equals, run = text.partition("=")
        if not equals:
            advice = f"Write {_own_name(text)}={text}."
            expected = "to be NAME=RUN where there are several"
            raise ConfigError(Problem("RUN", expected, f"got '{text}'", advice))
        if not (name and run):
            expected = f"to have a {'folder behind' if name else 'name before'} its ="
            raise ConfigError(Problem("RUN", expected, f"got '{text}'"))
        if name in found:
            raise ConfigError(Problem("RUN", "to have a name of its own", f"got '{name}' twice"))
        found[name] = run
    return found


def _own_name(run: str) -> str:
    return Path(run).resolve().name or "model"


def check_installed() -> None:
    """Raise a ConfigError if a package that a server needs is missing."""
    try:
        import fastapi
        import prometheus_client
        import uvicorn
    except ImportError as error:
        expected = "to find what a server needs"
        advice = "Install it: pip install 'mtl[serve]'."
        problem = Problem("mtl serve", expected, f"there is no {error.name}", advice)
        raise ConfigError(problem) from error
    del fastapi, prometheus_client, uvicorn
