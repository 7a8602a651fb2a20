"""Questions about what lets programs and phones in besides API keys: OAuth2 clients, enrolment and signing keys."""

from typing import Literal

import msgspec

from shared.contracts.rpc.audit import OPERATOR, Actor
from shared.contracts.rpc.listing import Listing


class CreateClient(msgspec.Struct, frozen=True, kw_only=True, tag="auth.client_create.v1"):
    """A new OAuth2 client. No scopes: every scope. `lives_s` (seconds) None: it never expires."""

    account: int
    name: str
    scopes: list[str] = msgspec.field(default_factory=list)
    lives_s: int | None = None
    rate_per_minute: int | None = None
    actor: Actor = OPERATOR


class ClientCreated(msgspec.Struct, frozen=True, kw_only=True, tag="client_created"):
    """32 hex characters, and 64 that are shown here and never again."""

    client_id: str
    client_secret: str


class RotateClient(msgspec.Struct, frozen=True, kw_only=True, tag="auth.client_rotate.v1"):
    """A new secret; the one before stays valid for `overlap_s` seconds. NotFound for one that has ended.

    Tokens that were issued go on: end them with the client, or one by one.
    """

    account: int
    client_id: str
    overlap_s: int = 0
    actor: Actor = OPERATOR


class RevokeClient(msgspec.Struct, frozen=True, kw_only=True, tag="auth.client_revoke.v1"):
    """End a client, and with it all its tokens, at once. NotFound if the account has no such client."""

    account: int
    client_id: str
    actor: Actor = OPERATOR


class ListClients(Listing, frozen=True, tag="auth.client_list.v1"):
    """The OAuth2 clients of an account, a page at a time or one alone; `id` and `before` are a client_id.

    NotFound if there is no such account.
    """


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """An OAuth2 client as people see it. `old_until`: how long the secret before the last rotation stays valid."""

    client_id: str
    name: str
    scopes: list[str]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    old_until: float | None
    rate_per_minute: int | None


class Clients(msgspec.Struct, frozen=True, tag="clients"):
    """Clients, the newest first. `before` asks for the next page; None: there is nothing older."""

    clients: list[Client]
    before: str | None = None


class CreateEnrolmentKey(msgspec.Struct, frozen=True, kw_only=True, tag="auth.enrolment_create.v1"):
    """A new enrolment key: for one phone and one hour, unless it says otherwise. `lives_s` None: it never expires.

    What a `multi` key lets in leases nothing until it is approved, or at once where the key says `approve`.
    """

    account: int
    multi: bool = False
    approve: bool = False
    lives_s: int | None = 3600
    actor: Actor = OPERATOR


class EnrolmentKeyCreated(msgspec.Struct, frozen=True, kw_only=True, tag="enrolment_key_created"):
    """64 hex characters that are shown here and never again."""

    id: str
    enrolment_key: str
    expires_at: float | None


class RevokeEnrolmentKey(msgspec.Struct, frozen=True, kw_only=True, tag="auth.enrolment_revoke.v1"):
    """Let nobody in with this key any more; who is in stays. NotFound if the account has no such key."""

    account: int
    id: str
    actor: Actor = OPERATOR


class ListEnrolmentKeys(Listing, frozen=True, tag="auth.enrolment_list.v1"):
    """The enrolment keys of an account, a page at a time or one alone. NotFound if there is no such account.

    One that a phone is bound to has not ended, however old it is.
    """


class EnrolmentKey(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment key as people see it; `device` is the phone that a spent single-use key stands for."""

    id: str
    multi: bool
    approve: bool
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    device: str | None
    devices: int


class EnrolmentKeys(msgspec.Struct, frozen=True, tag="enrolment_keys"):
    """Enrolment keys, the newest first. `before` asks for the next page; None: there is nothing older."""

    keys: list[EnrolmentKey]
    before: str | None = None


class RotateSigning(msgspec.Struct, frozen=True, kw_only=True, tag="auth.signing_rotate.v1"):
    """A new key for signing access tokens, published ahead of its first signature.

    `at_once`, after a leak: it signs now, and whatever older keys have signed is worth nothing any more.
    """

    at_once: bool = False
    actor: Actor = OPERATOR


class ListSigning(msgspec.Struct, frozen=True, tag="auth.signing_list.v1"):
    """The keys that living tokens may be signed with."""


class SigningKeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key, never its private half: it waits, signs, or is kept for the tokens that it signed."""

    kid: str
    signs_from: float
    state: Literal["waits", "signs", "kept"]


class SigningKeys(msgspec.Struct, frozen=True, tag="signing_keys"):
    """Published keys, in the order in which they sign."""

    keys: list[SigningKeyInfo]
