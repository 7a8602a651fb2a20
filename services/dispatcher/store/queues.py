"""Queues as small numbers: what decides which phone may send a message, interned once."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.dispatcher.routing import QueueKey
from shared.db.pool import Pool


class ReadyCount(NamedTuple):
    """How many messages of a queue became ready."""

    queue: int
    messages: int


class Queues:
    """Knows every queue that it was asked for; a queue's meaning never changes."""

    def __init__(self, pool: Pool) -> None:
        """Uses this pool."""
        self._pool = pool
        self._queues: dict[QueueKey, int] = {}
        self._keys: dict[int, QueueKey] = {}

    async def intern(self, keys: Sequence[QueueKey]) -> list[int]:
        """The ids of these queues, in their order, made where they were missing."""
        if missing := list(dict.fromkeys(key for key in keys if key not in self._queues)):
            await self._pool.execute(_MAKE_QUEUES, *zip(*missing, strict=True))
            for row in await self._pool.fetch(_FIND_QUEUES, *zip(*missing, strict=True)):
                key = QueueKey(row["account_id"], row["device_id"], row["sim"], row["channel"])
                self._queues[key] = row["id"]
                self._keys[row["id"]] = key
        return [self._queues[key] for key in keys]

    async def keys_of(self, queues: Iterable[int]) -> dict[int, QueueKey]:
        """What these queue ids stand for."""
        wanted = set(queues)
        if missing := [queue for queue in wanted if queue not in self._keys]:
            for row in await self._pool.fetch("select * from queues where id = any($1)", missing):
                self._keys[row["id"]] = QueueKey(row["account_id"], row["device_id"], row["sim"], row["channel"])
        return {queue: self._keys[queue] for queue in wanted if queue in self._keys}


_MAKE_QUEUES = """
insert into queues (account_id, device_id, sim, channel)
select * from unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[])
order by 1, 2, 3, 4
on conflict do nothing
"""

_FIND_QUEUES = """
select q.* from queues q
join unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[]) as k (account_id, device_id, sim, channel)
on q.account_id = k.account_id and q.channel = k.channel
and q.device_id is not distinct from k.device_id and q.sim is not distinct from k.sim
"""
