"""What a credential is worth by what is in memory, and the rules for names and scopes. Pure."""

import secrets
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from shared.contracts.rpc.auth import Verdict
from shared.errors import Invalid
from shared.model.storable import is_storable

Kind = Literal["api_key", "enrolment_key", "device_token"]

SCOPES: Final = (
    "sms:send",
    "sms:read",
    "sms:delete",
    "devices:read",
    "devices:manage",
    "webhooks:manage",
    "account:manage",
)
"""Everything that an API key can be allowed to do."""

MAX_NAME_CHARS: Final = 64
MAX_LIMIT: Final = 1_000_000

PREFIX_CHARS: Final = 6
"""How much of an API key is kept in the clear, so that its owner can tell it from the others."""

_ID_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Credential:
    """An active credential and whose it is. `expires_at`: Unix seconds, None for never."""

    kind: Kind
    digest: bytes
    account: int
    subject: str
    scopes: tuple[str, ...]
    expires_at: float | None
    active: bool
    time_zone: str
    region: str | None
    max_parts: int | None = None
    rate_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every active credential as of one epoch."""

    epoch: int = 0
    credentials: dict[tuple[Kind, bytes], Credential] = field(default_factory=dict)

    def verdict(self, kind: Kind, digest: bytes, now: float) -> Verdict:
        """Who is behind the credential at `now` (Unix seconds); `account` is None when nobody is."""
        known = self.credentials.get((kind, digest))
        if known is None or (known.expires_at is not None and known.expires_at <= now):
            return Verdict(epoch=self.epoch)
        return Verdict(
            epoch=self.epoch,
            account=known.account,
            subject=known.subject,
            scopes=list(known.scopes),
            active=known.active,
            time_zone=known.time_zone,
            region=known.region,
            max_parts=known.max_parts,
            rate_per_minute=known.rate_per_minute,
        )


def snapshot(epoch: int, credentials: Iterable[Credential]) -> Snapshot:
    """The snapshot of these credentials."""
    return Snapshot(epoch, {(each.kind, each.digest): each for each in credentials})


def new_id(prefix: str) -> str:
    """A short public id such as `key_` and 12 letters or digits (71 random bits)."""
    return f"{prefix}_{''.join(secrets.choice(_ID_ALPHABET) for _ in range(12))}"


def checked_name(name: str) -> str:
    """The name without surrounding blanks, 1 to 64 printable characters. Raises Invalid (`invalid_name`)."""
    stripped = name.strip()
    if not 1 <= len(stripped) <= MAX_NAME_CHARS or not stripped.isprintable() or not is_storable(stripped):
        raise Invalid(f"A name has 1 to {MAX_NAME_CHARS} printable characters.", code="invalid_name")
    return stripped


def checked_scopes(scopes: Sequence[str]) -> list[str]:
    """The scopes to store: all of them for an empty list, each once. Raises Invalid (`invalid_scope`)."""
    for scope in scopes:
        if scope not in SCOPES:
            known = ", ".join(SCOPES)
            raise Invalid(f"There is no scope {scope[:40]!r}; there are {known}.", code="invalid_scope")
    return [scope for scope in SCOPES if not scopes or scope in scopes]


def checked_time_zone(name: str) -> str:
    """The IANA time zone's name. Raises Invalid (`invalid_time_zone`)."""
    if name == "UTC":
        return name
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"There is no time zone {name[:40]!r}.", code="invalid_time_zone") from error
    return name


def checked_region(code: str) -> str:
    """The two capital letters of an ISO 3166 region, or "". Raises Invalid (`invalid_region`)."""
    if code and not (len(code) == 2 and code.isascii() and code.isalpha()):
        raise Invalid("A region is two letters, such as FR.", code="invalid_region")
    return code.upper()


def checked_limit(limit: int) -> int:
    """The limit, 0 for none. Raises Invalid (`invalid_limit`)."""
    if not 0 <= limit <= MAX_LIMIT:
        raise Invalid(f"A limit is a number from 0 (none) to {MAX_LIMIT}.", code="invalid_limit")
    return limit
