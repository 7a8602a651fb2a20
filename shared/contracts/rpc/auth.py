"""Questions that only auth can answer: credentials, accounts, keys."""

from typing import Literal

import msgspec

from shared.contracts.rpc.audit import OPERATOR, Actor
from shared.contracts.rpc.listing import Listing

CredentialKind = Literal["api_key", "enrolment_key", "device_token", "client", "user"]


class Verify(msgspec.Struct, frozen=True, tag="auth.verify.v1"):
    """Who is behind this credential? `digest` is its SHA-256; the credential itself does not travel.

    A `client` is asked for by the SHA-256 of its client_id, by a gateway that has verified a token which names it; a
    `user` by the digest of a session that a gateway has found (`people.session_digest`).
    """

    kind: CredentialKind
    digest: bytes


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag="verdict"):
    """`account` is None for an unknown, revoked or expired credential.

    `active` is False for a suspended account. `subject` names the credential (key id, device id). `epoch` is how far
    the answering replica has followed `auth.changed`. `rate_per_minute` (requests of this key), `max_parts` (of one
    message) and `daily_sends` (messages of the account) are None where there is no limit; `region` is the ISO 3166
    code that national numbers are read by.
    """

    epoch: int
    account: int | None = None
    subject: str = ""
    scopes: list[str] = msgspec.field(default_factory=list)
    active: bool = True
    time_zone: str = "UTC"
    region: str | None = None
    max_parts: int | None = None
    rate_per_minute: int | None = None
    daily_sends: int | None = None


class Enrol(msgspec.Struct, frozen=True, kw_only=True, tag="auth.enrol.v1"):
    """Make a device from an enrolment key (by digest), or give the device that a spent one made a new token.

    `address` is where the phone calls from, for the audit log.
    """

    digest: bytes
    address: str = ""


class Enrolled(msgspec.Struct, frozen=True, kw_only=True, tag="enrolled"):
    """The device that the key stands for. `token` is shown once; `approved` False: it leases nothing yet."""

    account: int
    device: str
    token: str
    approved: bool


class CreateAccount(msgspec.Struct, frozen=True, kw_only=True, tag="auth.account_create.v1"):
    """A new account with an API key of every scope and a reusable enrolment key. Conflict: the name is taken."""

    name: str
    time_zone: str = "UTC"
    actor: Actor = OPERATOR


class AccountCreated(msgspec.Struct, frozen=True, kw_only=True, tag="account_created"):
    """Both credentials are shown here and never again."""

    account: int
    name: str
    api_key: str
    enrolment_key: str


class SetSettings(msgspec.Struct, frozen=True, kw_only=True, tag="auth.settings_set.v1"):
    """Change what an account's own people may change of it.

    None leaves a setting as it is; 0 or an empty text takes a limit or the region away. In quiet hours (such as
    `22:00-07:00`, by the account's time zone) nothing goes out, but for urgent messages where `quiet_urgent`.
    """

    account: int
    time_zone: str | None = None
    region: str | None = None
    max_parts: int | None = None
    rate_per_minute: int | None = None
    daily_sends: int | None = None
    quiet: str | None = None
    quiet_urgent: bool | None = None
    actor: Actor = OPERATOR


class SetAccount(SetSettings, frozen=True, kw_only=True, tag="auth.account_set.v1"):
    """Change anything of an account: a suspended one's requests are refused, and its waiting messages are held."""

    status: Literal["active", "suspended"] | None = None


class ListAccounts(msgspec.Struct, frozen=True, tag="auth.account_list.v1"):
    """All accounts of the installation."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as people see it."""

    id: int
    name: str
    status: str
    time_zone: str
    created_at: float
    region: str | None = None
    max_parts: int | None = None
    rate_per_minute: int | None = None
    daily_sends: int | None = None
    quiet: str | None = None
    quiet_urgent: bool = True


class Accounts(msgspec.Struct, frozen=True, tag="accounts"):
    """Accounts in order of creation."""

    accounts: list[Account]


class ShowAccount(msgspec.Struct, frozen=True, tag="auth.account_show.v1"):
    """One account. NotFound if there is none of this number."""

    account: int


class AccountShown(msgspec.Struct, frozen=True, tag="account_shown"):
    """An account as it is now."""

    account: Account


class CreateKey(msgspec.Struct, frozen=True, kw_only=True, tag="auth.key_create.v1"):
    """A new API key. An empty list of scopes means every scope; no rate of its own, the account's.

    `lives_s` (seconds) None: it never expires.
    """

    account: int
    name: str
    scopes: list[str] = msgspec.field(default_factory=list)
    rate_per_minute: int | None = None
    lives_s: int | None = None
    actor: Actor = OPERATOR


class KeyCreated(msgspec.Struct, frozen=True, kw_only=True, tag="key_created"):
    """The key is shown here and never again."""

    id: str
    api_key: str


class ListKeys(Listing, frozen=True, tag="auth.key_list.v1"):
    """The API keys of an account, a page at a time or one alone. NotFound if there is no such account."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as people see it: never its secret, but its first characters.

    `last_used_at` is right to a minute or so. `old_until`: how long the key before the last rotation stays valid.
    """

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: float
    revoked_at: float | None
    rate_per_minute: int | None = None
    expires_at: float | None = None
    last_used_at: float | None = None
    old_until: float | None = None


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """Keys, the newest first. `before` asks for the next page; None: there is nothing older."""

    keys: list[Key]
    before: str | None = None


class RevokeKey(msgspec.Struct, frozen=True, kw_only=True, tag="auth.key_revoke.v1"):
    """End an API key at once. NotFound if the account has no such key."""

    account: int
    id: str
    actor: Actor = OPERATOR


class RotateKey(msgspec.Struct, frozen=True, kw_only=True, tag="auth.key_rotate.v1"):
    """A new secret under the same id; the one before stays valid for `overlap_s` seconds. NotFound if it has ended."""

    account: int
    id: str
    overlap_s: int = 0
    actor: Actor = OPERATOR


class RevokeDevice(msgspec.Struct, frozen=True, kw_only=True, tag="auth.device_revoke.v1"):
    """End a device's token, and the single-use enrolment key that made it. NotFound if there is no such device."""

    account: int
    device: str
    actor: Actor = OPERATOR


class IssueToken(msgspec.Struct, frozen=True, kw_only=True, tag="auth.token_issue.v1"):
    """An access token for this client (RFC 6749, 4.4). `secret` is the SHA-256 of what the client showed.

    `scope` is what it asked for, space-separated; None for all that the client has. `address` goes into the audit log
    of refusals. Refused with `invalid_client`, `invalid_scope`, or `unauthorized_client` for a suspended account.
    """

    client_id: str
    secret: bytes
    scope: str | None
    address: str


class TokenIssued(msgspec.Struct, frozen=True, kw_only=True, tag="token_issued"):
    """A JWT as in RFC 9068, how many seconds it lives, and what it allows, space-separated."""

    access_token: str
    expires_in: int
    scope: str


class IntrospectToken(msgspec.Struct, frozen=True, kw_only=True, tag="auth.token_introspect.v1"):
    """What is this token worth? (RFC 7662.) Asked by a client, of tokens of its own account.

    Refused with `invalid_client`.
    """

    client_id: str
    secret: bytes
    token: str


class TokenFacts(msgspec.Struct, frozen=True, kw_only=True, tag="token_facts", omit_defaults=True):
    """RFC 7662, 2.2: an inactive token has no other facts. Times are Unix seconds."""

    active: bool
    scope: str | None = None
    client_id: str | None = None
    token_type: str | None = None
    sub: str | None = None
    aud: str | None = None
    iss: str | None = None
    jti: str | None = None
    iat: int | None = None
    exp: int | None = None


class RevokeToken(msgspec.Struct, frozen=True, kw_only=True, tag="auth.token_revoke.v1"):
    """End this token at once (RFC 7009); a token that is unknown or another client's is passed over.

    Refused with `invalid_client`.
    """

    client_id: str
    secret: bytes
    token: str


class AskTrust(msgspec.Struct, frozen=True, tag="auth.trust.v1"):
    """What a gateway needs to verify access tokens by itself; `since` leaves out revocations up to that epoch."""

    since: int = 0


class VerifyingKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that access tokens are verified with: its id and the 32 bytes of an Ed25519 public key."""

    kid: str
    public: bytes


class RevokedToken(msgspec.Struct, frozen=True, array_like=True):
    """A token that ended before its time; `expires_at` (Unix seconds) is when it may be forgotten."""

    jti: str
    expires_at: int


class Trust(msgspec.Struct, frozen=True, kw_only=True, tag="trust"):
    """As of `epoch`: every key that a living token may be signed with, and the revoked tokens that still live."""

    epoch: int
    issuer: str
    keys: list[VerifyingKey]
    revoked: list[RevokedToken]


class AuthChanged(msgspec.Struct, frozen=True, tag="auth.changed.v1"):
    """Broadcast on core NATS after each change and every 500 ms: how far auth's state has grown."""

    epoch: int
