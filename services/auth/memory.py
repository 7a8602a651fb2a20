"""What every active credential is worth, as of one epoch; grown by changes, never read again as a whole. Pure."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from services.auth.signing import Keyring, SealedKey
from shared.contracts.rpc.auth import CredentialKind, RevokedToken, Trust, Verdict
from shared.security.secrets import digest

LEEWAY_S = 120
"""A revoked token is remembered for this long after its end, because clocks differ, in seconds."""


@dataclass(frozen=True, slots=True)
class Account:
    """What an account's credentials have in common."""

    id: int
    active: bool = True
    time_zone: str = "UTC"
    region: str | None = None
    max_parts: int | None = None
    rate_per_minute: int | None = None
    daily_sends: int | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as its row tells it; times in Unix seconds. `old_digest` is valid until `old_until`."""

    kind: CredentialKind
    id: str
    account: int
    digest: bytes
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    old_digest: bytes | None = None
    old_until: float | None = None
    rate_per_minute: int | None = None
    ended: bool = False

    def lives(self, now: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return not self.ended and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Revoked:
    """A token that ended before its time, with the epoch that it ended in."""

    jti: str
    expires_at: int
    epoch: int


@dataclass(frozen=True)
class Changes:
    """Rows that changed up to an epoch."""

    epoch: int
    accounts: list[Account] = field(default_factory=list)
    credentials: list[Credential] = field(default_factory=list)
    signing: list[SealedKey] = field(default_factory=list)
    revoked: list[Revoked] = field(default_factory=list)

    def __len__(self) -> int:
        """How many rows were read."""
        return len(self.accounts) + len(self.credentials) + len(self.signing) + len(self.revoked)


class _Shown(NamedTuple):
    """What a digest stands for, and until when if the credential has a newer one."""

    credential: Credential
    until: float | None


class Memory:
    """Answers for one installation."""

    def __init__(self, keyring: Keyring) -> None:
        """Knows nothing yet. `keyring` opens the signing keys."""
        self.epoch = 0
        self.keyring = keyring
        self._accounts: dict[int, Account] = {}
        self._credentials: dict[tuple[CredentialKind, str], Credential] = {}
        self._shown: dict[tuple[CredentialKind, bytes], _Shown] = {}
        self._revoked: dict[str, Revoked] = {}

    def apply(self, changes: Changes) -> None:
        """Takes the rows in: a row replaces what was known of it."""
        for account in changes.accounts:
            self._accounts[account.id] = account
        for credential in changes.credentials:
            self._replace(credential)
        self.keyring.take(changes.signing)
        for revoked in changes.revoked:
            self._revoked[revoked.jti] = revoked
        self.epoch = changes.epoch

    def forget(self, now: float) -> None:
        """Lets go of what can have no effect any more."""
        over = [each.jti for each in self._revoked.values() if each.expires_at + LEEWAY_S < now]
        for jti in over:
            del self._revoked[jti]

    def verdict(self, kind: CredentialKind, shown: bytes, now: float) -> Verdict:
        """Who is behind the credential at `now` (Unix seconds); `account` is None when nobody is."""
        found = self._shown.get((kind, shown))
        if found is None or not found.credential.lives(now) or (found.until is not None and found.until <= now):
            return Verdict(epoch=self.epoch)
        known, account = found.credential, self._accounts[found.credential.account]
        return Verdict(
            epoch=self.epoch,
            account=account.id,
            subject=known.id,
            scopes=list(known.scopes),
            active=account.active,
            time_zone=account.time_zone,
            region=account.region,
            max_parts=account.max_parts,
            rate_per_minute=known.rate_per_minute or account.rate_per_minute,
            daily_sends=account.daily_sends,
        )

    def client(self, client_id: str, now: float) -> Credential | None:
        """The living client of this id."""
        known = self._credentials.get(("client", client_id))
        return known if known is not None and known.lives(now) else None

    def is_active(self, account: int) -> bool:
        """Whether the account exists and is not suspended."""
        known = self._accounts.get(account)
        return known is not None and known.active

    def is_revoked(self, jti: str) -> bool:
        """Whether the token of this id ended before its time."""
        return jti in self._revoked

    def trust(self, issuer: str, since: int, now: float) -> Trust:
        """What a gateway verifies tokens with; revocations after the epoch `since`, or all if it is ahead of ours."""
        after = since if since <= self.epoch else 0
        return Trust(
            epoch=self.epoch,
            issuer=issuer,
            keys=self.keyring.published(now),
            revoked=[RevokedToken(each.jti, each.expires_at) for each in self._revoked.values() if each.epoch > after],
        )

    def _replace(self, credential: Credential) -> None:
        name = (credential.kind, credential.id)
        if (former := self._credentials.pop(name, None)) is not None:
            for shown, _ in _digests(former):
                del self._shown[former.kind, shown]
        if not credential.ended:
            self._credentials[name] = credential
            for shown, until in _digests(credential):
                self._shown[credential.kind, shown] = _Shown(credential, until)


def has_secret(client: Credential, secret: bytes, now: float) -> bool:
    """Whether `secret` (SHA-256) is the client's, or the one before it while that is still valid."""
    current = hmac.compare_digest(client.digest, secret)
    former = client.old_digest is not None and hmac.compare_digest(client.old_digest, secret)
    return current or (former and client.old_until is not None and now < client.old_until)


def _digests(credential: Credential) -> Iterator[tuple[bytes, float | None]]:
    # A client is asked for by its id: the gateway that asks has a token in its hands, not the secret.
    if credential.kind == "client":
        yield digest(credential.id), None
        return
    yield credential.digest, None
    if credential.old_digest is not None and credential.old_until is not None:
        yield credential.old_digest, credential.old_until
