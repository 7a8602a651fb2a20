"""Answers the questions of `rpc.webhooks.*` about endpoints: made, changed, stopped, tried out and ended."""

import dataclasses
import secrets
import string
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from msgspec import UNSET, UnsetType

from services.webhooks import checks
from services.webhooks.delivery import Post
from services.webhooks.examples import EXAMPLES
from services.webhooks.formats import InboxFacts, classic_body, v2_body
from services.webhooks.pages import Pages
from services.webhooks.records import Records
from services.webhooks.requests import Extras, opened, sealed_extras, sealed_secret
from services.webhooks.signing import new_secret
from services.webhooks.store.endpoints import Chosen, Endpoints
from services.webhooks.targets import Guard
from shared.bus.rpc import Responder
from shared.contracts import registry
from shared.contracts.rpc import webhooks as contract
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.retention import AskRetention, Retention
from shared.errors import NotFound
from shared.runtime.clock import Clock
from shared.security.vault import Vault

log = structlog.get_logger()

Value = TypeVar("Value")

_ID_ALPHABET = string.ascii_letters + string.digits


class Answers:
    """One method a question."""

    def __init__(
        self, endpoints: Endpoints, guard: Guard, vault: Vault, post: Post, wake: Callable[[], None], clock: Clock
    ) -> None:
        """`guard` says which URLs may be called; `wake` tells the deliverer that something may be due."""
        self._endpoints = endpoints
        self._guard = guard
        self._vault = vault
        self._post = post
        self._wake = wake
        self._clock = clock

    async def create(self, request: contract.CreateEndpoint) -> contract.EndpointCreated:
        """A new endpoint. Raises Invalid, each rule with its code, and NotFound for an unknown account."""
        headers, auth = checks.headers(request.headers), checks.auth(request.auth)
        chosen = Chosen(
            url=self._guard.checked_url(request.url),
            description=checks.description(request.description),
            filter=checks.filter(request.filter, request.format),
            classic=checks.classic(request.classic),
            header_names=sorted(headers),
            auth=_kind(auth),
            max_window=checks.window(request.max_window),
        )
        secret = new_secret() if request.secret is None else checks.secret(request.secret)
        id = _new_id("wh_")
        signing = sealed_secret(self._vault, id, secret)
        extras = sealed_extras(self._vault, id, Extras(headers, auth))
        if not await self._endpoints.create(id, request.account, request.format, chosen, signing, extras):
            raise NotFound("There is no such account.")
        log.info("endpoint created", account=request.account, endpoint=id)
        return contract.EndpointCreated(await self._one(request.account, id), secret)

    async def update(self, request: contract.UpdateEndpoint) -> contract.EndpointShown:
        """Changes what is given. Raises Invalid as `create` does, and NotFound."""
        now = await self._one(request.account, request.id)
        extras = await self._extras(request)
        chosen = Chosen(
            url=self._guard.checked_url(_or(request.url, now.url)),
            description=checks.description(_or(request.description, now.description)),
            filter=checks.filter(_or(request.filter, now.filter), now.format),
            classic=checks.classic(_or(request.classic, now.classic)),
            header_names=now.header_names if extras is None else sorted(extras.headers),
            auth=now.auth if extras is None else _kind(extras.auth),
            max_window=checks.window(_or(request.max_window, now.max_window)),
        )
        sealed = None if extras is None else sealed_extras(self._vault, request.id, extras)
        if not await self._endpoints.update(request.account, request.id, chosen, sealed, keep=extras is None):
            raise _unknown()
        log.info("endpoint changed", account=request.account, endpoint=request.id)
        return contract.EndpointShown(await self._one(request.account, request.id))

    async def list(self, request: contract.ListEndpoints) -> contract.Endpoints:
        """The account's endpoints. Raises NotFound when the one asked for is not among them."""
        endpoints = await self._endpoints.shown(request.account, request.id)
        if request.id is not None and not endpoints:
            raise _unknown()
        return contract.Endpoints(endpoints)

    async def delete(self, request: contract.DeleteEndpoint) -> Done:
        """Ends an endpoint with its undelivered events. Raises NotFound."""
        if not await self._endpoints.delete(request.account, request.id):
            raise _unknown()
        log.info("endpoint deleted", account=request.account, endpoint=request.id)
        return Done()

    async def pause(self, request: contract.PauseEndpoint) -> contract.EndpointShown:
        """Sends nothing until it is enabled. Raises Invalid (`invalid_reason`) and NotFound."""
        if not await self._endpoints.pause(request.account, request.id, checks.reason(request.reason)):
            raise _unknown()
        log.info("endpoint paused", account=request.account, endpoint=request.id)
        return contract.EndpointShown(await self._one(request.account, request.id))

    async def enable(self, request: contract.EnableEndpoint) -> contract.EndpointShown:
        """Sends again, with a slow start. Raises NotFound."""
        if not await self._endpoints.enable(request.account, request.id):
            raise _unknown()
        self._wake()
        log.info("endpoint enabled", account=request.account, endpoint=request.id)
        return contract.EndpointShown(await self._one(request.account, request.id))

    async def rotate(self, request: contract.RotateSecret) -> contract.SecretRotated:
        """A new signing secret. Raises Invalid (`invalid_secret`, `invalid_overlap`) and NotFound."""
        secret = new_secret() if request.secret is None else checks.secret(request.secret)
        rotated = await self._endpoints.rotate(
            request.account,
            request.id,
            sealed_secret(self._vault, request.id, secret),
            checks.overlap(request.overlap_s),
        )
        if rotated is None:
            raise _unknown()
        log.info("secret rotated", account=request.account, endpoint=request.id)
        return contract.SecretRotated(secret=secret, older_until=rotated.older_until)

    async def attempt(self, request: contract.TryEndpoint) -> contract.EndpointTried:
        """Posts an example now. Raises Invalid (`invalid_event_type`) and NotFound."""
        endpoint = await self._one(request.account, request.id)
        callee = await self._endpoints.secrets(request.account, request.id)
        if callee is None:
            raise _unknown()
        kept = EXAMPLES[checks.example_type(request.event_type, endpoint.format)]
        # A receiver does nothing on an id that it has seen, and refuses one that is not its header's.
        example = dataclasses.replace(kept, id=uuid.uuid4())
        if endpoint.format == "classic" and isinstance(example.about, InboxFacts):
            body = classic_body(example.about, endpoint.classic)
        else:
            body = v2_body(example)
        target = opened(self._vault, callee)
        headers = target.headers(str(example.id), example.type, body, self._clock()) | {"webhook-attempt": "1"}
        outcome = await self._post(endpoint.url, headers, body)
        shown = {
            name: value for name, value in headers.items() if name not in (*target.extras.headers, "Authorization")
        }
        return contract.EndpointTried(
            url=endpoint.url,
            request_headers=shown,
            body=body.decode(),
            status=outcome.status,
            error=outcome.error,
            detail=outcome.detail,
            duration_ms=outcome.duration_ms,
            response_head=outcome.response_head.decode(errors="replace"),
        )

    async def _one(self, account: int, endpoint: str) -> contract.Endpoint:
        found = await self._endpoints.shown(account, endpoint)
        if not found:
            raise _unknown()
        return found[0]

    async def _extras(self, request: contract.UpdateEndpoint) -> Extras | None:
        """Headers and authentication after the change; None when neither changes."""
        if request.headers is UNSET and request.auth is UNSET:
            return None
        callee = await self._endpoints.secrets(request.account, request.id)
        if callee is None:
            raise _unknown()
        now = opened(self._vault, callee).extras
        return Extras(checks.headers(_or(request.headers, now.headers)), checks.auth(_or(request.auth, now.auth)))


def responders(
    answers: Answers,
    records: Records,
    pages: Pages,
    retention: Callable[[AskRetention], Awaitable[Retention]],
    is_surroundings_error: Callable[[Exception], bool],
) -> list[Responder[Any, Any]]:
    """A responder for each question of the registry that is webhooks'."""
    asked: list[tuple[registry.Rpc[Any, Any], Callable[[Any], Any]]] = [
        (registry.WEBHOOKS_ENDPOINT_CREATE, answers.create),
        (registry.WEBHOOKS_ENDPOINT_LIST, answers.list),
        (registry.WEBHOOKS_ENDPOINT_UPDATE, answers.update),
        (registry.WEBHOOKS_ENDPOINT_DELETE, answers.delete),
        (registry.WEBHOOKS_ENDPOINT_PAUSE, answers.pause),
        (registry.WEBHOOKS_ENDPOINT_ENABLE, answers.enable),
        (registry.WEBHOOKS_ENDPOINT_TEST, answers.attempt),
        (registry.WEBHOOKS_SECRET_ROTATE, answers.rotate),
        (registry.WEBHOOKS_DELIVERY_LIST, records.deliveries),
        (registry.WEBHOOKS_ATTEMPT_LIST, records.attempts),
        (registry.WEBHOOKS_REPLAY_CREATE, records.replay),
        (registry.WEBHOOKS_REPLAY_LIST, records.replays),
        (registry.WEBHOOKS_REPLAY_CANCEL, records.cancel),
        (registry.WEBHOOKS_EVENT_PAGE, pages.page),
        (registry.WEBHOOKS_RETENTION, retention),
    ]
    return [Responder(question, answer, is_surroundings_error) for question, answer in asked]


def _or(given: Value | UnsetType, now: Value) -> Value:
    return now if isinstance(given, UnsetType) else given


def _kind(auth: contract.BasicAuth | contract.BearerAuth | None) -> str | None:
    match auth:
        case contract.BasicAuth():
            return "basic"
        case contract.BearerAuth():
            return "bearer"
    return None


def _unknown() -> NotFound:
    return NotFound("There is no such webhook in this account.")


def _new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
