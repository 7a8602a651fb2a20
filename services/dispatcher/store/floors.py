"""Where the living rows of an index begin: lets leases pass over dead entries that an old snapshot keeps there.

While some transaction stays open for long (a dump, a report), Postgres may remove nothing that it could still see.
Every message leaves entries behind at the very place where the next lease looks, and each lease would read them all.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Iterable, Sequence
from typing import Final

from shared.db.pool import STATEMENT_TIMEOUT_S, Pool

REFRESH_S: Final = 1.0
"""Work that another replica gave back to its queue, with a tag below the floor, waits this long at most."""

MAX_SESSIONS: Final = 100_000
NO_TIME: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_YOUNGEST: Final = dt.timedelta(seconds=STATEMENT_TIMEOUT_S)
"""No lease is older than this when its transaction ends, so nobody leases further into the past."""


class Floors:
    """Lower bounds: exact for what a session holds, a hint that is renewed each second for what is ready."""

    def __init__(self, pool: Pool) -> None:
        """Knows nothing yet, and so passes over nothing."""
        self._pool = pool
        self._sessions: dict[tuple[str, int], dt.datetime] = {}
        self._queues: dict[int, int] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    def of_session(self, device: str, session: int) -> dt.datetime:
        """The session holds nothing that was leased before this."""
        return self._sessions.get((device, session), NO_TIME)

    def learn(self, device: str, session: int, at: dt.datetime, held: Sequence[dt.datetime]) -> None:
        """A lease at `at` found the session with all that was leased at these times, and no more."""
        if len(self._sessions) >= MAX_SESSIONS:
            self._sessions.clear()
        self._sessions[(device, session)] = min([at - _YOUNGEST, *held])

    def forget(self, queues: Iterable[int]) -> None:
        """Something came back to these queues that may stand below their floors."""
        for queue in queues:
            self._queues.pop(queue, None)

    async def of_queues(self, queues: Sequence[int]) -> list[int]:
        """The tags below which these queues had nothing ready a second ago; 0 for one that was not looked at."""
        if time.monotonic() - self._read_at > REFRESH_S and not self._reading.locked():
            async with self._reading:
                self._read_at = time.monotonic()
                rows = await self._pool.fetch(_FLOORS)
                self._queues = {row["queue"]: row["floor"] for row in rows}
        return [self._queues.get(queue, 0) for queue in queues]


# The lowest tag over all priorities of the queues that have ready work; each by index steps. A queue that has none
# begins again where its last lane ended (store/lanes.py).
_FLOORS = """
with recursive steps as (
    (select queue, prio from work where state = 'ready' order by queue, prio desc limit 1)
    union all
    select n.* from steps s cross join lateral (
        (
            select queue, prio from work where state = 'ready' and queue = s.queue and prio < s.prio
            order by prio desc limit 1
        )
        union all
        (
            select queue, prio from work where state = 'ready' and queue > s.queue
            order by queue, prio desc limit 1
        )
        limit 1
    ) n
), heads as (
    select s.queue, h.tag from steps s cross join lateral (
        select tag from work w where w.state = 'ready' and w.queue = s.queue and w.prio = s.prio order by tag limit 1
    ) h
)
select queue, min(tag) as floor from heads group by queue
"""
