"""Who did what: the actor that every change names, and the log of changes."""

from typing import Any

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """Who asks for a change (`operator`, or the id of a key, client or user), and from where (`local`: here)."""

    who: str
    address: str


OPERATOR = Actor("operator", "local")


class ListAudit(msgspec.Struct, frozen=True, kw_only=True, tag="auth.audit_list.v1"):
    """The newest changes, at most 1000: of one account or of all, and with `before` those older than that id."""

    account: int | None = None
    limit: int = 100
    before: int | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change, such as `key.create` of `key_...`; `account` is None where the installation changed."""

    id: int
    at: float
    account: int | None
    who: str
    address: str
    verb: str
    subject: str
    detail: dict[str, Any]


class AuditLog(msgspec.Struct, frozen=True, tag="audit_log"):
    """Changes, the newest first."""

    entries: list[AuditEntry]


class PageAudit(msgspec.Struct, frozen=True, kw_only=True, tag="auth.audit_page.v1"):
    """The newest changes of one account, at most 200; with `before` those older than that id.

    `who` and `verb` leave out all others.
    """

    account: int
    limit: int = 50
    before: int | None = None
    who: str | None = None
    verb: str | None = None


class AuditPage(msgspec.Struct, frozen=True, kw_only=True, tag="audit_page"):
    """Changes, the newest first. `before` asks for the next page; None: there is nothing older.

    Of those that a filter leaves out only so many are looked at for one page, so a page may be short, or empty, and
    have others behind it. `names` tells by id what the users, keys and clients on the page are called.
    """

    entries: list[AuditEntry]
    before: int | None
    names: dict[str, str] = msgspec.field(default_factory=dict)
