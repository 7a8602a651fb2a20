"""The account's phones as pages name them: by what people call them, never by an id where there is a name."""

import re
from collections.abc import Collection, Iterable
from typing import Final

from services.gateway.dashboard.frame.languages import Words
from services.gateway.dashboard.messages.drafts import isolated
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.phones import MAX_NAMED, NamedDevice, NamedDevices, NameDevices
from shared.errors import Unavailable

TIMEOUT_S: Final = 3.0

MAX_OPTIONS: Final = MAX_NAMED
"""A select with more of them is of no use to anybody."""

DEVICE_ID: Final = re.compile(r"[A-Za-z0-9_-]{21}")

_NONE: Final = NamedDevices([], 0, 0)


async def named(
    rpc: RpcClient, account: int, ids: Iterable[str | None], limit: int = 0, timeout_s: float = TIMEOUT_S
) -> NamedDevices:
    """These phones, and beside them the first of the account until there are `limit`. Raises Unavailable.

    What is no phone's id is passed over, and so is what is beyond MAX_NAMED.
    """
    wanted = sorted({id for id in ids if id and DEVICE_ID.fullmatch(id)})[:MAX_NAMED]
    return await rpc.ask(registry.DISPATCHER_DEVICE_NAMES, NameDevices(account, wanted, limit), timeout_s)


async def phones_of(rpc: RpcClient, account: int, ids: Collection[str | None], limit: int = 0) -> NamedDevices | None:
    """The same for pages that do without names; None while the dispatcher does not answer.

    Nobody is asked where none is wanted.
    """
    if not limit and not any(ids):
        return _NONE
    try:
        return await named(rpc, account, ids, limit)
    except Unavailable:
        return None


def names(found: NamedDevices | None) -> dict[str, str]:
    """What each phone is called, by id."""
    return {phone.id: phone.name or phone.id for phone in (found.devices if found else ())}


def has_more(found: NamedDevices | None) -> bool:
    """Whether the account has phones beside these."""
    return found is not None and found.total > len(found.devices)


def options(found: NamedDevices | None, t: Words, chosen: str) -> tuple[list[tuple[str, str]], bool]:
    """What a person can send with: any phone, one phone, one SIM of it; values as drafts.Draft.by has them.

    There are at most MAX_OPTIONS beside the one that is chosen; and whether there is more to choose.
    """
    made = [("", t("send.by.any"))]
    for phone in found.devices if found else ():
        name = isolated(phone.name or phone.id)
        made.append((phone.id, t("send.by.phone", name=name, state=t(f"send.by.{_state(phone)}"))))
        if len(phone.sims) > 1:
            for sim in phone.sims:
                told = " · ".join(isolated(each) for each in (sim.carrier, sim.number) if each)
                text = t("send.by.sim", name=name, slot=sim.slot)
                made.append((f"{phone.id}:{sim.slot}", f"{text} · {told}" if told else text))
    shown = made[:MAX_OPTIONS] + [each for each in made[MAX_OPTIONS:] if each[0] == chosen]
    return shown, len(shown) < len(made) or has_more(found)


def _state(phone: NamedDevice) -> str:
    if not phone.approved:
        return "waiting"
    if phone.paused:
        return "paused"
    return "online" if phone.online else "offline"
