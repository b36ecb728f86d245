"""The endpoints of a server."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, params
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from mtl import __version__
from mtl.errors import one_of, printable
from mtl.inference.predictor import RowPredictor
from mtl.serving.answering import EVENTS, events, submit, whole
from mtl.serving.batcher import Batcher
from mtl.serving.corrections import Corrections
from mtl.serving.errors import STATUSES, Refused, described
from mtl.serving.gate import Gate, closed
from mtl.serving.meters import Meters
from mtl.serving.mistakes import first_mistake, no_address, other_method
from mtl.serving.output import to_json
from mtl.serving.page import page
from mtl.serving.requests import model_name, understood
from mtl.serving.schemas import (
    CorrectionAnswer,
    CorrectionRequest,
    ModelInfo,
    ModelsAnswer,
    PredictRequest,
    StateAnswer,
    TaskInfo,
    predict_answer,
)
from mtl.serving.settings import Settings
from mtl.tasks import Task
from mtl.tasks.base import answer_labels, asks

Guards = list[params.Depends]
CORRECTIONS = "/v1/corrections"
JSON = "application/json"
STREAM = "text/event-stream"
EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": list(EVENTS)},
        "data": {"type": "string", "contentMediaType": JSON},
    },
}
"""What each event of a stream is, for the OpenAPI page."""
BEARER = HTTPBearer(auto_error=False, description="The server's key.")


@dataclass
class Serving:
    """Models, and what answers with them.

    Args:
        models: By name.
        settings: Limits and the like.
    """

    models: Mapping[str, RowPredictor]
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.meters = Meters()
        self.batcher = Batcher(self.models, self.settings, self.meters)
        self.closing = False

    def close(self) -> None:
        """Take no more requests; those that were taken are answered."""
        self.closing = True
        self.batcher.close()

    @property
    def busy(self) -> bool:
        """Whether requests are being answered."""
        return self.meters.answering > 0


def create_app(serving: Serving) -> FastAPI:
    """Return the application.

    Args:
        serving: Its models, loaded; the batcher is started by who runs the server.
    """
    app = FastAPI(
        title="mtl",
        version=__version__,
        description="Trained models: all their heads on a text, in one pass of the trunk.",
        docs_url=None,  # Its page would ask other servers for its scripts.
        redoc_url=None,
    )
    _add_errors(app)
    _add_states(app, serving)
    guarded = [Depends(_guard(serving.settings.key))]
    _add_predict(app, serving, guarded)
    if serving.settings.corrections is not None:
        _add_corrections(app, serving, serving.settings.corrections, guarded)
    _add_page(app)
    paths = {getattr(route, "path", "") for route in app.routes}
    app.add_middleware(
        Gate,
        meters=serving.meters,
        most=serving.settings.limits.body,
        paths=paths,
        closing=lambda: serving.closing,
    )
    return app


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        headers = {"Content-Security-Policy": page().policy, "Referrer-Policy": "no-referrer"}
        return Response(page().html, media_type="text/html; charset=utf-8", headers=headers)


def _add_corrections(app: FastAPI, serving: Serving, folder: Path, guarded: Guards) -> None:
    kept = Corrections(folder)

    @app.post(
        CORRECTIONS,
        summary="Keep what would have been right, for training",
        dependencies=[Depends(_only_json), *guarded],
        responses=described(401, 404, 413, 415, 422, 503),
    )
    def correct(body: CorrectionRequest) -> CorrectionAnswer:
        name = model_name(body.model, serving.models)
        tasks = serving.models[name].tasks
        if body.task not in tasks:
            raise Refused(422, printable(one_of("task", body.task, tasks)))
        most = serving.settings.limits.characters
        if len(str(body.row.get("text", ""))) > most:
            raise Refused(422, f"Expected `text` to have at most {most:,} characters.")
        task = tasks[body.task]
        file = kept.keep(name, task, _task_info(task).labels, body.row)
        return CorrectionAnswer(file=str(file.relative_to(folder)))


def _guard(key: str | None) -> Callable[..., object]:
    """Return what lets requests in that bring a key; all of them where there is none."""
    if key is None:
        return lambda: None
    right = hashlib.sha256(key.encode()).digest()

    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        said = hashlib.sha256((given.credentials if given else "").encode()).digest()
        if not hmac.compare_digest(said, right):
            found = "got none" if given is None else "got another"
            raise Refused(
                401,
                f"Expected the server's key as `Authorization: Bearer KEY`, but {found}.",
                {"WWW-Authenticate": "Bearer"},
            )

    return check


def _add_states(app: FastAPI, serving: Serving) -> None:
    @app.get("/health", summary="Whether the server lives")
    async def health() -> StateAnswer:
        return StateAnswer(status="ok")

    @app.get("/ready", summary="Whether it takes requests", responses=described(503))
    async def ready() -> StateAnswer:
        if serving.closing:
            raise closed()
        return StateAnswer(status="ready")

    kinds: Any = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

    @app.get("/metrics", summary="Counts, for Prometheus", responses=kinds, response_class=Response)
    async def metrics() -> Response:
        return Response(serving.meters.page(), media_type="text/plain; version=0.0.4")


def _add_predict(app: FastAPI, serving: Serving, guarded: Guards) -> None:
    models, limits = serving.models, serving.settings.limits

    @app.get(
        "/v1/models",
        summary="The models, and what their tasks read and say",
        dependencies=guarded,
        responses=described(401),
    )
    async def list_models() -> ModelsAnswer:
        found = [_info(name, model) for name, model in models.items()]
        return ModelsAnswer(models=found, corrections=serving.settings.corrections is not None)

    answer = predict_answer({name: model.tasks for name, model in models.items()})
    streamed = {STREAM: {"itemSchema": EVENT}}
    kinds: Any = {
        200: {"model": answer, "description": "A result for each text.", "content": streamed},
        **described(401, 404, 413, 415, 422, 429, 500, 503),
    }

    @app.post(
        "/v1/predict",
        summary="Answer one text, or several",
        dependencies=[Depends(_only_json), *guarded],
        responses=kinds,
        response_class=Response,
    )
    async def predict(body: PredictRequest) -> Response:
        asked = understood(body, models, limits)
        if not body.stream:
            return Response(to_json(await whole(asked, serving.batcher)), media_type=JSON)
        job, told = submit(asked, serving.batcher, stream=True)
        return StreamingResponse(events(job, told, asked), media_type=STREAM)


async def _only_json(request: Request) -> None:
    """Refuse what a form of another site could send without asking."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refused(415, f"Expected the body to be {JSON}, but the request says '{kind[:40]}'.")


def _info(name: str, model: RowPredictor) -> ModelInfo:
    config = model.model.trunk.config
    tasks = [_task_info(task) for task in model.tasks.values()]
    return ModelInfo(name=name, trunk=str(config.model_type), tasks=tasks)


def _task_info(task: Task) -> TaskInfo:
    return TaskInfo(
        name=task.name,
        type=task.type,
        reads=asks(task),
        labels=answer_labels(task),
        writes=task.writer() is not None,
    )


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> Response:
        del request
        return error.response()

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        corrects = request.url.path == CORRECTIONS
        fields = (CorrectionRequest if corrects else PredictRequest).model_fields
        return Refused(422, first_mistake(error.errors(), fields, error.body)).response()

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> Response:
        status = 422 if error.status_code == 400 else error.status_code
        message = STATUSES.get(status, str(error.detail))
        method, path = request.method, request.url.path
        if status == 404:
            message = no_address(method, path, [getattr(r, "path", "") for r in app.routes])
        elif status == 405:
            message = other_method(method, path, (error.headers or {}).get("Allow", "another"))
        return Refused(status, message, error.headers).response()

    @app.exception_handler(Exception)
    def fault(request: Request, error: Exception) -> Response:
        del request, error
        return Refused(500, "The server has a fault; its log has the reason.").response()
