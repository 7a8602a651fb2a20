"""Answers the questions of `rpc.webhooks.*`: endpoints made, listed and ended."""

import secrets
import string
from collections.abc import Callable
from typing import Any

import structlog

from services.webhooks.store import Store
from services.webhooks.targets import Guard
from shared.bus.rpc import Responder
from shared.contracts import registry
from shared.contracts.rpc.answers import Done
from shared.contracts.rpc.webhooks import CreateEndpoint, DeleteEndpoint, EndpointCreated, Endpoints, ListEndpoints
from shared.errors import Invalid, NotFound
from shared.model.storable import is_storable

log = structlog.get_logger()

MAX_DESCRIPTION_CHARS = 256

_ID_ALPHABET = string.ascii_letters + string.digits


class Answers:
    """One method a question."""

    def __init__(self, store: Store, guard: Guard) -> None:
        """`guard` says which URLs may be called."""
        self._store = store
        self._guard = guard

    async def create(self, request: CreateEndpoint) -> EndpointCreated:
        """A new endpoint. Raises Invalid (`invalid_url`, `invalid_description`), NotFound for an unknown account."""
        url = self._guard.checked_url(request.url)
        description = request.description.strip()
        if len(description) > MAX_DESCRIPTION_CHARS or not is_storable(description):
            raise Invalid(f"A description has at most {MAX_DESCRIPTION_CHARS} characters.", code="invalid_description")
        made = await self._store.create_endpoint(_new_id(), request.account, url, request.format, description)
        if made is None:
            raise NotFound("There is no such account.")
        log.info("endpoint created", account=made.account, endpoint=made.id)
        return EndpointCreated(made)

    async def list(self, request: ListEndpoints) -> Endpoints:
        """The account's endpoints. Raises NotFound when the one asked for is not among them."""
        endpoints = await self._store.endpoints(request.account, request.id)
        if request.id is not None and not endpoints:
            raise NotFound("There is no such webhook in this account.")
        return Endpoints(endpoints)

    async def delete(self, request: DeleteEndpoint) -> Done:
        """Ends an endpoint with its undelivered events. Raises NotFound."""
        if not await self._store.delete_endpoint(request.account, request.id):
            raise NotFound("There is no such webhook in this account.")
        log.info("endpoint deleted", account=request.account, endpoint=request.id)
        return Done()


def responders(answers: Answers, is_surroundings_error: Callable[[Exception], bool]) -> list[Responder[Any, Any]]:
    """A responder for each question of the registry that is webhooks'."""
    return [
        Responder(registry.WEBHOOKS_ENDPOINT_CREATE, answers.create, is_surroundings_error),
        Responder(registry.WEBHOOKS_ENDPOINT_LIST, answers.list, is_surroundings_error),
        Responder(registry.WEBHOOKS_ENDPOINT_DELETE, answers.delete, is_surroundings_error),
    ]


def _new_id() -> str:
    return "wh_" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
