"""API keys and OAuth2 clients as the pages show them, and what somebody wishes of a new one. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from services.gateway.dashboard.door.forms import Form, is_count
from services.gateway.scopes import SCOPES
from shared.contracts.rpc.auth import Key
from shared.contracts.rpc.clients import Client, EnrolmentKey
from shared.errors import Invalid

DAY_S: Final = 86_400
LIVES_S: Final = {"never": None, "30": 30 * DAY_S, "90": 90 * DAY_S, "365": 365 * DAY_S}
"""How long a new one lives, by what the form calls it."""

OVERLAPS_S: Final = (0, 3600, DAY_S, 7 * DAY_S)
"""How long the secret before a rotation stays valid."""

MAX_RATE: Final = 1_000_000
_SCOPE: Final = "scope."

State = Literal["active", "expired", "revoked"]


class Credential(NamedTuple):
    """A key or a client. `hint` is what may be shown of it; until `old_until` the secret before is valid too."""

    id: str
    name: str
    hint: str
    scopes: list[str]
    created_at: float
    last_used_at: float | None
    expires_at: float | None
    old_until: float | None
    rate_per_minute: int | None
    state: State


class Wish(NamedTuple):
    """A new key or client as it was typed."""

    name: str = ""
    scopes: tuple[str, ...] = ()
    lives: str = "never"
    rate: str = ""

    @property
    def rate_per_minute(self) -> int | None:
        """Requests a minute; None where nothing was typed."""
        return int(self.rate) if self.rate else None


FIRST: Final = Wish(scopes=("sms:send", "sms:read"))
"""What the form proposes."""


def of_key(key: Key, now: float) -> Credential:
    """An API key."""
    return Credential(
        key.id,
        key.name,
        f"{key.prefix}…",
        key.scopes,
        key.created_at,
        key.last_used_at,
        key.expires_at,
        _still(key.old_until, now),
        key.rate_per_minute,
        state_of(key, now),
    )


def of_client(client: Client, now: float) -> Credential:
    """An OAuth2 client."""
    return Credential(
        client.client_id,
        client.name,
        client.client_id,
        client.scopes,
        client.created_at,
        client.last_used_at,
        client.expires_at,
        _still(client.old_until, now),
        client.rate_per_minute,
        state_of(client, now),
    )


def state_of(credential: Key | Client | EnrolmentKey, now: float) -> State:
    """Whether it works at this time (Unix seconds), and else why not."""
    if credential.revoked_at is not None:
        return "revoked"
    return "expired" if credential.expires_at is not None and credential.expires_at <= now else "active"


def wished(form: Form) -> Wish:
    """What the form holds."""
    scopes = tuple(scope for scope in SCOPES if f"{_SCOPE}{scope}" in form)
    return Wish(form.get("name", "").strip(), scopes, form.get("lives", "never"), form.get("rate", "").strip())


def faults(wish: Wish) -> Mapping[str, str]:
    """Codes of what is wrong, by field. A name's own rules are auth's."""
    wrong = {
        # To auth no scope at all would mean every scope.
        "scopes": "" if wish.scopes else "missing_scopes",
        "lives": "" if wish.lives in LIVES_S else "invalid_life",
        "rate": "" if not wish.rate or (is_count(wish.rate, MAX_RATE) and int(wish.rate)) else "invalid_limit",
    }
    return {field: code for field, code in wrong.items() if code}


def overlap_of(form: Form) -> int:
    """For how many seconds the secret before stays valid. Raises Invalid for what the page does not offer."""
    offered = {str(seconds): seconds for seconds in OVERLAPS_S}
    try:
        return offered[form.get("overlap_s", "")]
    except KeyError:
        raise Invalid("There is no such overlap.", code="invalid_overlap") from None


def _still(until: float | None, now: float) -> float | None:
    return until if until is not None and until > now else None
