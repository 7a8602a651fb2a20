"""The page that sends a text: what was typed is read, shown as it will go, and handed to the one door for messages."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency

from services.gateway.admission import Admission, Submission
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.languages import Words
from services.gateway.dashboard.frame.pages import Pages, Writing, go
from services.gateway.dashboard.messages.composing import (
    NO_FAULTS,
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
from services.gateway.dashboard.messages.drafts import (
    LIVES_S,
    PRIORITIES,
    Draft,
    Fault,
    Meant,
    draft_of,
    isolated,
    meant,
    unusual,
)
from services.gateway.dashboard.messages.phonebook import MAX_OPTIONS, options, phones_of
from shared.bus.rpc import RpcClient
from shared.model.texts import Segments, segments


@get("/send", opt=SENDS)
async def show(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """The form; `to`, `text` and `by` in the address are put into it."""
    given = {name: request.query_params.get(name, "") for name in ("to", "text", "by")}
    return await _form(request, pages, rpc, Draft(**given, key=new_key()))


@post("/send/shape", opt=SENDS, status_code=200, sync_to_thread=False)
def shape(request: VisitorRequest, pages: NamedDependency[Pages], form: NamedDependency[Form]) -> dict[str, str]:
    """What a text comes to, by the id of the element that says it (static/app.js)."""
    draft, writing = draft_of(form), pages.writing(request)
    return {"text-shape": shape_of(draft.text, request.user.verdict.max_parts, pages.words(request), writing)}


@post("/send", opt=SENDS, status_code=303)
async def submit(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    admission: NamedDependency[Admission],
    form: NamedDependency[Form],
) -> Response[Any]:
    """Sends (`step` send), shows what would be sent (check), or goes back to the form (edit)."""
    draft, verdict, step = draft_of(form), request.user.verdict, form.get("step", "check")
    draft = draft._replace(key=key_of(draft.key))
    if step == "edit":
        return await _form(request, pages, rpc, draft)
    read = meant(draft, verdict.region, verdict.time_zone, pages.writing(request).now)
    if read.faults:
        return await _form(request, pages, rpc, draft, read.faults, status=400)
    wish = _submission(request, draft, read)
    try:
        if step != "send":
            return await _check(request, pages, rpc, draft, read, await admission.check(wish))
        accepted = await admission.submit(wish)
    except REFUSED as error:
        kept = draft._replace(key=key_after(error, draft.key))
        return await _form(request, pages, rpc, kept, fault_of(error, wish), status=status_of(error))
    if len(accepted.ids) > 1:
        return go("/messages", "send.notice.accepted_all")
    notice = "scheduled" if read.scheduled_at and read.scheduled_at > accepted.at else "accepted"
    return go(f"/messages/{accepted.ids[0].hex()}", f"send.notice.{notice}")


def shape_of(text: str, most: int | None, t: Words, write: Writing) -> str:
    """What a text comes to: its characters, alphabet and parts, and what makes it longer than it need be."""
    if not text:
        return t("send.shape.empty")
    found = segments(text)
    told = [
        t("send.shape.parts", count=found.parts, number=write.number(found.parts)),
        t("send.shape.characters", count=len(text), number=write.number(len(text))),
        t(f"send.shape.{found.encoding}"),
    ]
    sentence = " · ".join(told)
    if most is not None and found.parts > most:
        return f"{sentence}. {t('send.shape.too_many', most=most)}"
    if found.encoding == "ucs2" and (strange := unusual(text)):
        return f"{sentence}. {t('send.shape.because', characters=isolated(' '.join(strange)))}"
    return sentence


def _submission(request: VisitorRequest, draft: Draft, read: Meant) -> Submission:
    return submission(request, read.recipients, draft.text, draft.key)._replace(
        scheduled_at=read.scheduled_at,
        ttl_s=read.ttl_s,
        device=read.device,
        sim=read.sim,
        priority=read.priority,
    )


async def _form(
    request: VisitorRequest,
    pages: Pages,
    rpc: RpcClient,
    draft: Draft,
    faults: Mapping[str, Fault] | None = None,
    status: int = 200,
) -> Response[Any]:
    t, write = pages.words(request), pages.writing(request)
    phones = await phones_of(rpc, request.user.account, [_device(draft)], MAX_OPTIONS)
    senders, has_more_senders = options(phones, t, draft.by)
    return pages.show(
        request,
        "send/form.html",
        status=status,
        draft=draft,
        faults=NO_FAULTS | {field: told(t, fault) for field, fault in (faults or {}).items()},
        shape=shape_of(draft.text, request.user.verdict.max_parts, t, write),
        phones=phones,
        senders=senders,
        more_senders=has_more_senders,
        priorities=[(name, t(f"send.priority.{name}")) for name in PRIORITIES],
        lives=[("", t("send.valid.default")), *((str(each), write.span(each)) for each in LIVES_S)],
    )


async def _check(
    request: VisitorRequest, pages: Pages, rpc: RpcClient, draft: Draft, read: Meant, shape: Segments
) -> Response[Any]:
    t = pages.words(request)
    senders, _ = options(await phones_of(rpc, request.user.account, [_device(draft)]), t, draft.by)
    return pages.show(
        request,
        "send/check.html",
        draft=draft,
        read=read,
        shape=shape,
        unusual=unusual(draft.text) if shape.encoding == "ucs2" else [],
        sender=dict(senders).get(draft.by, draft.by),
    )


def _device(draft: Draft) -> str:
    return draft.by.partition(":")[0]


HANDLERS: Final = (show, shape, submit)
