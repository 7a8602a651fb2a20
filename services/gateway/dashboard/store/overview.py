"""How an account's messages fare: by the hour over a day, and what waits now, at the same cost whatever there is."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from services.gateway.reading import reading
from shared.db.pool import Pool
from shared.db.seen import SeenState

HOURS: Final = 24

COUNTED: Final = 10_000
"""What waits is counted so far; more is told as more."""

OLDEST: Final = 100
"""The longest wait is looked for among so many that were accepted first."""


class Hour(NamedTuple):
    """The messages accepted in the hour that began `at`, by the state that they are in now."""

    at: datetime
    states: Mapping[SeenState, int]

    @property
    def accepted(self) -> int:
        """All of them."""
        return sum(self.states.values())

    @property
    def sent(self) -> int:
        """Those that went out, delivered or not."""
        return self.states.get("sent", 0) + self.states.get("delivered", 0)

    @property
    def delivered(self) -> int:
        """Those that are known to have arrived."""
        return self.states.get("delivered", 0)

    @property
    def failed(self) -> int:
        """Those that did not go out in time, or at all."""
        return self.states.get("failed", 0) + self.states.get("expired", 0)


class Picture(NamedTuple):
    """The last hours, the oldest first and the present one last; what waits to go out now, at most COUNTED and one.

    `longest_wait_s`: since when the first of those was due; None when nothing waits.
    """

    hours: list[Hour]
    waiting: int
    longest_wait_s: float | None


class Overview:
    """Reads an account's picture. Raises Unavailable while Postgres is away or too slow."""

    def __init__(self, pool: Pool) -> None:
        """`pool` may have no connection yet, or none any more."""
        self._pool = pool

    async def read(self, account: int) -> Picture:
        """What the search knows, a second or two behind, by two statements."""
        last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        states: dict[datetime, dict[SeenState, int]] = {last - timedelta(hours=n): {} for n in reversed(range(HOURS))}
        async with reading(self._pool) as connection:
            for row in await connection.fetch(_HOURS, account, min(states)):
                states.setdefault(row["hour"], {})[row["state"]] = row["messages"]
            (waiting,) = await connection.fetch(_WAITING, account)
        return Picture(
            [Hour(at, counts) for at, counts in sorted(states.items())][-HOURS:],
            waiting["messages"],
            waiting["longest_wait_s"],
        )


_HOURS = "select hour, state, messages from tallies where account_id = $1 and hour >= $2 and messages > 0"

_WAITING = f"""
with queued as materialized (
    select place as message_id from search_states where account_id = $1 and state = 'queued'
    order by place limit {COUNTED + 1}
)
select (select count(*)::int from queued) as messages, (
    select extract(epoch from now() - min(w.due))::float8
    from (select message_id from queued order by message_id limit {OLDEST}) q
    cross join lateral (select due from work where message_id = q.message_id and state <> 'later' limit 1) w
) as longest_wait_s
"""
