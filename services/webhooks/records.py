"""Answers the questions of `rpc.webhooks.*` about deliveries: lists, attempts, replays."""

import secrets
import uuid
from typing import Final

import structlog

from services.webhooks import checks
from services.webhooks.store.deliveries import Deliveries
from services.webhooks.store.replays import Replays, Selection
from shared.contracts.rpc import deliveries as contract
from shared.errors import Invalid, NotFound

log = structlog.get_logger()

MAX_DELIVERIES: Final = 500
MAX_ATTEMPTS: Final = 100


class Records:
    """One method a question."""

    def __init__(self, deliveries: Deliveries, replays: Replays) -> None:
        """Answers from these rows."""
        self._deliveries = deliveries
        self._replays = replays

    async def deliveries(self, request: contract.ListDeliveries) -> contract.Deliveries:
        """A page of deliveries. Raises Invalid (`invalid_limit`, `invalid_event`)."""
        try:
            event = None if request.event is None else str(uuid.UUID(request.event))
        except ValueError:
            raise Invalid("An event's id is a UUID.", code="invalid_event") from None
        found = await self._deliveries.newest(
            request.account,
            endpoint=request.endpoint,
            event=event,
            states=request.states,
            before=request.before,
            limit=checks.limit(request.limit, MAX_DELIVERIES),
        )
        return contract.Deliveries(found)

    async def attempts(self, request: contract.ListAttempts) -> contract.Attempts:
        """A delivery with its posts. Raises Invalid (`invalid_limit`) and NotFound."""
        limit = checks.limit(request.limit, MAX_ATTEMPTS)
        found = await self._deliveries.attempts(request.account, request.delivery, request.number, limit)
        if found is None:
            raise NotFound("There is no such delivery in this account.")
        return found

    async def replay(self, request: contract.CreateReplay) -> contract.ReplayCreated:
        """Begins a replay, or only counts. Raises Invalid (`invalid_replay`), Conflict and NotFound."""
        selection = Selection(
            account=request.account,
            endpoint=request.endpoint,
            events=checks.event_ids(request.events),
            since=checks.moment(request.since),
            until=checks.moment(request.until),
            types=checks.kept_types(request.types, "invalid_replay"),
            states=request.states,
        )
        if request.dry_run:
            matched = await self._replays.count(selection)
            if matched is None:
                raise _unknown()
            return contract.ReplayCreated(matched=matched, replay=None)
        replay = await self._replays.create(f"rp_{secrets.token_hex(8)}", selection)
        if replay is None:
            raise _unknown()
        log.info("replay begun", account=request.account, endpoint=request.endpoint, replay=replay.id)
        return contract.ReplayCreated(matched=replay.matched, replay=replay)

    async def replays(self, request: contract.ListReplays) -> contract.Replays:
        """Replays and how far they are. Raises NotFound when the one asked for is not there."""
        found = await self._replays.shown(request.account, request.endpoint, request.id)
        if request.id is not None and not found:
            raise NotFound("There is no such replay in this account.")
        return contract.Replays(found)

    async def cancel(self, request: contract.CancelReplay) -> contract.ReplayShown:
        """Stops a replay. Raises Conflict (`replay_over`) and NotFound."""
        replay = await self._replays.cancel(request.account, request.id)
        if replay is None:
            raise NotFound("There is no such replay in this account.")
        log.info("replay canceled", account=request.account, replay=request.id)
        return contract.ReplayShown(replay)


def _unknown() -> NotFound:
    return NotFound("There is no such webhook in this account.")
