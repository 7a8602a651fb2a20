"""The keys that sign access tokens: which one signs, which are published, when the next one is due. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import structlog
from joserfc.jwk import OKPKey

from shared.contracts.rpc.auth import VerifyingKey
from shared.contracts.rpc.clients import SigningKeyInfo
from shared.security.jwt import new_private_key, public_of, signing_key, verifying_key
from shared.security.vault import Sealed, Unopenable, Vault

log = structlog.get_logger()

MIN_LEAD_S: Final = 600
"""A key is published at least this long before it signs, in seconds."""

LEEWAY_S: Final = 120
"""A key stays published for this long after the last token that it signed has expired, in seconds."""


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A signing key as its row tells it; `signs_from` in Unix seconds."""

    id: str
    sealed: Sealed
    signs_from: float
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An opened signing key."""

    kid: str
    public: bytes
    signing: OKPKey
    verifying: OKPKey
    signs_from: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """When keys change, in seconds: each signs for `period_s`; tokens live for `token_ttl_s`."""

    period_s: float
    token_ttl_s: float

    @property
    def lead_s(self) -> float:
        """How long a key is published before it signs: every token verifier has seen it by then."""
        return max(self.token_ttl_s, MIN_LEAD_S)

    def next_from(self, newest: float | None, now: float) -> float | None:
        """When the key that is to be made now will sign; None when none is due.

        `newest` is when the newest key began or will begin to sign. The first key signs at once.
        """
        if newest is None:
            return now
        begins = newest + self.period_s
        return max(begins, now + self.lead_s) if begins - self.lead_s <= now else None

    def kept_until(self, successor_from: float) -> float:
        """How long a key stays published whose successor signs from then on."""
        return successor_from + self.token_ttl_s + LEEWAY_S


def about(kid: str) -> str:
    """What a sealed key is bound to: its row and column."""
    return f"signing_keys.box {kid}"


def new_key(vault: Vault, kid: str) -> Sealed:
    """A new private key, sealed."""
    return vault.seal(new_private_key(), about(kid))


class Keyring:
    """The opened keys. A key of the table that cannot be opened is neither used nor published."""

    def __init__(self, vault: Vault, schedule: Schedule) -> None:
        """`vault` opens what `schedule` puts to use."""
        self._vault = vault
        self._schedule = schedule
        self._keys: dict[str, SigningKey] = {}
        self.unopened: set[str] = set()

    def take(self, rows: Iterable[SealedKey]) -> None:
        """Takes in new rows and lets go of withdrawn ones."""
        for row in rows:
            if row.withdrawn:
                self._keys.pop(row.id, None)
                self.unopened.discard(row.id)
            elif row.id not in self._keys:
                self._open(row)

    def _open(self, row: SealedKey) -> None:
        try:
            private = self._vault.open(row.sealed, about(row.id))
        except Unopenable as error:
            log.error("a signing key cannot be opened", kid=row.id, error=str(error))
            self.unopened.add(row.id)
            return
        public = public_of(private)
        self.unopened.discard(row.id)
        self._keys[row.id] = SigningKey(row.id, public, signing_key(private), verifying_key(public), row.signs_from)

    def signer(self, now: float) -> SigningKey | None:
        """The key that signs at `now`: of those whose time has come, the newest; None when there is no key.

        The only key signs also a little before its time, because clocks differ.
        """
        begun = [key for key in self._keys.values() if key.signs_from <= now]
        return max(begun, key=_age) if begun else min(self._keys.values(), key=_age, default=None)

    def verifying(self, now: float) -> dict[str, OKPKey]:
        """The published keys by kid."""
        return {key.kid: key.verifying for key in self._living(now)}

    def published(self, now: float) -> list[VerifyingKey]:
        """Every key that a living token may be signed with, and those that are about to sign."""
        return [VerifyingKey(kid=key.kid, public=key.public) for key in self._living(now)]

    def infos(self, now: float) -> list[SigningKeyInfo]:
        """The published keys as people see them."""
        signer = self.signer(now)

        def state(key: SigningKey) -> Literal["waits", "signs", "kept"]:
            if key is signer:
                return "signs"
            return "waits" if key.signs_from > now else "kept"

        return [SigningKeyInfo(kid=key.kid, signs_from=key.signs_from, state=state(key)) for key in self._living(now)]

    def _living(self, now: float) -> list[SigningKey]:
        ordered = sorted(self._keys.values(), key=_age)
        return [
            key
            for key, successor in zip(ordered, [*ordered[1:], None], strict=False)
            if successor is None or now <= self._schedule.kept_until(successor.signs_from)
        ]


def _age(key: SigningKey) -> tuple[float, str]:
    return key.signs_from, key.kid
