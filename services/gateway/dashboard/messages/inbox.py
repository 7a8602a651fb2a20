"""Conversations: what numbers wrote and were written, thread by thread, and the reply."""

import contextlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency

from services.gateway.admission import Admission
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.pages import Pages, go, link
from services.gateway.dashboard.messages.composing import (
    REFUSED,
    SENDS,
    fault_of,
    key_after,
    key_of,
    new_key,
    status_of,
    submission,
    told,
)
from services.gateway.dashboard.messages.phonebook import names, phones_of
from services.gateway.dashboard.messages.send import shape_of
from services.gateway.dashboard.store.messages import Row
from services.gateway.dashboard.store.threads import Moment, Place, Received, Talk, Threads
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.messages import DeleteMessages, MarkSeen
from shared.errors import NotFound, SmsFleetError, Unavailable
from shared.model.ids import MESSAGE_ID_BYTES
from shared.model.storable import is_storable

READS: Final = {OPT: "sms:read"}
MARK_S: Final = 1.0
"""Longest that a page waits for its texts to be marked as seen, in seconds."""

MAX_NUMBER_CHARS: Final = 64

_ANSWERABLE: Final = re.compile(r"\+?[0-9]{3,15}")
"""What can be written to; the other senders are names."""


class Typed(NamedTuple):
    """An answer as it was typed, the key of its form, and why it was not taken."""

    text: str = ""
    key: str = ""
    fault: str = ""
    status: int = 200


_NOTHING: Final = Typed()


@get("/inbox", opt=READS)
async def show(
    request: VisitorRequest, pages: NamedDependency[Pages], threads: NamedDependency[Threads]
) -> Response[Any]:
    """The conversations, the one with the newest text first."""
    found = await threads.list(request.user.account, _place(request))
    older = found.older and link("/inbox", at=found.older.at.isoformat(), number=found.older.number)
    return pages.show(request, "inbox/list.html", threads=found.threads, older=older)


@get("/inbox/thread", opt=READS)
async def thread(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    threads: NamedDependency[Threads],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """One conversation, the newest text last; whoever may act has seen it then."""
    return await _thread(request, pages, threads, rpc, _number(request.query_params.get("with", "")))


@post("/inbox/reply", opt=SENDS, status_code=303)
async def reply(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    threads: NamedDependency[Threads],
    rpc: NamedDependency[RpcClient],
    admission: NamedDependency[Admission],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Sends an answer, by the phone that this number knows where it is there (docs/routing.md)."""
    number, text, key = _number(form.get("with", "")), form.get("text", ""), key_of(form.get("key", ""))
    t = pages.words(request)
    if not _ANSWERABLE.fullmatch(number):
        return await _thread(request, pages, threads, rpc, number, Typed(text, key, t("inbox.no_answer"), 400))
    wish = submission(request, [number], text, key)
    try:
        await admission.submit(wish)
    except REFUSED as error:
        (fault,) = fault_of(error, wish).values()
        typed = Typed(text, key_after(error, key), told(t, fault), status_of(error))
        return await _thread(request, pages, threads, rpc, number, typed)
    return go("/inbox/thread", "inbox.notice.replied", **{"with": number})


@post("/inbox/delete", opt={OPT: "sms:delete"}, status_code=303)
async def delete(
    request: VisitorRequest, rpc: NamedDependency[RpcClient], form: NamedDependency[Form]
) -> Response[Any]:
    """Deletes one received text."""
    guid, number = form.get("guid", ""), _number(form.get("with", ""))
    with contextlib.suppress(ValueError):
        asked = DeleteMessages(account=request.user.account, inbox_guid=str(UUID(guid)))
        if (await rpc.ask(registry.DISPATCHER_DELETE, asked)).count:
            return go("/inbox/thread", "inbox.notice.deleted", **{"with": number})
    raise NotFound


async def _thread(
    request: VisitorRequest,
    pages: Pages,
    threads: Threads,
    rpc: RpcClient,
    number: str,
    typed: Typed = _NOTHING,
) -> Response[Any]:
    visitor, before = request.user, _moment(request)
    try:
        talk = await threads.show(visitor.account, number, before)
    except Unavailable:
        if not typed.fault:
            raise
        # What was typed is worth more than what was said before.
        talk = Talk([], None)
    if not talk.said and before is None and not typed.fault:
        raise NotFound
    if visitor.may("sms:send"):
        await _mark_seen(rpc, visitor.account, number, talk.said)
    t, write = pages.words(request), pages.writing(request)
    # A reply that was not taken is answered under an address that cannot be opened.
    source = link("/inbox/thread", **{"with": number}) if request.method == "POST" else ""
    return pages.show(
        request,
        "inbox/thread.html",
        status=typed.status,
        number=number,
        days=_days(talk.said[::-1], write.day),
        older=talk.older and _older(number, talk.older),
        latest=before is None,
        answerable=bool(_ANSWERABLE.fullmatch(number)),
        text=typed.text,
        shape=shape_of(typed.text, visitor.verdict.max_parts, t, write),
        fault=typed.fault,
        key=typed.key or new_key(),
        names=names(
            await phones_of(rpc, visitor.account, [each.device_id for each in talk.said if isinstance(each, Received)])
        ),
        is_received=_is_received,
        source=source,
    )


async def _mark_seen(rpc: RpcClient, account: int, number: str, said: Sequence[Row | Received]) -> None:
    """A mark that is not made now is made when the conversation is looked at again."""
    unseen = [each.id for each in said if isinstance(each, Received) and not each.read]
    if unseen:
        with contextlib.suppress(SmsFleetError):
            asked = MarkSeen(account=account, number=number, until=max(unseen))
            await rpc.ask(registry.DISPATCHER_MARK_SEEN, asked, MARK_S)


def _days(said: Sequence[Row | Received], day: Any) -> list[tuple[str, list[Row | Received]]]:
    """The texts, in order, by the day of the account's clock."""
    days: list[tuple[str, list[Row | Received]]] = []
    for each in said:
        name = day(each.received_at if isinstance(each, Received) else each.sent.accepted_at)
        if not days or days[-1][0] != name:
            days.append((name, []))
        days[-1][1].append(each)
    return days


def _is_received(said: Row | Received) -> bool:
    return isinstance(said, Received)


def _number(text: str) -> str:
    if not text or len(text) > MAX_NUMBER_CHARS or not is_storable(text):
        raise NotFound
    return text


def _place(request: VisitorRequest) -> Place | None:
    at, number = (request.query_params.get(name, "") for name in ("at", "number"))
    try:
        moment = datetime.fromisoformat(at)
        # UTC may know no such year.
        place = Place(moment.astimezone(UTC), number[:MAX_NUMBER_CHARS])
    except (ValueError, OverflowError):
        return None
    return place if moment.tzinfo and is_storable(number) else None


def _moment(request: VisitorRequest) -> Moment | None:
    sent, received = (request.query_params.get(name, "") for name in ("sent", "received"))
    try:
        made = Moment(bytes.fromhex(sent) or None, int(received) if received else None)
    except ValueError:
        return None
    is_place = (made.sent is None or len(made.sent) == MESSAGE_ID_BYTES) and 0 <= (made.received or 0) < 2**63
    return made if is_place and made != Moment() else None


def _older(number: str, moment: Moment) -> str:
    sent = moment.sent.hex() if moment.sent else None
    return link("/inbox/thread", **{"with": number}, sent=sent, received=moment.received)


HANDLERS: Final = (show, thread, reply, delete)
