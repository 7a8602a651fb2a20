"""The app's JSON, read leniently and written strictly: one bad value would spoil a whole list for the app. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from services.gateway.phones.frames import word
from services.gateway.phones.smsgate.facts import MAX_PRIORITY, MIN_PRIORITY, SIM_NUMBERS
from shared.contracts.phone import Sim
from shared.contracts.rpc.apps import AppJob
from shared.errors import Invalid

T = TypeVar("T")

MAX_REPORTS: Final = 100
"""Most messages in one report; the app sends one."""


class SimCard(msgspec.Struct, frozen=True, rename="camel"):
    """A SIM as the app tells it, with shortened numbers; `sim_number` counts from 1."""

    sim_number: int | None = None
    phone_number: str | None = None
    carrier_name: str | None = None


class Described(msgspec.Struct, frozen=True, rename="camel"):
    """The body of POST /device (`name`) and of PATCH /device (`id`)."""

    id: str | None = None
    name: str | None = None
    sim_cards: list[SimCard] | None = None

    @property
    def sims(self) -> list[Sim] | None:
        """The SIMs that can be named in a message; None where the app may not know its SIMs."""
        sims = {
            slot: Sim(
                slot=slot,
                number=card.phone_number and word(card.phone_number),
                carrier=card.carrier_name and word(card.carrier_name),
            )
            for card in self.sim_cards or ()
            if (slot := card.sim_number or 0) in SIM_NUMBERS
        }
        return list(sims.values()) or None


class RecipientState(msgspec.Struct, frozen=True):
    """What became of a message's one recipient."""

    state: str | None = None
    error: str | None = None


class Reported(msgspec.Struct, frozen=True):
    """One item of PATCH /message: the message's state and all times so far."""

    id: str
    state: str | None = None
    recipients: list[RecipientState] = []
    states: dict[str, str | None] = {}


class Health(msgspec.Struct, frozen=True):
    """The health of a ping: "pass", "warn" or "fail", and the checks by name."""

    status: str | None = None
    checks: dict[str, Any] | None = None

    def observed(self, check: str) -> int | None:
        """The number that a check saw, if it saw one that makes sense."""
        found = (self.checks or {}).get(check)
        value = found.get("observedValue") if isinstance(found, dict) else None
        return int(value) if isinstance(value, (int, float)) and 0 <= value <= 1_000_000 else None


class Payload(msgspec.Struct, frozen=True, rename="camel"):
    """What happened on the phone, in the fields of all the events that are heeded."""

    message_id: str | None = None
    transaction_id: str | None = None
    sender: str | None = None
    phone_number: str | None = None
    sim_number: int | None = None
    message: str | None = None
    data: str | None = None
    subject: str | None = None
    received_at: str | None = None
    health: Health | None = None


class Call(msgspec.Struct, frozen=True, rename="camel"):
    """A webhook call; `id` stays the same however often the app repeats it."""

    id: str
    event: str
    device_id: str
    payload: Payload


def read(body: bytes, kind: type[T]) -> T:
    """Raises Invalid for what is no such JSON."""
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid: {error}") from error


def instant_ms(text: str | None) -> tuple[int, int] | None:
    """Unix milliseconds and the offset from UTC in minutes; None for what is no time."""
    try:
        moment = datetime.fromisoformat(text or "")
        offset = moment.utcoffset()
        if offset is None:
            return None
        return round(moment.timestamp() * 1000), round(offset.total_seconds() / 60)
    except (ValueError, OverflowError):
        return None


def date(at_ms: int) -> str:
    """A time with exactly three digits and Z: other forms are read differently by some releases of Android."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message(job: AppJob) -> Mapping[str, Any]:
    """One item of the answer to GET /message."""
    sim = {"simNumber": job.sim} if job.sim in SIM_NUMBERS else {}
    return {
        "id": job.attempt,
        "textMessage": {"text": job.text},
        "phoneNumbers": [job.number],
        **sim,
        "withDeliveryReport": True,
        "validUntil": date(job.valid_until_ms),
        "priority": max(MIN_PRIORITY, min(job.priority, MAX_PRIORITY)),
        "state": "Cancelling" if job.cancel else "Pending",
    }
