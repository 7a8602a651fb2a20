"""The account's phones as pages name them: by what people call them, never by an id where there is a name."""

from collections.abc import Sequence
from typing import Final

from services.gateway.dashboard.frame.languages import Words
from services.gateway.dashboard.messages.drafts import isolated
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.rpc.phones import Device, ListDevices
from shared.errors import Unavailable

TIMEOUT_S: Final = 3.0

MAX_OPTIONS: Final = 500
"""A select with more of them is of no use to anybody."""


async def phones_of(rpc: RpcClient, account: int) -> list[Device] | None:
    """The phones in order of enrolment; None while the dispatcher does not answer."""
    try:
        return (await rpc.ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(account), TIMEOUT_S)).devices
    except Unavailable:
        return None


def names(phones: Sequence[Device] | None) -> dict[str, str]:
    """What each phone is called, by id."""
    return {phone.id: phone.name or phone.id for phone in phones or ()}


def options(phones: Sequence[Device] | None, t: Words) -> list[tuple[str, str]]:
    """What a person can send with: any phone, one phone, one SIM of it; values as drafts.Draft.by has them."""
    made = [("", t("send.by.any"))]
    for phone in phones or ():
        name = isolated(phone.name or phone.id)
        made.append((phone.id, t("send.by.phone", name=name, state=t(f"send.by.{_state(phone)}"))))
        if len(phone.sims) > 1:
            for sim in phone.sims:
                told = " · ".join(isolated(each) for each in (sim.carrier, sim.number) if each)
                text = t("send.by.sim", name=name, slot=sim.slot)
                made.append((f"{phone.id}:{sim.slot}", f"{text} · {told}" if told else text))
    return made[:MAX_OPTIONS]


def _state(phone: Device) -> str:
    if not phone.approved:
        return "waiting"
    if phone.paused:
        return "paused"
    return "online" if phone.online else "offline"
