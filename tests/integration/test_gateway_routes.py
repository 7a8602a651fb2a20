"""Every route of the gateway says what it needs of its caller, and docs/api/auth.md says the same."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from nats.aio.client import Client

from services.gateway import app as gateway_app
from services.gateway.dashboard.routes import is_inside
from services.gateway.measured import Measured
from services.gateway.scopes import NEEDS, OPT, PUBLIC, SCOPES
from shared.contracts.rpc.auth import Verdict
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support.gateway import ACCOUNT, KEY, READING_KEY, SUSPENDED_KEY, Gateway, running_gateway

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api" / "auth.md").read_text()
TOLD = dict(re.findall(r"^\| `(/[^`]*)` \| `([a-z:]+)` \|$", PAGE, re.MULTILINE))


@pytest.fixture
async def gateway(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Gateway]:
    async with running_gateway(settings, nats_client) as running:
        yield running


def needs_of(app: Litestar) -> dict[str, set[Any]]:
    """What the handlers of each route declare; None stands for a handler that declares nothing."""
    found: dict[str, set[Any]] = {}
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler]:
            # Litestar answers OPTIONS by itself.
            if getattr(handler, "http_methods", None) != {"OPTIONS"}:
                found.setdefault(re.sub(r":\w+}", "}", route.path), set()).add(handler.opt.get(OPT))
    return found


async def test_every_route_declares_what_it_needs(
    settings: ServiceSettings, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Litestar, Any]] = []

    class Noting(Measured):
        def __init__(self, app: Litestar, endpoints: Any, mounts: Any) -> None:
            made.append((app, endpoints))
            super().__init__(app, endpoints, mounts)

    monkeypatch.setattr(gateway_app, "Measured", Noting)
    async with running_gateway(settings, nats_client):
        ((app, endpoints),) = made
    found = needs_of(app)
    assert all(needs <= NEEDS for needs in found.values()), found
    # Whoever may look at a page may not always do what its form does.
    assert all(len(needs) == 1 for path, needs in found.items() if not is_inside(path)), found
    for path, endpoint in endpoints.items():
        assert found[path] == {endpoint.scope}, path
        assert endpoint.scope in SCOPES, path
    documented = {path: {need} for path, need in TOLD.items()}
    served = {path: needs for path, needs in found.items() if not path.startswith("/docs/") and not is_inside(path)}
    assert all(needs == {PUBLIC} for path, needs in found.items() if path.startswith("/docs/"))
    assert served == documented


async def test_every_route_refuses_who_shows_nothing_or_too_little(gateway: Gateway) -> None:
    gateway.auth.accounts[digest("powerless")] = Verdict(epoch=0, account=ACCOUNT, subject="key_9")
    for path, need in TOLD.items():
        # /v1 answers otherwise: tests/integration/test_gateway_webhooks_errors.py.
        if need not in SCOPES or path.startswith("/v1/"):
            continue
        assert (await gateway.get(path)).status == 403, path
        assert (await gateway.get(path, apikey="powerless")).status == 403, path
        reading = await gateway.get(path, apikey=READING_KEY)
        assert (reading.status == 403) == (need != "sms:read"), path


async def test_the_account_of_a_key(gateway: Gateway) -> None:
    for path, headers in ((f"/v1/account?apikey={KEY}", {}), ("/v1/account/", {"Authorization": f"Bearer {KEY}"})):
        answer = await gateway.ask("GET", path, headers=headers)
        assert answer.status == 200, answer
        assert answer.json() == {
            "account": ACCOUNT,
            "credential": "key_1",
            "scopes": ["sms:send", "sms:read", "sms:delete", "devices:read"],
            "time_zone": "Europe/Brussels",
            "region": None,
        }


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/v1/account", 401, "missing_credential"),
        ("GET", "/v1/account?apikey=wrong", 401, "invalid_key"),
        ("GET", f"/v1/account?apikey={SUSPENDED_KEY}", 403, "suspended"),
        ("POST", f"/v1/account?apikey={KEY}", 405, "method_not_allowed"),
        ("GET", f"/v1/nothing?apikey={KEY}", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("GET", "/v1/account?apikey=%ff%00", 401, "invalid_key"),
    ],
)
async def test_rfc9457_problems(gateway: Gateway, method: str, target: str, status: int, code: str) -> None:
    answer = await gateway.ask(method, target)
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    told = json.loads(answer.body)
    assert (told["status"], told["code"], told["type"]) == (status, code, "about:blank")
    assert set(told) == {"type", "title", "status", "detail", "code"}
    assert ("www-authenticate" in answer.headers) == (status == 401)
