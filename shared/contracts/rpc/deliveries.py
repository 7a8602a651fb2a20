"""Questions about deliveries that only webhooks can answer: what became of them, replays, and events page by page.

Times are Unix seconds. Whatever names another account's delivery, endpoint or replay is answered with NotFound.
"""

from typing import Literal

import msgspec

DeliveryState = Literal["pending", "delivered", "exhausted", "expired", "canceled"]
Lane = Literal["live", "replay"]
ReplayState = Literal["running", "done", "canceled"]
Replayable = Literal["delivered", "exhausted", "expired", "canceled", "missing"]
"""`missing`: the endpoint never had a delivery of the event, because it was made later or filtered it out."""


class ListDeliveries(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.delivery_list.v1"):
    """Deliveries of an account, newest first. `before`: only those with a smaller id (the last one of a page)."""

    account: int
    endpoint: str | None = None
    event: str | None = None
    states: list[DeliveryState] = msgspec.field(default_factory=list)
    before: int | None = None
    limit: int = 100


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint. `attempts` counts those of its ten that are used up, `tries` all posts of it.

    `event` is the webhook-id of every try. `next_attempt_at` None: at rest. `last_error` as of an endpoint.
    """

    id: int
    event: str
    endpoint: str
    type: str
    state: DeliveryState
    lane: Lane
    attempts: int
    tries: int
    created_at: float
    next_attempt_at: float | None
    ended_at: float | None
    last_error: str | None
    replay: str | None


class Deliveries(msgspec.Struct, frozen=True, tag="deliveries"):
    """Deliveries, newest first."""

    deliveries: list[Delivery]


class ListAttempts(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.attempt_list.v1"):
    """The posts of a delivery, newest first, with the first 2 KiB of each answer; `number` set: that one, whole."""

    account: int
    delivery: int
    number: int | None = None
    limit: int = 50


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One post. `outcome` `running`: under way; `unknown`: its worker died, so nobody knows what came of it.

    `error` is the class of failure (dns, connect, tls, timeout, reset, blocked, redirect, bad_response, status, gone,
    secret). The phases are None where they did not happen or were not needed. `response_head` is at most 16 KiB.
    """

    number: int
    outcome: Literal["running", "delivered", "failed", "unknown"]
    started_at: float
    duration_ms: int | None = None
    status: int | None = None
    error: str | None = None
    detail: str | None = None
    dns_ms: int | None = None
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_byte_ms: int | None = None
    remote_address: str | None = None
    response_headers: list[tuple[str, str]] = msgspec.field(default_factory=list)
    response_head: bytes = b""


class Attempts(msgspec.Struct, frozen=True, kw_only=True, tag="attempts"):
    """The delivery with its body and its posts."""

    delivery: Delivery
    body: bytes
    attempts: list[Attempt]


class CreateReplay(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.replay_create.v1"):
    """Deliver events again to an endpoint, each under its own id, beside and behind live traffic.

    Which: of the account's kept events those of `events` (ids; empty: all) that came between `since` and `until`, of
    these `types`, and whose delivery is in one of `states`. What is pending is not touched and not counted. The
    endpoint's filter does not apply. `dry_run`: only count. Refused with `invalid_replay`, Conflict `replay_running`
    while the endpoint has one.
    """

    account: int
    endpoint: str
    events: list[str] = msgspec.field(default_factory=list)
    since: float | None = None
    until: float | None = None
    types: list[str] = msgspec.field(default_factory=list)
    states: list[Replayable] = msgspec.field(
        default_factory=lambda: ["delivered", "exhausted", "expired", "canceled", "missing"]
    )
    dry_run: bool = False


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay is. `matched` events were counted at its start, `queued` have become deliveries so far.

    `skipped`: events that cannot be told any more, because their text was deleted or the format knows no such type.
    `state` done: everything is queued; what is neither delivered, exhausted nor canceled is still under way.
    """

    id: str
    endpoint: str
    state: ReplayState
    matched: int
    queued: int
    skipped: int
    delivered: int
    exhausted: int
    canceled: int
    created_at: float
    ended_at: float | None


class ReplayCreated(msgspec.Struct, frozen=True, kw_only=True, tag="replay_created"):
    """How many events match; `replay` None for a dry run."""

    matched: int
    replay: Replay | None


class ListReplays(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.replay_list.v1"):
    """An account's replays, newest first, at most 100; `id` set: that one."""

    account: int
    endpoint: str | None = None
    id: str | None = None


class Replays(msgspec.Struct, frozen=True, tag="replays"):
    """Replays, newest first."""

    replays: list[Replay]


class CancelReplay(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.replay_cancel.v1"):
    """Stop a replay: what has not been delivered again goes back to what it was before. Conflict `replay_over`."""

    account: int
    id: str


class ReplayShown(msgspec.Struct, frozen=True, tag="replay_shown"):
    """A replay after a change."""

    replay: Replay


class PageEvents(msgspec.Struct, frozen=True, kw_only=True, tag="webhooks.event_page.v1"):
    """The account's events behind the cursor `after` (an answer's `next`; None: from the oldest kept one).

    `types` empty: all. At most `limit` (1 to 500) events and 512 KiB. Refused with `invalid_cursor`, `invalid_limit`.
    """

    account: int
    after: str | None = None
    limit: int = 100
    types: list[str] = msgspec.field(default_factory=list)


class EventPage(msgspec.Struct, frozen=True, kw_only=True, tag="event_page"):
    """Each event as the JSON of its v2 body, in the order of the cursor, none twice and none missed.

    `next` is the cursor behind the last one, also of an empty page; `more`: there are events behind it now. Events that
    cannot be told any more, because their text was deleted, are left out.
    """

    bodies: list[bytes]
    next: str
    more: bool
