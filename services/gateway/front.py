"""Takes known paths straight to their endpoint; everything else goes through Litestar's router.

Litestar's layers around a plain ASGI handler cost a fifth of accepting a message (benchmarks/accept.py: 81 us of CPU
with them, 64 without). The endpoints are mounted in Litestar all the same: that is the route table, and it serves
odd spellings such as //sendsms.
"""

from collections.abc import Mapping
from typing import Any

from services.gateway.asgi import Receive, Scope, Send
from services.gateway.dialects.smsmobile.endpoint import Endpoint


class Front:
    """The ASGI app that uvicorn serves."""

    def __init__(self, app: Any, endpoints: Mapping[str, Endpoint]) -> None:
        """`endpoints` by path without its trailing slash."""
        self._app = app
        self._endpoints = {
            spelling: endpoint for path, endpoint in endpoints.items() for spelling in (path, f"{path}/")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection or request."""
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is not None:
            await endpoint.serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)
