"""/gateway/mobile/list/: the account's phones, in each of the shapes that clients read (contract 2.7)."""

from typing import Final

import msgspec

from services.gateway.dialects.smsmobile.endpoint import Answer, Call
from services.gateway.store import DeviceRow, Store

LIMIT: Final = 10_000
"""What `connected_limit` says: nothing limits an account's phones, and clients want a number."""

_encode = msgspec.json.Encoder().encode


class Mobile(msgspec.Struct, frozen=True, kw_only=True):
    """One phone. `date` is when it was last heard of, UTC; nothing is known of its battery."""

    sid: str
    sIdentifiant: str  # noqa: N815
    label: str
    online: bool
    battery: str | None
    version: str
    date: str
    phone: str | None


class Filters(msgspec.Struct, frozen=True):
    """What was asked for."""

    sid: str | None
    search: str | None


class MobilesResult(msgspec.Struct, frozen=True):
    """The items once more, where older clients look."""

    error: int
    mobiles: list[Mobile]


class Mobiles(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /gateway/mobile/list/."""

    success: bool = True
    connected_now: int
    connected_limit: int = LIMIT
    connected_available: int
    filters: Filters
    items: list[Mobile]
    note: str = ""
    result: MobilesResult


class PhoneList:
    """Lists phones in order of enrolment, online or not."""

    def __init__(self, store: Store) -> None:
        """Reads here."""
        self._store = store

    async def work(self, call: Call) -> Answer:
        """Raises Unavailable."""
        sid, search = call.parameters.get("sid"), call.parameters.get("search")
        mobiles = [_mobile(row) for row in await self._store.devices(call.account)]
        found = [mobile for mobile in mobiles if _matches(mobile, sid, search)]
        online = sum(mobile.online for mobile in mobiles)
        body = Mobiles(
            connected_now=online,
            connected_available=max(0, LIMIT - online),
            filters=Filters(_printable(sid), _printable(search)),
            items=found,
            result=MobilesResult(0, found),
        )
        return Answer(_encode(body))


def _mobile(row: DeviceRow) -> Mobile:
    return Mobile(
        sid=row.id,
        sIdentifiant=row.id,
        label=row.name,
        online=row.online,
        battery=None,
        version=row.software,
        date=row.last_seen_at.strftime("%Y-%m-%d %H:%M:%S"),
        phone=row.numbers[0] if row.numbers else None,
    )


def _matches(mobile: Mobile, sid: str | None, search: str | None) -> bool:
    if sid is not None and mobile.sid != sid:
        return False
    words = (mobile.sid, mobile.label, mobile.version, mobile.date)
    return search is None or any(search.lower() in word.lower() for word in words)


def _printable(text: str | None) -> str | None:
    """A filter as it can be echoed in JSON."""
    return None if text is None else text.encode(errors="replace").decode()
