"""Builders for tests about webhooks: an account with endpoints, texts and events, as other services leave them."""

import os
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from services.webhooks.client import Outcome
from services.webhooks.requests import sealed_secret
from services.webhooks.signing import new_secret
from services.webhooks.store.claims import Claimed
from services.webhooks.store.endpoints import Chosen, Endpoints
from services.webhooks.store.partitions import Partitions
from services.webhooks.store.results import Completion
from shared.bus.publisher import Publisher
from shared.contracts.envelope import encode_item
from shared.contracts.events import Event
from shared.contracts.rpc.webhooks import ClassicSettings, Filter
from shared.db.pool import Pool
from shared.security.vault import Vault

NOWHERE = "http://127.0.0.1:9/"


class World:
    """An account's webhooks in the database, and what happens to them from outside."""

    def __init__(self, pool: Pool, vault: Vault, publisher: Publisher | None = None) -> None:
        self.pool = pool
        self._vault = vault
        self._publisher = publisher

    @classmethod
    async def on(cls, pool: Pool, vault: Vault) -> "World":
        """A world for stores alone: with its partitions, without a service."""
        await Partitions(pool).make_ahead()
        return cls(pool, vault)

    async def account(self, name: str = "acme") -> int:
        return int(await self.pool.fetchval("insert into accounts (name) values ($1) returning id", name))

    async def endpoint(
        self,
        account: int,
        url: str = NOWHERE,
        *,
        format: str = "classic",
        filter: Filter | None = None,
        secret: str | None = None,
        **values: Any,
    ) -> str:
        """An endpoint; `values` are columns of its rows that are set afterwards."""
        endpoint = f"wh_{secrets.token_hex(6)}"
        chosen = Chosen(
            url=url,
            description="",
            filter=filter or Filter(),
            classic=ClassicSettings(),
            header_names=[],
            auth=None,
            max_window=values.pop("max_window", 32),
        )
        signing = sealed_secret(self._vault, endpoint, secret or new_secret())
        assert await Endpoints(self.pool).create(endpoint, account, format, chosen, signing, None)
        for name, value in values.items():
            table, key = ("endpoints", "id") if name in ("state", "reason") else ("endpoint_state", "endpoint_id")
            await self.pool.execute(f"update {table} set {name} = $2 where {key} = $1", endpoint, value)
        return endpoint

    async def text(self, account: int, text: str = "hello", **values: Any) -> Event:
        """A text in the inbox and the event that tells of it."""
        device, sim, number = values.get("device", "d"), values.get("sim"), values.get("number", "+15551234567")
        inbox = await self.pool.fetchval(
            """
            insert into inbox (account_id, device_id, sim, number, text, received_at, utc_offset_min, fingerprint)
            values ($1, $2, $3, $4, $5, '2026-03-27 09:22:54.316Z', 480, $6) returning id
            """,
            account,
            device,
            sim,
            number,
            text,
            os.urandom(32),
        )
        return Event(
            id=str(uuid.uuid4()),
            account=account,
            type="sms.received",
            occurred_at=datetime.now(UTC).timestamp(),
            inbox=inbox,
            device=device,
            sim=sim,
        )

    async def publish(self, *events: Event) -> None:
        assert self._publisher is not None
        for first in range(0, len(events), 200):
            await self._publisher.publish_envelope([encode_item(event) for event in events[first : first + 200]])

    async def due(self, account: int, endpoint: str, count: int, *, in_s: float = 0.0) -> None:
        """Deliveries that are due, or will be, without events."""
        await self.pool.execute(
            """
            with made as (
                insert into deliveries (event_id, endpoint_id, account_id, type, body, next_attempt_at)
                select gen_random_uuid(), $2, $1, 'sms.received', '{}', now() + $4::float8 * interval '1 second'
                from generate_series(1, $3)
            )
            update endpoint_state set pending = pending + $3 where endpoint_id = $2
            """,
            account,
            endpoint,
            count,
            in_s,
        )

    async def deliveries(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.pool.fetch("select * from deliveries order by id")]

    async def attempts(self) -> list[dict[str, Any]]:
        rows = await self.pool.fetch("select * from delivery_attempts order by delivery_id, number, started_at")
        return [dict(row) for row in rows]

    async def state(self, endpoint: str) -> dict[str, Any]:
        """The endpoint's hot row."""
        row = await self.pool.fetchrow("select * from endpoint_state where endpoint_id = $1", endpoint)
        assert row is not None
        return dict(row)

    async def told(self) -> list[tuple[str, str]]:
        """Events that webhooks has to tell: type and endpoint."""
        rows = await self.pool.fetch("select type, endpoint_id from endpoint_events order by id")
        return [(row["type"], row["endpoint_id"]) for row in rows]

    async def all_are(self, state: str) -> bool:
        states = {row["state"] for row in await self.pool.fetch("select distinct state from deliveries")}
        return states == {state}

    async def skip_waiting(self) -> None:
        """As if the time until the next attempt, or the end of a lease, had passed."""
        await self.pool.execute("update deliveries set next_attempt_at = now() where state = 'pending'")


def delivered(claimed: Claimed) -> Completion:
    """It was taken."""
    return Completion(claimed, Outcome(status=200, duration_ms=5))


def failed(claimed: Claimed, error: str = "status", status: int | None = 500, **values: Any) -> Completion:
    """It was refused."""
    fields: dict[str, Any] = {"retry_s": 5.0} | values
    return Completion(claimed, Outcome(status=status, error=error, detail="It answered no.", duration_ms=5), **fields)
