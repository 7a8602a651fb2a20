"""Writes sent messages as CSV that spreadsheet programs open as it is meant, whatever strangers wrote. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from services.gateway.dashboard.frame.formats import zone_of
from services.gateway.dashboard.store.messages import Row

BOM: Final = b"\xef\xbb\xbf"
"""Without it spreadsheet programs take UTF-8 for another encoding."""

COLUMNS: Final = (
    "id", "accepted_at", "scheduled_at", "sent_at", "delivered_at", "ended_at", "state", "reason", "recipient", "text",
    "parts", "encoding", "channel", "priority", "phone", "phone_name", "sim", "attempts", "origin", "client_ref",
)  # fmt: skip
"""Names that programs rely on: only ever added to, at the end."""

_FORMULAS: Final = (*"=+-@\t\r\n", *"＝＋－＠")
"""Their wide forms count where Japanese or Chinese is typed."""


def head() -> bytes:
    """The first bytes of a file: what tells its encoding, and the columns' names."""
    return BOM + lines([COLUMNS])


def sheet(rows: Iterable[Row], names: Mapping[str, str], zone: str) -> bytes:
    """The lines of these messages; `names` of phones by id, times as RFC 3339 has them by the clock of `zone`."""
    place = zone_of(zone)

    def time(at: datetime | None) -> str:
        return "" if at is None else at.astimezone(place).isoformat(timespec="seconds")

    def cells(row: Row) -> tuple[Any, ...]:
        sent = row.sent
        return (
            sent.id.hex(),
            time(sent.accepted_at),
            time(sent.scheduled_at),
            time(row.sent_at),
            time(row.delivered_at),
            time(row.ended_at),
            row.seen,
            harmless(sent.reason),
            harmless(sent.recipient),
            harmless(sent.text),
            sent.parts,
            sent.encoding,
            sent.channel,
            sent.priority,
            harmless(sent.device_id),
            harmless(names.get(sent.device_id or "")),
            sent.sim,
            row.attempt,
            harmless(sent.origin),
            harmless(sent.client_ref),
        )

    return lines(map(cells, rows))


def harmless(text: str | None) -> str:
    """The text, behind an apostrophe where a spreadsheet program would take it for a formula, after blanks too."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULAS) or text.lstrip().startswith(_FORMULAS) else text


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """RFC 4180: each line ends with CR LF, and a cell with a comma, a quote or a line's end stands in quotes."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()
