"""The commands of `smsfleet webhook` about deliveries: what became of each event, attempts, replays."""

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from services.cli.rpc import DONE, FAILED, account_called, asking, command, facts, moment, show, table
from services.cli.spans import moment_or_ago, span

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.deliveries import (
        Attempt,
        Attempts,
        Deliveries,
        Delivery,
        Replay,
        ReplayCreated,
        Replays,
    )

POLL_S = 1.0
FAILED_STATES = ["exhausted", "expired"]
STATES = ("pending", "delivered", "exhausted", "expired", "canceled")


def add_commands(commands: Any) -> None:
    """Add the commands."""
    listing = command(commands, "deliveries", _deliveries, "list what became of a webhook's events", account=True)
    listing.add_argument("id", help="the webhook's id")
    listing.add_argument("--event", metavar="ID", help="only of this event")
    listing.add_argument("--state", choices=STATES, action="append", default=[], help="only in it; again for more")
    listing.add_argument("--before", type=int, metavar="DELIVERY", help="only older ones")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="how many at most (default: 50)")
    attempts = command(commands, "attempts", _attempts, "list the attempts of a delivery", account=True)
    attempts.add_argument("delivery", type=int, help="its number in `webhook deliveries`")
    attempts.add_argument("--attempt", type=int, metavar="N", help="only this one, with its whole answer")
    _add_replay(commands)
    replays = command(commands, "replays", _replays, "list a webhook's replays and how far they are", account=True)
    replays.add_argument("id", help="the webhook's id")


def _add_replay(commands: Any) -> None:
    replay = command(commands, "replay", _replay, "send events to a webhook once more", account=True)
    replay.add_argument("id", help="the webhook's id")
    replay.add_argument("--event", metavar="ID", action="append", default=[], help="this event; again for more")
    replay.add_argument(
        "--since", type=moment_or_ago, metavar="TIME", help="not older, such as 2026-12-24T18:00 or 24h"
    )
    replay.add_argument("--until", type=moment_or_ago, metavar="TIME", help="not newer")
    replay.add_argument("--type", metavar="TYPE", action="append", default=[], help="of this type; again for more")
    replay.add_argument("--failed", action="store_true", help="what was exhausted or has expired")
    replay.add_argument("--missing", action="store_true", help="what the webhook was never to get")
    replay.add_argument("--all", action="store_true", help="every event that is kept")
    replay.add_argument("--dry-run", action="store_true", help="only count")
    replay.add_argument("--wait", type=span, dest="wait_s", metavar="SPAN", help="watch it for so long, such as 10m")
    replay.add_argument("--cancel", nargs="?", const="", metavar="REPLAY", help="stop this replay, or the newest one")


def _deliveries(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.deliveries import ListDeliveries

    async def work(rpc: "RpcClient") -> "Deliveries":
        account = await account_called(rpc, args.account)
        request = ListDeliveries(
            account=account.id,
            endpoint=args.id,
            event=args.event,
            states=args.state,
            before=args.before,
            limit=args.limit,
        )
        found = await rpc.ask(registry.WEBHOOKS_DELIVERY_LIST, request)
        if not found.deliveries:
            await _check(rpc, account.id, args.id)
        return found

    found = asking(work)
    rows = [
        (
            each.id,
            moment(each.created_at),
            each.event,
            each.type,
            each.state,
            each.lane,
            each.attempts,
            each.tries,
            moment(each.next_attempt_at),
            each.last_error,
        )
        for each in found.deliveries
    ]
    head = ("ID", "AT", "EVENT", "TYPE", "STATE", "LANE", "USED UP", "TRIES", "NEXT", "LAST ERROR")
    return show(args, found, table(head, rows, empty="no deliveries"))


async def _check(rpc: "RpcClient", account: int, endpoint: str) -> None:
    """Returns if the account has this webhook. Raises NotFound."""
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import ListEndpoints

    await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account, id=endpoint))


def _attempts(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.deliveries import ListAttempts

    async def work(rpc: "RpcClient") -> "Attempts":
        account = await account_called(rpc, args.account)
        request = ListAttempts(account=account.id, delivery=args.delivery, number=args.attempt)
        return await rpc.ask(registry.WEBHOOKS_ATTEMPT_LIST, request)

    found = asking(work)
    body = found.body.decode(errors="replace")
    told = {"delivery": found.delivery, "body": body, "attempts": [_told(each) for each in found.attempts]}
    if args.attempt is not None:
        return show(args, told, "\n\n".join(map(_whole, found.attempts)) or "no such attempt")
    rows = [
        (
            each.number,
            moment(each.started_at),
            each.outcome,
            each.status,
            each.error,
            each.duration_ms,
            each.remote_address,
            each.detail,
        )
        for each in found.attempts
    ]
    attempts = table(("N", "AT", "OUTCOME", "STATUS", "ERROR", "MS", "ADDRESS", "DETAIL"), rows, empty="no attempts")
    return show(args, told, f"{_facts(found.delivery, body)}\n\n{attempts}")


def _told(attempt: "Attempt") -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(attempt) | {"response_head": attempt.response_head.decode(errors="replace")}


def _facts(delivery: "Delivery", body: str) -> str:
    return facts(
        [
            ("delivery", delivery.id),
            ("event", delivery.event),
            ("type", delivery.type),
            ("webhook", delivery.endpoint),
            ("state", delivery.state),
            ("attempts used up", delivery.attempts),
            ("next attempt", moment(delivery.next_attempt_at)),
            ("ended", moment(delivery.ended_at)),
            ("replay", delivery.replay),
            ("body", body),
        ]
    )


def _whole(attempt: "Attempt") -> str:
    phases = [("dns", attempt.dns_ms), ("connect", attempt.connect_ms), ("tls", attempt.tls_ms)]
    return facts(
        [
            ("attempt", attempt.number),
            ("at", moment(attempt.started_at)),
            ("outcome", attempt.outcome),
            ("status", attempt.status),
            ("error", attempt.error),
            ("detail", attempt.detail),
            ("address", attempt.remote_address),
            ("took ms", attempt.duration_ms),
            *((f"{name} ms", took) for name, took in [*phases, ("first byte", attempt.first_byte_ms)]),
            *((f"< {name}", value) for name, value in attempt.response_headers),
            ("answer", attempt.response_head.decode(errors="replace")),
        ]
    )


def _replays(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.deliveries import ListReplays

    async def work(rpc: "RpcClient") -> "Replays":
        account = await account_called(rpc, args.account)
        found = await rpc.ask(registry.WEBHOOKS_REPLAY_LIST, ListReplays(account=account.id, endpoint=args.id))
        if not found.replays:
            await _check(rpc, account.id, args.id)
        return found

    found = asking(work)
    rows = [
        (
            each.id,
            moment(each.created_at),
            each.state,
            each.matched,
            each.queued,
            each.skipped,
            each.delivered,
            each.exhausted,
            each.canceled,
        )
        for each in found.replays
    ]
    head = ("ID", "AT", "STATE", "MATCHED", "QUEUED", "SKIPPED", "DELIVERED", "EXHAUSTED", "CANCELED")
    return show(args, found, table(head, rows, empty="no replays"))


def _replay(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.deliveries import CreateReplay
    from shared.errors import Invalid

    if args.cancel is not None:
        return _cancel(args)
    chosen = args.event or args.type or args.failed or args.missing or args.all
    if not chosen and args.since is None and args.until is None:
        raise Invalid("Say which events: --event, --since, --until, --type, --failed, --missing or --all.")
    states = [*(FAILED_STATES if args.failed else ()), *(("missing",) if args.missing else ())]

    async def work(rpc: "RpcClient") -> "tuple[ReplayCreated, Replay | None]":
        account = await account_called(rpc, args.account)
        request = CreateReplay(
            account=account.id,
            endpoint=args.id,
            events=args.event,
            since=args.since,
            until=args.until,
            types=args.type,
            dry_run=args.dry_run,
            **({"states": states} if states else {}),
        )
        made = await rpc.ask(registry.WEBHOOKS_REPLAY_CREATE, request)
        if made.replay is None or args.wait_s is None:
            return made, made.replay
        return made, await _watched(rpc, account.id, made.replay, args.wait_s, quiet=args.json)

    made, replay = asking(work)
    told = {"matched": made.matched, "replay": replay}
    if replay is None:
        return show(args, told, f"{made.matched} events would be sent once more")
    if args.wait_s is None:
        return show(args, told, f"{replay.id} sends {made.matched} events once more")
    return show(args, told, f"{replay.id} is {_progress(replay)}") or (DONE if _is_over(replay) else FAILED)


async def _watched(rpc: "RpcClient", account: int, replay: "Replay", wait_s: float, *, quiet: bool) -> "Replay":
    """The replay when it is over, or after `wait_s` seconds."""
    from shared.contracts import registry
    from shared.contracts.rpc.deliveries import ListReplays

    ends_at = time.monotonic() + wait_s
    while not _is_over(replay) and (left_s := ends_at - time.monotonic()) > 0:
        await asyncio.sleep(min(POLL_S, left_s))
        (replay,) = (await rpc.ask(registry.WEBHOOKS_REPLAY_LIST, ListReplays(account=account, id=replay.id))).replays
        if not quiet:
            print(_progress(replay), file=sys.stderr)
    return replay


def _is_over(replay: "Replay") -> bool:
    return replay.state != "running" and replay.delivered + replay.exhausted + replay.canceled >= replay.queued


def _progress(replay: "Replay") -> str:
    under_way = replay.queued - replay.delivered - replay.exhausted - replay.canceled
    return (
        f"{replay.state}: {replay.queued} of {replay.matched} queued, {replay.delivered} delivered, "
        f"{replay.exhausted} exhausted, {replay.canceled} canceled, {replay.skipped} skipped, {under_way} under way"
    )


def _cancel(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.deliveries import CancelReplay, ListReplays
    from shared.errors import NotFound

    async def work(rpc: "RpcClient") -> "Replay":
        account = await account_called(rpc, args.account)
        asked = ListReplays(account=account.id, endpoint=args.id, id=args.cancel or None)
        found = (await rpc.ask(registry.WEBHOOKS_REPLAY_LIST, asked)).replays
        if not found:
            raise NotFound("This webhook has no replay.")
        request = CancelReplay(account=account.id, id=found[0].id)
        return (await rpc.ask(registry.WEBHOOKS_REPLAY_CANCEL, request)).replay

    canceled = asking(work)
    return show(args, canceled, f"{canceled.id} is {_progress(canceled)}")
