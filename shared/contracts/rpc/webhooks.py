"""Questions that only webhooks can answer: endpoints."""

from typing import Literal

import msgspec


class CreateEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_create.v1"):
    """A webhook URL of an account. Invalid for a URL that is not http(s) or that may not be called."""

    account: int
    url: str
    format: Literal["classic"] = "classic"
    description: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint as people see it."""

    id: str
    account: int
    url: str
    format: str
    description: str
    enabled: bool
    created_at: float
    pending: int = 0
    delivered: int = 0
    last_error: str | None = None


class EndpointCreated(msgspec.Struct, frozen=True, tag="endpoint_created"):
    """The new endpoint."""

    endpoint: Endpoint


class ListEndpoints(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_list.v1"):
    """The endpoints of an account; `id` set: that one only."""

    account: int
    id: str | None = None


class Endpoints(msgspec.Struct, frozen=True, tag="endpoints"):
    """Endpoints in order of creation."""

    endpoints: list[Endpoint]


class DeleteEndpoint(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.endpoint_delete.v1"):
    """End an endpoint with its undelivered events. NotFound if the account has no such endpoint."""

    account: int
    id: str
