"""Finds an account's sent messages among millions: the search says where to look, the log says what is so."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from services.gateway.dashboard.store import looks
from services.gateway.dashboard.store.filters import TEXT_DAYS, Filter
from services.gateway.reading import READ_DEADLINE_S, reading
from services.gateway.store import SentRow
from shared.db.pool import Connection, Pool, Record
from shared.db.seen import SeenState
from shared.model.ids import MESSAGE_ID_BYTES, first_id_at

GLANCE: Final = 4
"""The first look goes through so many messages for each that is wanted, and so many times more for two kinds."""

LONG_LOOK: Final = 4000
"""The last look goes through so many messages; what is further back takes another page."""

MOST_HITS: Final = 4000
"""A text that more messages have is common: walking from the newest on finds it."""

HITS_DEADLINE_S: Final = 1.0
"""The search for a text gives way to walking after so many seconds."""

EXPORTED_AT_ONCE: Final = 500

_PAST_ALL: Final = b"\xff" * (MESSAGE_ID_BYTES + 1)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Row(NamedTuple):
    """A message as lists and its own page show it; `seen` is its state as people see it."""

    sent: SentRow
    seen: SeenState
    sent_at: datetime | None
    delivered_at: datetime | None
    ended_at: datetime | None
    attempt: int


class Found(NamedTuple):
    """A page, newest first, and where to go on: `before` of the page with older ones, `after` of the newer one.

    `partial`: the looking ended before the page was full and before the end; it goes on at the same place.
    """

    rows: list[Row]
    older: bytes | None
    newer: bytes | None
    partial: bool


class _Look(NamedTuple):
    """What one look gave: at most one row more than wanted; whether it saw everything, and the last id it saw."""

    rows: list[Row]
    whole: bool
    edge: bytes | None


class Messages:
    """Reads sent messages. Each call raises Unavailable while Postgres is away or too slow."""

    def __init__(self, pool: Pool) -> None:
        """`pool` may have no connection yet, or none any more."""
        self._pool = pool

    async def find(
        self, account: int, wanted: Filter, before: bytes | None = None, after: bytes | None = None, limit: int = 50
    ) -> Found:
        """A page of what is wanted: the newest, those before one place, or those from another place on.

        Three statements at most, and a bounded number of rows, whatever there is.
        """
        newest_first = after is None
        low, high = _bounds(wanted, before, after)
        async with reading(self._pool) as connection:
            search = _Search(connection, account, wanted, low, high, limit + 1, newest_first=newest_first)
            look = await search.find(limit)
        rows = look.rows[:limit] if newest_first else look.rows[:limit][::-1]
        full = len(look.rows) > limit
        further = full or not look.whole
        last = look.edge if not full else (rows[-1] if newest_first else rows[0]).sent.id
        if newest_first:
            newer = None if before is None else rows[0].sent.id + b"\0" if rows else before
            return Found(rows, last if further else None, newer, partial=further and not full)
        older = rows[-1].sent.id if rows else after
        return Found(rows, older, last + b"\0" if further and last else None, partial=further and not full)

    async def export(self, account: int, wanted: Filter) -> AsyncIterator[list[Row]]:
        """Everything that is wanted, newest first, in batches that are read one by one; some may be empty."""
        before: bytes | None = None
        while True:
            found = await self.find(account, wanted, before=before, limit=EXPORTED_AT_ONCE)
            yield found.rows
            if found.older is None:
                return
            before = found.older


class _Search:
    """One page's looks at one range of ids, on one connection."""

    def __init__(
        self,
        connection: Connection,
        account: int,
        wanted: Filter,
        low: bytes,
        high: bytes,
        limit: int,
        *,
        newest_first: bool,
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._limit = limit
        self._newest_first = newest_first
        number = wanted.number
        self._arguments: Sequence[Any] = (
            account,
            low,
            high,
            limit,
            wanted.message,
            wanted.state,
            wanted.device,
            number and number.exact,
            number and number.digits and f"%{number.digits}%",
            None if wanted.text is None else f"%{_literal(wanted.text)}%",
        )

    async def find(self, limit: int) -> _Look:
        """A glance; where that falls short, a walk as long as its yield suggests, or the search for the text."""
        glance = GLANCE * limit * (GLANCE if self._wanted.state and self._wanted.device else 1)
        look = await self._walk(glance, by_digits=False)
        if not self._falls_short(look):
            return look
        if look.rows:
            look = await self._walk(min(max(LONG_LOOK, glance), 2 * glance * limit // len(look.rows)))
            return await self._hits() or look if self._falls_short(look) else look
        return await self._hits() or await self._walk(max(LONG_LOOK, glance))

    def _falls_short(self, look: _Look) -> bool:
        """Whether there may be more than was seen, and the page is not full."""
        return len(look.rows) < self._limit and not look.whole

    async def _walk(self, bound: int, *, by_digits: bool = True) -> _Look:
        """Goes through at most `bound` messages of the kind that is rarest of what is wanted."""
        statement = looks.walk(self._wanted, by_digits=by_digits, newest_first=self._newest_first)
        look = await self._look(statement, bound)
        assert look is not None
        return look

    async def _hits(self) -> _Look | None:
        """Looks the text up; None where there is none, where it is too common for that, or where it takes too long."""
        if self._wanted.text is None:
            return None
        try:
            return await self._look(looks.hits(newest_first=self._newest_first), MOST_HITS, timeout=HITS_DEADLINE_S)
        except TimeoutError:
            return None

    async def _look(self, statement: str, bound: int, timeout: float = READ_DEADLINE_S) -> _Look | None:
        records = await self._connection.fetch(statement, *self._arguments, bound, timeout=timeout)
        if not records:
            return None
        rows = [_row(record) for record in records if record["id"] is not None]
        return _Look(rows, records[0]["whole"], records[0]["edge"])


def _row(record: Record) -> Row:
    columns = tuple(record)[2:]
    width = len(SentRow._fields)
    return Row(SentRow(*columns[:width]), *columns[width:])


def _bounds(wanted: Filter, before: bytes | None, after: bytes | None) -> tuple[bytes, bytes]:
    low, high = after or b"", before or _PAST_ALL
    since = wanted.since
    if wanted.text is not None:
        oldest = datetime.now(UTC) - timedelta(days=TEXT_DAYS)
        since = max(since or oldest, oldest)
    if since is not None:
        low = max(low, _first_id(since))
    if wanted.until is not None:
        high = min(high, _first_id(wanted.until))
    return low, high


def _first_id(moment: datetime) -> bytes:
    return first_id_at(max(0, (moment - _EPOCH) // timedelta(milliseconds=1)))


def _literal(text: str) -> str:
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
