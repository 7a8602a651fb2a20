"""What /sendsms/ is compared with, under the gateway's own server flags: handlers that parse, answer and keep nothing.

`python -m benchmarks.rivals litestar|asgi PORT` serves one until SIGTERM.
"""

import asyncio
import sys
from typing import Annotated, Any

import msgspec
import uvloop
from litestar import Litestar, post
from litestar.enums import RequestEncodingType
from litestar.params import Body

from services.gateway.app import SERVER_OPTIONS
from services.gateway.dialects.smsmobile.answers import SendResult, Sent
from shared.runtime.serving import serving

_ANSWER = Sent(
    SendResult(id="0" * 40, datetime="2026-01-01T00:00:00Z", datetimeLocal="2026-01-01T00:00:00Z", port=None)
)


class _Form(msgspec.Struct):
    apikey: str
    recipients: str
    message: str


@post("/sendsms/", status_code=200)
async def form_handler(data: Annotated[_Form, Body(media_type=RequestEncodingType.URL_ENCODED)]) -> Sent:  # noqa: ARG001
    """The bare Litestar form handler."""
    return _ANSWER


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001
    """The bare ASGI app: reads the body and answers."""
    await receive()
    body = msgspec.json.encode(_ANSWER)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _serve(kind: str, port: int) -> None:
    app: Any = bare if kind == "asgi" else Litestar([form_handler], openapi_config=None, logging_config=None)
    async with serving(app, "127.0.0.1", port, **SERVER_OPTIONS):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
