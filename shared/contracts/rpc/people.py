"""Questions about the people of an account: users, their passwords and sign-in links."""

import hashlib
from typing import Literal

import msgspec

from shared.contracts.rpc.audit import OPERATOR, Actor

Role = Literal["owner", "member", "viewer"]


class Discreet(msgspec.Struct, frozen=True):
    """A request with a password in it: what is printed of it is its name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class CreateUser(Discreet, frozen=True, kw_only=True, tag="auth.user_create.v1"):
    """A new user, who signs in by links only where there is no password. Conflict (`login_taken`)."""

    account: int
    login: str
    role: Role = "member"
    password: str | None = None
    actor: Actor = OPERATOR


class SetUser(msgspec.Struct, frozen=True, kw_only=True, tag="auth.user_set.v1"):
    """Change a user's role, or disable or enable them; None leaves it as it is. NotFound in another account.

    Conflict (`last_owner`) when nobody would be left who may manage the account. Who is disabled is signed out.
    """

    account: int
    id: str
    role: Role | None = None
    disabled: bool | None = None
    actor: Actor = OPERATOR


class SetPassword(Discreet, frozen=True, kw_only=True, tag="auth.user_set_password.v1"):
    """Give a user another password, and sign them out everywhere.

    Invalid (`invalid_password`) says which rule it breaks.
    """

    account: int
    id: str
    password: str
    actor: Actor = OPERATOR


class ChangePassword(Discreet, frozen=True, kw_only=True, tag="auth.password_change.v1"):
    """Give oneself another password, which ends all sessions; `present` is the one that it replaces, if there is one.

    Forbidden where that is wrong, and Conflict (`slow_down`) as with CheckUser; Invalid (`invalid_password`); NotFound
    for a user who may not sign in.
    """

    account: int
    id: str
    present: str
    password: str
    actor: Actor


class SignOutUser(msgspec.Struct, frozen=True, kw_only=True, tag="auth.user_sign_out.v1"):
    """End a user's sessions, wherever they are. NotFound in another account."""

    account: int
    id: str
    actor: Actor = OPERATOR


class ListUsers(msgspec.Struct, frozen=True, tag="auth.user_list.v1"):
    """The users of an account."""

    account: int


class User(msgspec.Struct, frozen=True, kw_only=True, tag="user"):
    """A user as people see them. `generation` grows whenever all sessions of before end."""

    id: str
    account: int
    login: str
    role: Role
    disabled: bool
    has_password: bool
    created_at: float
    last_sign_in_at: float | None
    generation: int = 1


class Users(msgspec.Struct, frozen=True, tag="users"):
    """Users in order of creation."""

    users: list[User]


class CheckUser(Discreet, frozen=True, kw_only=True, tag="auth.user_check.v1"):
    """Who signs in with this login and password? Forbidden when nobody does, whatever the reason.

    Conflict (`slow_down`) after several failures of this login, whether or not anybody has it.
    """

    login: str
    password: str
    address: str


class CreateLink(msgspec.Struct, frozen=True, kw_only=True, tag="auth.link_create.v1"):
    """A link that signs a user in: once, within ten minutes. NotFound in another account."""

    account: int
    id: str
    actor: Actor = OPERATOR


class LinkCreated(msgspec.Struct, frozen=True, kw_only=True, tag="link_created"):
    """64 hex characters that are shown here and never again."""

    token: str
    expires_at: float


class UseLink(msgspec.Struct, frozen=True, kw_only=True, tag="auth.link_use.v1"):
    """Who signs in with this link (the SHA-256 of its token)? Forbidden when nobody does, whatever the reason."""

    digest: bytes
    address: str


def session_digest(user: str, generation: int) -> bytes:
    """What `Verify` asks about a user's session (kind `user`): 32 bytes, nobody's once the user's generation grew."""
    return hashlib.sha256(f"{user}.{generation}".encode()).digest()
