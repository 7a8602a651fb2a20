"""The page of who did what: the account's audit log in words, the newest first."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from litestar import Response, get
from litestar.di import NamedDependency

from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.languages import Words
from services.gateway.dashboard.frame.pages import Pages, Writing, link
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.audit import AuditEntry, PageAudit
from shared.contracts.rpc.people import ListUsers, User
from shared.errors import NotFound

OPERATOR: Final = "operator"

VERBS: Final = (
    "user.sign_in",
    "user.sign_out",
    "user.create",
    "user.set",
    "user.set_password",
    "link.create",
    "key.create",
    "key.rotate",
    "key.revoke",
    "client.create",
    "client.rotate",
    "client.revoke",
    "token.revoke",
    "token.refused",
    "enrolment.create",
    "enrolment.revoke",
    "device.enrol",
    "device.revoke",
    "account.create",
    "account.set",
)
"""What auth writes down; a verb that is not here is shown as it stands."""

MAX_ID: Final = 2**63 - 1
_SPANS: Final = ("overlap_s",)
_KNOWN: Final = ("role", "by", "status")
"""Details whose values are words of ours, and not of somebody's choice."""


class Line(NamedTuple):
    """One change. `name` is what the thing is called, where that is known; `details` are pairs of label and value."""

    at: float
    who: str
    address: str
    verb: str
    name: str
    subject: str
    details: list[tuple[str, str]]


@get("/audit", opt={OPT: "account:manage"})
async def show(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """A page of it: `before` this entry, by one person (`who`), one kind of change (`verb`)."""
    asked = request.query_params
    account, who, verb = request.user.account, asked.get("who", ""), asked.get("verb", "")
    found, users = await asyncio.gather(
        rpc.ask(
            registry.AUTH_AUDIT_PAGE,
            PageAudit(account=account, before=_before(asked.get("before", "")), who=who or None, verb=verb or None),
        ),
        rpc.ask(registry.AUTH_USER_LIST, ListUsers(account)),
    )
    words, writing = pages.words(request), pages.writing(request)
    names = found.names | {str(account): words("audit.account")}
    older = link("/audit", who=who, verb=verb, before=found.before) if found.before is not None else None
    return pages.show(
        request,
        "audit/page.html",
        lines=[line(each, names, words, writing) for each in found.entries],
        people=_people(users.users, words),
        verbs=[(each, words(f"audit.verb.{each}")) for each in VERBS],
        who=who,
        verb=verb,
        first=link("/audit", who=who, verb=verb) if "before" in asked else None,
        older=older,
    )


def line(entry: AuditEntry, names: Mapping[str, str], words: Words, writing: Writing) -> Line:
    """An entry in the visitor's words. `names` by id: logins, keys' and clients' names."""
    who = words("audit.operator") if entry.who == OPERATOR else names.get(entry.who, entry.who)
    known = f"audit.verb.{entry.verb}"
    return Line(
        entry.at,
        who,
        words("audit.here") if entry.address == "local" else entry.address,
        words(known) if known in words else entry.verb,
        names.get(entry.subject, ""),
        entry.subject,
        list(_details(entry.detail, words, writing)),
    )


def _details(detail: Mapping[str, Any], words: Words, writing: Writing) -> Iterator[tuple[str, str]]:
    for name, value in detail.items():
        label = f"audit.detail.{name}"
        yield words(label) if label in words else name, _value(name, value, words, writing)


def _value(name: str, value: Any, words: Words, writing: Writing) -> str:
    if isinstance(value, bool):
        return words("audit.yes" if value else "audit.no")
    if name in _SPANS and isinstance(value, int):
        return writing.span(value)
    if isinstance(value, int | float):
        return writing.number(value)
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    known = f"audit.value.{value}"
    return words(known) if name in _KNOWN and known in words else str(value)


def _people(users: list[User], words: Words) -> list[tuple[str, str]]:
    return [(each.id, each.login) for each in users] + [(OPERATOR, words("audit.operator"))]


def _before(text: str) -> int | None:
    """The id in an address. Raises NotFound for what was never one."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_ID)) or int(text) > MAX_ID:
        raise NotFound
    return int(text)


HANDLERS: Final = (show,)
