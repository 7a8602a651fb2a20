"""Mounts the dialect's endpoints and gives every other answer of the web framework the dialect's error shape."""

from typing import Any

from litestar import Request, Response, asgi
from litestar.exceptions import HTTPException
from litestar.handlers import ASGIRouteHandler

from services.gateway.asgi import Reply
from services.gateway.dialects.smsmobile.endpoint import Endpoint
from services.gateway.dialects.smsmobile.errors import answer_to_status
from services.gateway.scopes import OPT


def mounted(path: str, endpoint: Endpoint) -> ASGIRouteHandler:
    """The endpoint as a route of the app; Litestar serves the path with and without its trailing slash alike."""
    return asgi(path, copy_scope=False, opt={OPT: endpoint.scope})(endpoint.serve)


def framework_error(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to an error that the framework raised itself: unknown path, wrong method, its own failures."""
    if not isinstance(error, HTTPException):
        return _response(answer_to_status(500, "Something went wrong inside."))
    allowed = [
        (name.lower().encode(), value.encode())
        for name, value in (error.headers or {}).items()
        if name.lower() in ("allow", "retry-after")
    ]
    if error.status_code == 404:
        return _response(answer_to_status(404, "There is no such endpoint here."))
    return _response(answer_to_status(error.status_code, error.detail, allowed))


def _response(answer: Reply) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=headers["content-type"])
