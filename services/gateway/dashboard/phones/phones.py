"""Phones: how each fares, what its SIMs may send, a text that tries it out, pauses and its end."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from services.gateway.admission import Admission
from services.gateway.dashboard.door.forms import Form
from services.gateway.dashboard.door.visitors import Visitor, VisitorRequest
from services.gateway.dashboard.frame.faults import sentence
from services.gateway.dashboard.frame.pages import PREFIX, Pages, go, link
from services.gateway.dashboard.messages.composing import (
    REFUSED,
    SENDS,
    key_after,
    key_of,
    new_key,
    status_of,
    submission,
)
from services.gateway.dashboard.messages.drafts import FIELDS
from services.gateway.dashboard.messages.phonebook import DEVICE_ID
from services.gateway.dashboard.phones.fleet import Phone, fleet
from services.gateway.errors import NoDevice
from services.gateway.scopes import OPT
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.auth import RevokeDevice
from shared.contracts.rpc.messages import ListAttention
from shared.contracts.rpc.phones import ChangeDevice, Devices, ListDevices, RemoveDevice, SetBudget
from shared.errors import Invalid, NotFound, SmsFleetError
from shared.model.numbers import parse_recipient

READ: Final = {OPT: "devices:read"}
MANAGE: Final = {OPT: "devices:manage"}

PAGE: Final = 50
SPANS: Final = ("minute", "hour", "day")

_SLOT: Final = re.compile(r"[1-9]")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}(?:[.,][0-9]{1,3})?")


class Asked(NamedTuple):
    """What handlers need to show or change a phone."""

    request: VisitorRequest
    pages: Pages
    rpc: RpcClient
    device: str

    @property
    def visitor(self) -> Visitor:
        """Who asks."""
        return self.request.user

    async def page(self, faults: Mapping[str, str], form: Form, status: int = HTTPStatus.OK, key: str = "") -> Template:
        """The phone's page; `faults` by field, beside what was typed. `key` is the test text's. Raises NotFound."""
        _, phones = await _read(self.rpc, ListDevices(self.visitor.account, ids=[self.device]))
        if not phones:
            raise NotFound
        return self.pages.show(
            self.request,
            "phones/one.html",
            status=status,
            phone=phones[0],
            faults=faults,
            typed=form,
            key=key or new_key(),
            here=f"{PREFIX}/phones/{self.device}",
        )

    async def refused(
        self, field: str, error: SmsFleetError, form: Form, status: int = HTTPStatus.BAD_REQUEST, key: str = ""
    ) -> Template:
        """The page again, with why not."""
        told = sentence(self.pages.words(self.request), "phones.error.", error)
        return await self.page({field: told}, form, status, key)


@get("/phones", opt=READ)
async def show(request: VisitorRequest, pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]) -> Template:
    """A page of the phones in order of enrolment, and how each fares."""
    before, after = (_place(request, name) for name in ("before", "after"))
    found, phones = await _read(rpc, ListDevices(request.user.account, before, after, PAGE))
    return pages.show(
        request,
        "phones/list.html",
        phones=phones,
        total=found.total,
        online=found.online,
        back=link("/phones", before=found.before) if found.before else None,
        on=link("/phones", after=found.after) if found.after else None,
    )


@get("/phones/{device:str}", opt=READ)
async def one(
    request: VisitorRequest, device: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Template:
    """One phone."""
    return await asked(request, pages, rpc, device).page({}, {})


@post("/phones/{device:str}/rename", opt=MANAGE, status_code=303)
async def rename(
    request: VisitorRequest,
    device: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Gives it another name."""
    about = asked(request, pages, rpc, device)
    try:
        return await _change(about, "phones.notice.renamed", name=form.get("name", ""))
    except Invalid as error:
        return await about.refused("name", error, form)


@post("/phones/{device:str}/{change:str}", opt=MANAGE, status_code=303)
async def switch(
    request: VisitorRequest,
    device: FromPath[str],
    change: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Pauses, resumes or approves it."""
    if change not in _SWITCHES:
        raise NotFound
    notice, wish = _SWITCHES[change]
    return await _change(asked(request, pages, rpc, device), notice, **wish)


@post("/phones/{device:str}/budget", opt=MANAGE, status_code=303)
async def budget(
    request: VisitorRequest,
    device: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
) -> Response[Any]:
    """Says what one of its SIMs may send; an empty field takes the limit away."""
    about = asked(request, pages, rpc, device)
    slot, words = form.get("slot", ""), pages.words(request)
    if not slot.isdecimal() or len(slot) > 2:
        raise NotFound
    faults = {
        name: words("phones.error.not_a_number")
        for name in (f"per_{span}_{slot}" for span in SPANS)
        if (text := form.get(name, "").strip()) and not _WHOLE.fullmatch(text)
    } | {
        name: words("phones.error.not_seconds")
        for name in (f"delay_from_{slot}", f"delay_to_{slot}")
        if (text := form.get(name, "").strip()) and not _SECONDS.fullmatch(text)
    }
    if faults:
        return await about.page(faults, form, HTTPStatus.BAD_REQUEST)
    shortest, longest = (_milliseconds(form.get(f"delay_{end}_{slot}", "")) for end in ("from", "to"))
    wish = SetBudget(
        account=about.visitor.account,
        device=about.device,
        slot=int(slot),
        per_minute=_parts(form.get(f"per_minute_{slot}", "")),
        per_hour=_parts(form.get(f"per_hour_{slot}", "")),
        per_day=_parts(form.get(f"per_day_{slot}", "")),
        delay_ms=(shortest, longest or shortest),
    )
    try:
        await rpc.ask(registry.DISPATCHER_BUDGET_SET, wish)
    except Invalid as error:
        return await about.refused(f"budget_{slot}", error, form)
    return go(f"/phones/{device}", "phones.notice.budget")


@post("/phones/{device:str}/test", opt=SENDS, status_code=303)
async def test(
    request: VisitorRequest,
    device: FromPath[str],
    form: NamedDependency[Form],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    admission: NamedDependency[Admission],
) -> Response[Any]:
    """Sends a text from this very phone, once for each form that was shown."""
    about = asked(request, pages, rpc, device)
    slot, key = form.get("sim", ""), key_of(form.get("key", ""))
    wish = submission(request, [], form.get("text", ""), key)._replace(
        device=about.device, sim=int(slot) if _SLOT.fullmatch(slot) else None
    )
    try:
        recipient = parse_recipient(form.get("number", ""), request.user.verdict.region)
        accepted = await admission.submit(wish._replace(recipients=[recipient]))
    except NoDevice:
        raise NotFound from None
    except REFUSED as error:
        field = "number" if FIELDS.get(error.code) == "to" else "text"
        return await about.refused(field, error, form, status_of(error), key_after(error, key))
    return go(f"/messages/{accepted.ids[0].hex()}", "phones.notice.test")


@post("/phones/{device:str}/remove", opt=MANAGE, status_code=303)
async def remove(
    request: VisitorRequest, device: FromPath[str], pages: NamedDependency[Pages], rpc: NamedDependency[RpcClient]
) -> Response[Any]:
    """Ends its credentials, then what it holds."""
    about = asked(request, pages, rpc, device)
    account = about.visitor.account
    await rpc.ask(
        registry.AUTH_DEVICE_REVOKE, RevokeDevice(account=account, device=about.device, actor=about.visitor.actor)
    )
    await rpc.ask(registry.DISPATCHER_DEVICE_REMOVE, RemoveDevice(account=account, device=about.device))
    return go("/phones", "phones.notice.removed")


async def _read(rpc: RpcClient, asked: ListDevices) -> tuple[Devices, list[Phone]]:
    """What the dispatcher answers, and its phones with what is wrong with each."""
    found = await rpc.ask(registry.DISPATCHER_DEVICE_LIST, asked)
    flags = (await rpc.ask(registry.DISPATCHER_ATTENTION, ListAttention(asked.account))).flags if found.devices else []
    return found, fleet(found, flags)


def _place(request: VisitorRequest, name: str) -> str | None:
    """The phone that a page begins behind; None for what is no phone's id."""
    text = request.query_params.get(name, "")
    return text if DEVICE_ID.fullmatch(text) else None


def asked(request: VisitorRequest, pages: Pages, rpc: RpcClient, device: str) -> Asked:
    """About a phone that there may be. Raises NotFound for what is no phone's id."""
    if not DEVICE_ID.fullmatch(device):
        raise NotFound
    return Asked(request, pages, rpc, device)


async def _change(about: Asked, notice: str, **wish: Any) -> Response[Any]:
    change = {"name": None, "approved": None, "paused": None} | wish
    await about.rpc.ask(
        registry.DISPATCHER_DEVICE_CHANGE, ChangeDevice(account=about.visitor.account, device=about.device, **change)
    )
    return go(f"/phones/{about.device}", notice)


def _parts(text: str) -> int:
    return int(text.strip() or 0)


def _milliseconds(text: str) -> int:
    return round(float(text.strip().replace(",", ".") or 0) * 1000)


_SWITCHES: Final[Mapping[str, tuple[str, Mapping[str, bool]]]] = {
    "pause": ("phones.notice.paused", {"paused": True}),
    "resume": ("phones.notice.resumed", {"paused": False}),
    "approve": ("phones.notice.approved", {"approved": True}),
}

HANDLERS: Final = (show, one, rename, switch, budget, test, remove)
