"""What is sent beside a body: signatures, authentication, custom headers; and the secrets for them, opened once."""

import base64
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from services.webhooks.signing import sign, v2_headers
from services.webhooks.store.endpoints import Callee, SealedSecret
from shared.contracts.rpc.webhooks import BasicAuth, BearerAuth
from shared.runtime.clock import Clock
from shared.security.vault import Sealed, Unopenable, Vault

log = structlog.get_logger()

MAX_KEPT = 4096
"""Endpoints whose opened secrets are kept in memory."""


class Extras(msgspec.Struct, frozen=True):
    """What an endpoint's owner adds to each request, sealed as one."""

    headers: dict[str, str] = {}
    auth: BasicAuth | BearerAuth | None = None


@dataclass(frozen=True)
class Target:
    """An endpoint as it is called. `secrets`, the newest first, each with its end (Unix seconds; None: none)."""

    url: str
    format: str
    version: int
    secrets: Sequence[tuple[str, float | None]] = ()
    extras: Extras = field(default_factory=Extras)
    broken: bool = False
    """Its secrets cannot be opened, so that no request of it could prove that it is ours."""

    def headers(self, event: str, type: str, body: bytes, now: float) -> dict[str, str]:
        """The headers of a request made now: a retry carries the same id and body, and a fresh time and signature."""
        secrets = [secret for secret, ends_at in self.secrets if ends_at is None or ends_at > now]
        at = int(now)
        headers = dict(self.extras.headers)
        match self.extras.auth:
            case BasicAuth(user=user, password=password):
                headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            case BearerAuth(token=token):
                headers["Authorization"] = f"Bearer {token}"
        if self.format == "v2":
            headers |= v2_headers(secrets, event, type, at, body)
        headers |= {"webhook-id": event, "webhook-timestamp": str(at)}
        if secrets:
            headers["webhook-signature"] = sign(secrets, event, at, body)
        return headers


class Targets:
    """Endpoints with their secrets opened; one that has changed since is read anew."""

    def __init__(
        self,
        read: Callable[[Sequence[str]], Awaitable[list[Callee]]],
        vault: Vault,
        clock: Clock = time.time,
        bound: int = MAX_KEPT,
    ) -> None:
        """`read` gives endpoints as they are stored; `clock` dates signatures."""
        self._read = read
        self._vault = vault
        self._bound = bound
        self._known: dict[str, Target] = {}
        self.clock = clock

    async def refresh(self, wanted: dict[str, int]) -> None:
        """Makes these endpoints known at their versions at least. Raises what `read` raises."""
        missing = [
            id for id, version in wanted.items() if (known := self._known.get(id)) is None or known.version < version
        ]
        if not missing:
            return
        for callee in await self._read(missing):
            self._known.pop(callee.endpoint, None)
            self._known[callee.endpoint] = self._opened(callee)
        while len(self._known) > self._bound:
            del self._known[next(iter(self._known))]

    def of(self, endpoint: str) -> Target | None:
        """The endpoint as it was last read; None when it has ended."""
        return self._known.get(endpoint)

    def _opened(self, callee: Callee) -> Target:
        try:
            return opened(self._vault, callee)
        except Unopenable as error:
            log.error("secrets cannot be opened", endpoint=callee.endpoint, error=str(error))
            return Target(callee.url, callee.format, callee.version, broken=True)


def opened(vault: Vault, callee: Callee) -> Target:
    """The endpoint with its secrets opened. Raises Unopenable."""
    secrets = [
        (_open(vault, callee.endpoint, each).decode(), each.ends_at)
        for each in callee.secrets
        if each.kind == "signing"
    ]
    extras = [_open(vault, callee.endpoint, each) for each in callee.secrets if each.kind == "request"]
    return Target(
        callee.url,
        callee.format,
        callee.version,
        secrets,
        msgspec.json.decode(extras[0], type=Extras) if extras else Extras(),
    )


def sealed_secret(vault: Vault, endpoint: str, secret: str) -> Sealed:
    """A signing secret for its row."""
    return vault.seal(secret.encode(), _about(endpoint, "signing"))


def sealed_extras(vault: Vault, endpoint: str, extras: Extras) -> Sealed | None:
    """Headers and authentication for their row; None when there is nothing to keep."""
    if not extras.headers and extras.auth is None:
        return None
    return vault.seal(msgspec.json.encode(extras), _about(endpoint, "request"))


def _open(vault: Vault, endpoint: str, secret: SealedSecret) -> bytes:
    return vault.open(secret.sealed, _about(endpoint, secret.kind))


def _about(endpoint: str, kind: str) -> str:
    return f"endpoint_secrets {endpoint} {kind}"
