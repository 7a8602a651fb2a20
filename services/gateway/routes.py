"""The gateway's one table of routes, each with what it needs of its caller, and the answers where there is none."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from litestar import Litestar, Request, Response, Router, asgi, get
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig

from services.gateway import VERSION
from services.gateway.asgi import Receive, Scope, Send
from services.gateway.dashboard.frame.pages import environment
from services.gateway.dashboard.routes import Dashboard, is_inside
from services.gateway.dialects.smsmobile import document as smsmobile
from services.gateway.dialects.smsmobile.endpoint import Endpoint
from services.gateway.dialects.smsmobile.routes import framework_error, mounted
from services.gateway.documents import Document, Page
from services.gateway.oauth import document as oauth
from services.gateway.oauth.errors import framework_error as oauth_error
from services.gateway.phones.socket import PhoneSocket
from services.gateway.rest import document as rest
from services.gateway.rest.problems import problem
from services.gateway.rest.routes import PREFIX
from services.gateway.scopes import DEVICE, OPT, PUBLIC
from shared.runtime.operations import Health

PUBLIC_OPT = {OPT: PUBLIC}


class Serves(Protocol):
    """A plain ASGI handler."""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""


class HealthAnswer(msgspec.Struct):
    """What a health route says: "ok" or "unavailable", and the same of each check."""

    status: str
    checks: dict[str, str]


def make_app(
    endpoints: Mapping[str, Endpoint],
    tokens: Mapping[str, Serves],
    v1: Router,
    phones: PhoneSocket,
    apps: Mapping[str, Serves],
    dashboard: Dashboard,
    health: Health,
    public_url: str,
) -> Litestar:
    """The public HTTP app: the dialect's endpoints and those of OAuth2 by path, /v1, phones, dashboard, documents."""

    def refused(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        path: str = request.scope["path"]
        return dashboard.error(request, error) if is_inside(path) else _framework_error(request, error)

    document = Document(
        path="/openapi.json",
        extra_paths=smsmobile.paths() | oauth.paths(public_url),
        extra_schemas=smsmobile.schemas() | oauth.schemas() | rest.schemas(),
        finish=rest.completed,
    )
    handlers: Sequence[Any] = [
        *_health(health),
        _document(document),
        asgi("/phone/v1/socket", copy_scope=False, opt={OPT: DEVICE})(phones.serve),
        *(asgi(path, is_mount=True, copy_scope=False, opt={OPT: DEVICE})(each.serve) for path, each in apps.items()),
        *(mounted(path, endpoint) for path, endpoint in endpoints.items()),
        *(asgi(path, copy_scope=False, opt=PUBLIC_OPT)(each.serve) for path, each in tokens.items()),
        v1,
        dashboard.router,
    ]
    return Litestar(
        route_handlers=handlers,
        exception_handlers={HTTPException: refused, 500: refused},
        template_config=TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment())),
        openapi_config=OpenAPIConfig(
            title="SMSFleet",
            version=VERSION,
            description="A self-hosted SMS gateway that speaks SMSMobileAPI's wire dialect.",
            openapi_router=Router("/docs", route_handlers=[], include_in_schema=False, opt=PUBLIC_OPT),
            render_plugins=[Page(path="/", document=document), document],
        ),
        logging_config=None,
    )


def _framework_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What the framework refuses itself, in the form of those who call such paths."""
    path: str = request.scope["path"]
    if path == PREFIX or path.startswith(f"{PREFIX}/"):
        return problem(request, error)
    if path.startswith(("/oauth2/", "/.well-known/")):
        return oauth_error(request, error)
    return framework_error(request, error)


def _health(health: Health) -> list[BaseRouteHandler]:
    def answer(path: str) -> Response[bytes]:
        status, body = health.answer(path) or (404, b"{}")
        return Response(body, status_code=status, media_type="application/json")

    @get("/health/live", opt=PUBLIC_OPT, summary="Whether the process runs", responses=_told(200), sync_to_thread=False)
    def live() -> Response[bytes]:
        return answer("/health/live")

    @get(
        "/health/ready",
        opt=PUBLIC_OPT,
        summary="Whether requests can be served now",
        responses=_told(200, 503),
        sync_to_thread=False,
    )
    def ready() -> Response[bytes]:
        return answer("/health/ready")

    return [live, ready]


def _told(*statuses: int) -> dict[int, ResponseSpec]:
    return {status: ResponseSpec(HealthAnswer, generate_examples=False) for status in statuses}


def _document(document: Document) -> BaseRouteHandler:
    @get("/openapi.json", opt=PUBLIC_OPT, include_in_schema=False, sync_to_thread=False)
    def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = document.render(request, request.app.openapi_schema.to_schema())
        return Response(body, media_type="application/json")

    return openapi
