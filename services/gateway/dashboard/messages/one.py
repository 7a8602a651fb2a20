"""One sent message: its text, what became of it step by step, and what can still be done about it."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import Pages, go, link
from services.gateway.dashboard.messages.phonebook import names, phones_of
from services.gateway.dashboard.messages.telling import Line, lines, options, seen, waiting
from services.gateway.scopes import OPT
from services.gateway.store import SentRow
from services.gateway.tracking import Tracker
from shared.bus.rpc import RpcClient
from shared.contracts.registry import (
    DISPATCHER_CANCEL,
    DISPATCHER_DELETE,
    DISPATCHER_MESSAGE_SHOW,
    DISPATCHER_RESEND,
)
from shared.contracts.rpc.messages import CancelMessage, DeleteMessages, MessageStory, ResendMessage, ShowMessage
from shared.errors import Conflict, NotFound, SmsFleetError, Unavailable
from shared.model.ids import MessageId, parse_message_id

TIMEOUT_S: Final = 3.0

READS: Final = {OPT: "sms:read"}
SENDS: Final = {OPT: "sms:send"}
DELETES: Final = {OPT: "sms:delete"}

Asks = NamedDependency[RpcClient]


@get("/messages/{guid:str}", opt=READS)
async def show(
    request: VisitorRequest,
    guid: FromPath[str],
    pages: NamedDependency[Pages],
    tracker: NamedDependency[Tracker],
    rpc: Asks,
) -> Response[Any]:
    """The message; a page that says "soon" while it is accepted and not stored yet."""
    found = await tracker.find(request.user.account, _id(guid))
    if found is True:
        return pages.show(request, "messages/soon.html", guid=guid.lower())
    return await _page(request, pages, rpc, _existing(found))


@post("/messages/{guid:str}/cancel", opt=SENDS, status_code=303)
async def cancel(
    request: VisitorRequest,
    guid: FromPath[str],
    pages: NamedDependency[Pages],
    tracker: NamedDependency[Tracker],
    rpc: Asks,
) -> Response[Any]:
    """Takes back what no phone has taken, or asks an app's phone to leave it."""
    row = await _stored(request, guid, tracker)
    question = CancelMessage(message=row.id, account=request.user.account)
    try:
        answer = await rpc.ask(DISPATCHER_CANCEL, question, TIMEOUT_S)
    except Conflict as error:
        return await _refused(request, pages, rpc, row, error)
    return go(f"/messages/{row.id.hex()}", f"messages.notice.{'wished' if answer.wished else 'canceled'}")


@post("/messages/{guid:str}/resend", opt=SENDS, status_code=303)
async def resend(
    request: VisitorRequest,
    guid: FromPath[str],
    pages: NamedDependency[Pages],
    tracker: NamedDependency[Tracker],
    rpc: Asks,
    form: NamedDependency[Form],
) -> Response[Any]:
    """Gives it a fresh round of tries; `force`: also where nobody knows whether it was sent."""
    row = await _stored(request, guid, tracker)
    question = ResendMessage(account=request.user.account, message=row.id, force=form.get("force") == "yes")
    try:
        await rpc.ask(DISPATCHER_RESEND, question, TIMEOUT_S)
    except Conflict as error:
        return await _refused(request, pages, rpc, row, error)
    return go(f"/messages/{row.id.hex()}", "messages.notice.resent")


@post("/messages/{guid:str}/delete", opt=DELETES, status_code=303)
async def delete(
    request: VisitorRequest, guid: FromPath[str], tracker: NamedDependency[Tracker], rpc: Asks
) -> Response[Any]:
    """Takes it out of the logs, and cancels it where no phone has it."""
    row = await _stored(request, guid, tracker)
    await rpc.ask(DISPATCHER_DELETE, DeleteMessages(account=request.user.account, message=row.id), TIMEOUT_S)
    return go("/messages", "messages.notice.deleted")


def _id(guid: str) -> MessageId:
    message = parse_message_id(guid)
    if message is None:
        raise NotFound
    return message


def _existing(found: SentRow | bool | None) -> SentRow:
    if not isinstance(found, SentRow):
        raise NotFound
    return found


async def _stored(request: VisitorRequest, guid: FromPath[str], tracker: Tracker) -> SentRow:
    """The message, waited for while it is accepted and not stored. Raises NotFound, Unavailable."""
    return _existing(await tracker.stored(request.user.account, _id(guid)))


async def _refused(
    request: VisitorRequest, pages: Pages, rpc: RpcClient, row: SentRow, error: SmsFleetError
) -> Response[Any]:
    """The message as it is now, and why that could not be done."""
    alert = sentence(pages.words(request), "messages.error.", error)
    return await _page(request, pages, rpc, row, alert=alert, status=409)


async def _page(
    request: VisitorRequest, pages: Pages, rpc: RpcClient, row: SentRow, alert: str = "", status: int = 200
) -> Response[Any]:
    account = request.user.account
    story = await _story(rpc, account, row)
    told = lines(story) if story else []
    # Whoever did not tell the story does not name its phones either.
    phones = await phones_of(rpc, account, _devices(row, story, told)) if story else None
    protocols = {phone.id: phone.protocol for phone in (phones.devices if phones else ())}
    return pages.show(
        request,
        "messages/one.html",
        status=status,
        row=row,
        state=seen(row),
        story=story,
        lines=told,
        waiting=waiting(story, pages.writing(request).now) if story else None,
        options=options(row, protocols.get(row.device_id or "")),
        names=names(phones),
        alert=alert,
        source=link(f"/messages/{row.id.hex()}") if alert else "",
    )


def _devices(row: SentRow, story: MessageStory, told: Sequence[Line]) -> list[str | None]:
    return [row.device_id, row.wanted_device_id, story.preferred_device, *(line.phone for line in told)]


async def _story(rpc: RpcClient, account: int, row: SentRow) -> MessageStory | None:
    """The dispatcher's story; None while it does not answer: the page shows what the log has."""
    try:
        return await rpc.ask(DISPATCHER_MESSAGE_SHOW, ShowMessage(message=row.id, account=account), TIMEOUT_S)
    except Unavailable:
        return None


HANDLERS: Final = (show, cancel, resend, delete)
