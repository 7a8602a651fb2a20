"""The page that sends a text: what was typed is read, shown as it will go, and handed to the one door for messages."""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency

from services.gateway.admission import Admission, Submission
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.languages import Words
from services.gateway.dashboard.frame.pages import Pages, Writing, go
from services.gateway.dashboard.messages.drafts import (
    FIELDS,
    LIVES_S,
    PRIORITIES,
    Draft,
    Fault,
    Meant,
    draft_of,
    is_key,
    isolated,
    meant,
    unusual,
)
from services.gateway.dashboard.messages.phonebook import MAX_OPTIONS, options, phones_of
from services.gateway.errors import KeyReused, NoChannel, NoDevice, RateLimited
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.errors import Invalid, SmsFleetError, Unavailable
from shared.model.texts import Segments, segments

ORIGIN: Final = "dashboard"
SENDS: Final = {OPT: "sms:send"}

_REFUSALS: Final[dict[type[SmsFleetError], int]] = {
    Invalid: 400,
    NoDevice: 400,
    NoChannel: 400,
    KeyReused: 409,
    RateLimited: 429,
    Unavailable: 503,
}
REFUSED: Final = tuple(_REFUSALS)
"""What a page with the form answers in words."""

_WHOLE_FORM: Final = "form"
_NO_FAULTS: Final = dict.fromkeys((_WHOLE_FORM, *Draft._fields), "")


@get("/send", opt=SENDS)
async def show(
    request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """The form; `to`, `text` and `by` in the address are put into it."""
    given = {name: request.query_params.get(name, "") for name in ("to", "text", "by")}
    return await _form(request, pages, rpc, Draft(**given, key=_new_key()))


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
    if not is_key(draft.key):
        draft = draft._replace(key=_new_key())
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
        # The key stands for what was accepted under it; whoever wants something else now needs another one.
        kept = draft._replace(key=_new_key()) if isinstance(error, KeyReused) else draft
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
    verdict = request.user.verdict
    return Submission(
        account=request.user.account,
        submitter=verdict.subject,
        recipients=read.recipients,
        text=draft.text,
        scheduled_at=read.scheduled_at,
        ttl_s=read.ttl_s,
        device=read.device,
        sim=read.sim,
        priority=read.priority,
        origin=ORIGIN,
        # Apart from the keys that programs choose.
        key=f"{ORIGIN}-{draft.key}",
        max_parts=verdict.max_parts,
        daily_sends=verdict.daily_sends,
        time_zone=verdict.time_zone,
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
        faults=_NO_FAULTS | {field: told(t, fault) for field, fault in (faults or {}).items()},
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


def fault_of(error: SmsFleetError, wish: Submission) -> dict[str, Fault]:
    """The error beside the field that it is about, else above the form."""
    field = FIELDS.get(error.code, _WHOLE_FORM)
    if isinstance(error, NoDevice) and wish.device is None:
        return {_WHOLE_FORM: Fault("no_device_at_all")}
    values = {"most": wish.max_parts} if error.code == "too_many_parts" else {}
    return {field: Fault(error.code, values)}


def told(t: Words, fault: Fault) -> str:
    """The sentence for a fault."""
    key = f"send.error.{fault.code}"
    return t(key, **fault.values) if key in t else t("send.error.other")


def status_of(error: SmsFleetError) -> int:
    """The HTTP status for an error of REFUSED."""
    return next(status for kind, status in _REFUSALS.items() if isinstance(error, kind))


def _device(draft: Draft) -> str:
    return draft.by.partition(":")[0]


def _new_key() -> str:
    return secrets.token_hex(16)


HANDLERS: Final = (show, shape, submit)
