"""API keys and OAuth2 clients are made, shown and ended alike: here is all that their pages must know apart."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from services.gateway.dashboard.account import samples
from services.gateway.dashboard.account.credentials import Credential, of_client, of_key
from shared.contracts import registry
from shared.contracts.registry import Rpc
from shared.contracts.rpc.auth import KeyCreated
from shared.contracts.rpc.clients import ClientCreated


class Made(NamedTuple):
    """What is shown once, and the credential that the lines of code hold."""

    id: str
    secret: str
    credential: samples.Key | samples.Client


class Kind(NamedTuple):
    """The questions of auth about one kind, and how their answers are read."""

    name: str
    path: str
    revoked: str
    """The sentence that says so."""
    id: str
    """What the questions call its id."""
    listing: Rpc[Any, Any]
    create: Rpc[Any, Any]
    rotate: Rpc[Any, Any]
    revoke: Rpc[Any, Any]
    rows: Callable[[Any, float], list[Credential]]
    """Of an answer, as of a time (Unix seconds)."""
    made: Callable[[Any], Made]
    unknown: Callable[[str], samples.Key | samples.Client]
    """The one of this id in lines of code, where its secret is not known any more."""


def _made_key(made: KeyCreated) -> Made:
    return Made(made.id, made.api_key, samples.Key(made.api_key))


def _made_client(made: ClientCreated) -> Made:
    return Made(made.client_id, made.client_secret, samples.Client(made.client_id, made.client_secret))


KEY: Final = Kind(
    name="key",
    path="/keys",
    revoked="keys.notice.revoked",
    id="id",
    listing=registry.AUTH_KEY_LIST,
    create=registry.AUTH_KEY_CREATE,
    rotate=registry.AUTH_KEY_ROTATE,
    revoke=registry.AUTH_KEY_REVOKE,
    rows=lambda found, now: [of_key(each, now) for each in found.keys],
    made=_made_key,
    unknown=lambda _: samples.Key(),
)
CLIENT: Final = Kind(
    name="client",
    path="/keys/clients",
    revoked="keys.notice.client_revoked",
    id="client_id",
    listing=registry.AUTH_CLIENT_LIST,
    create=registry.AUTH_CLIENT_CREATE,
    rotate=registry.AUTH_CLIENT_ROTATE,
    revoke=registry.AUTH_CLIENT_REVOKE,
    rows=lambda found, now: [of_client(each, now) for each in found.clients],
    made=_made_client,
    unknown=samples.Client,
)
