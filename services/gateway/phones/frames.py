"""Checks what phones say and turns it into reports; bounds everything, loses no text. Pure."""

import hashlib
from typing import Final

from services.gateway.phones.farewell import Farewell
from shared.contracts import phone
from shared.contracts.reports import AttemptReported, TextReceived
from shared.model.ids import parse_attempt_id
from shared.model.storable import is_storable

MAX_SLOT: Final = 8
MAX_WORD_CHARS: Final = 100
"""Longest name, number, reason or the like that is kept; the rest is cut."""

MAX_RECEIVED_CHARS: Final = 40_000
"""Longest received text that is kept: 255 parts hold no more."""

EARLIEST_S: Final = 946_684_800.0
"""The first second of the year 2000: an earlier time is a phone without a clock."""

DAY_S: Final = 86_400.0
MAX_UTC_OFFSET_MIN: Final = 1440
REPLACEMENT: Final = "\ufffd"


def check(frame: phone.FromPhone) -> None:
    """Raises Farewell (`bad_frame`) for a frame that holds more than the protocol allows."""
    match frame:
        case phone.Ready():
            held, slots = len(frame.held), len(frame.places)
            if held > phone.MAX_ITEMS or slots > MAX_SLOT:
                raise Farewell("bad_frame", "A ready names too many jobs or SIM slots.")
        case phone.Take() if len(frame.attempts) > phone.MAX_ITEMS:
            raise Farewell("bad_frame", f"A take names more than {phone.MAX_ITEMS} attempts.")
        case phone.Report() if len(frame.reports) > phone.MAX_ITEMS:
            raise Farewell("bad_frame", f"A report holds more than {phone.MAX_ITEMS} items.")
        case phone.Received() if len(frame.texts) > phone.MAX_ITEMS:
            raise Farewell("bad_frame", f"A received holds more than {phone.MAX_ITEMS} items.")
        case phone.Hello():
            raise Farewell("bad_frame", "A hello comes once.")


def greeting(frame: phone.FromPhone | None) -> phone.Hello:
    """The hello, cleaned. Raises Farewell (`bad_frame`, `bad_version`)."""
    if not isinstance(frame, phone.Hello):
        raise Farewell("bad_frame", "The first frame is hello.")
    if frame.version != phone.VERSION:
        raise Farewell("bad_version", f"This gateway speaks version {phone.VERSION}.", 300.0)
    if (frame.token is None) == (frame.enrolment_key is None):
        raise Farewell("bad_frame", "A hello has a token or an enrolment key.")
    slots = {sim.slot: sim for sim in frame.sims}
    if len(slots) != len(frame.sims) or not all(1 <= slot <= MAX_SLOT for slot in slots):
        raise Farewell("bad_frame", f"SIM slots are numbers from 1 to {MAX_SLOT}, each named once.")
    if not frame.journal or len(frame.journal) > MAX_WORD_CHARS or len(frame.channels) > MAX_SLOT:
        raise Farewell("bad_frame", "A hello names its journal and at most 8 channels.")
    return phone.Hello(
        version=frame.version,
        journal=word(frame.journal),
        name=word(frame.name),
        sims=[
            phone.Sim(
                slot=sim.slot,
                number=None if sim.number is None else word(sim.number),
                carrier=None if sim.carrier is None else word(sim.carrier),
            )
            for sim in slots.values()
        ],
        token=frame.token,
        enrolment_key=frame.enrolment_key,
        channels=[word(channel) for channel in frame.channels],
        software=word(frame.software),
    )


def attempts_reported(account: int, device: str, frame: phone.Report, now: float) -> list[AttemptReported]:
    """The frame's reports as the dispatcher wants them; ids that are no attempt ids are left out."""
    found = []
    for report in frame.reports:
        parsed = parse_attempt_id(report.attempt)
        if parsed is None:
            continue
        message, number = parsed
        found.append(
            AttemptReported(
                account=account,
                device=device,
                message=message,
                number=number,
                state=report.state,
                at=instant(report.at_ms, now),
                reason=None if report.reason is None else word(report.reason),
            )
        )
    return found


def texts_received(account: int, device: str, frame: phone.Received, now: float) -> list[TextReceived]:
    """The frame's texts as the dispatcher wants them: cleaned rather than lost."""
    return [
        TextReceived(
            account=account,
            device=device,
            sim=text.sim if 1 <= text.sim <= MAX_SLOT else None,
            number=word(text.number),
            text=clean(text.text)[:MAX_RECEIVED_CHARS],
            at=instant(text.at_ms, now),
            utc_offset_min=max(-MAX_UTC_OFFSET_MIN, min(text.utc_offset_min, MAX_UTC_OFFSET_MIN)),
            fingerprint=fingerprint(text),
        )
        for text in frame.texts
    ]


def fingerprint(text: phone.ReceivedText) -> bytes:
    """32 bytes that are the same whenever a phone repeats the same text, and else are not."""
    hashed = hashlib.sha256()
    for field in (text.id, text.number, str(text.at_ms), text.text):
        encoded = field.encode(errors="surrogatepass")
        hashed.update(len(encoded).to_bytes(4, "big") + encoded)
    return hashed.digest()


def instant(at_ms: int, now: float) -> float:
    """Unix seconds of a phone's milliseconds; an absurd time (before 2000, over a day ahead) is now."""
    at = at_ms / 1000 if abs(at_ms) < 10**15 else 0.0
    return at if EARLIEST_S <= at <= now + DAY_S else now


def word(text: str) -> str:
    """A short text made storable."""
    return clean(text)[:MAX_WORD_CHARS]


def clean(text: str) -> str:
    """The text with U+FFFD for what Postgres cannot hold."""
    if is_storable(text):
        return text
    storable = text.encode(errors="surrogatepass").decode(errors="replace")
    return storable.replace("\0", REPLACEMENT)
