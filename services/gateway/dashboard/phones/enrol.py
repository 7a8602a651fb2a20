"""Brings a phone in: a key, what to type and to do on the phone, and the moment when it is there."""

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from services.gateway.dashboard.door.visitors import VisitorRequest
from services.gateway.dashboard.frame.pages import Pages
from services.gateway.dashboard.frame.qr import qr
from services.gateway.dashboard.messages.composing import new_key
from services.gateway.dashboard.phones.fleet import fleet
from services.gateway.dashboard.phones.phones import MANAGE
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.clients import CreateEnrolmentKey, EnrolmentKey, ListEnrolmentKeys
from shared.contracts.rpc.phones import ListDevices
from shared.errors import NotFound

KEY_S: Final = 3600
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))


class Reach(NamedTuple):
    """How phones reach this installation. `ca_url`: where they get its root certificate; empty where none is needed."""

    base_url: str
    ca_url: str

    @property
    def api_url(self) -> str:
        """What is typed into the app SMS Gateway for Android."""
        return f"{self.base_url}/mobile/v1"

    @property
    def socket_url(self) -> str:
        """What our own agent dials."""
        return f"ws{self.base_url.removeprefix('http')}/phone/v1/socket"

    @property
    def is_secure(self) -> bool:
        """Whether the released app connects to it."""
        return self.base_url.startswith("https://")

    @property
    def is_here_only(self) -> bool:
        """Whether nothing but this machine reaches it."""
        return urlsplit(self.base_url).hostname in _LOOPBACK


@get("/phones/enrol", opt=MANAGE, sync_to_thread=False)
def ask(request: VisitorRequest, pages: NamedDependency[Pages], reach: NamedDependency[Reach]) -> Template:
    """What is needed, and the button that makes a key."""
    return pages.show(request, "phones/enrol.html", reach=reach)


@post("/phones/enrol", opt=MANAGE, status_code=200)
async def enrol(
    request: VisitorRequest,
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    reach: NamedDependency[Reach],
) -> Template:
    """A key for one phone and one hour, shown only here, with what to do on the phone."""
    visitor, words = request.user, pages.words(request)
    made = await rpc.ask(
        registry.AUTH_ENROLMENT_CREATE,
        CreateEnrolmentKey(account=visitor.account, lives_s=KEY_S, actor=visitor.actor),
    )
    typed = (("token", made.enrolment_key), ("url", reach.api_url), ("ca", reach.ca_url))
    codes = {name: qr(text, words(f"phones.code.{name}")) for name, text in typed if text}
    return pages.show(
        request,
        "phones/key.html",
        reach=reach,
        key=made.enrolment_key,
        codes=codes,
        key_id=made.id,
        expires_at=made.expires_at,
        arrival="waiting",
        phone=None,
    )


@get("/phones/enrol/{key_id:str}", opt=MANAGE)
async def watch(
    request: VisitorRequest,
    key_id: FromPath[str],
    pages: NamedDependency[Pages],
    rpc: NamedDependency[RpcClient],
    reach: NamedDependency[Reach],
) -> Template:
    """Whether the phone is there that this key was made for. The page that showed the key reads this one again."""
    if not _KEY_ID.fullmatch(key_id):
        raise NotFound
    account = request.user.account
    keys = (await rpc.ask(registry.AUTH_ENROLMENT_LIST, ListEnrolmentKeys(account, id=key_id))).keys
    key = next((each for each in keys if each.id == key_id and not each.multi), None)
    if key is None:
        raise NotFound
    phone = None
    if key.device:
        found = await rpc.ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(account, ids=[key.device]))
        phone = next(iter(fleet(found)), None)
    return pages.show(
        request,
        "phones/watch.html",
        reach=reach,
        key_id=key.id,
        expires_at=key.expires_at,
        arrival=_arrival(key, pages.writing(request).now, is_online=phone is not None and phone.device.online),
        phone=phone,
        send_key=new_key(),
    )


def _arrival(key: EnrolmentKey, now: float, *, is_online: bool) -> str:
    if is_online:
        return "there"
    if key.device is not None:
        return "signed_up"
    over = key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now)
    return "over" if over else "waiting"


HANDLERS: Final = (ask, enrol, watch)
