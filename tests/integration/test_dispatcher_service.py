"""The dispatcher whole, on real NATS and Postgres: envelopes in, rows and events out, poison apart."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from nats.aio.client import Client

from services.dispatcher.app import open_service
from services.dispatcher.settings import DispatcherSettings
from shared.bus.rpc import RpcClient
from shared.contracts import registry
from shared.contracts.commands import Recipient
from shared.contracts.envelope import Envelope, decode_envelope, encode_envelope, encode_item
from shared.contracts.events import Event
from shared.contracts.phone import Outcome
from shared.contracts.reports import AttemptReported
from shared.contracts.rpc.messages import ListDead, ShowMessage
from shared.contracts.rpc.phones import Lease, TakeAttempts
from shared.db.pool import Pool
from shared.errors import NotFound, StaleSession
from shared.model.ids import MessageId, attempt_id, parse_attempt_id
from shared.runtime.settings import ServiceSettings
from tests.conftest import Eventually
from tests.support.auths import hang_up
from tests.support.dispatching import ACCOUNT, hello, submit_sms
from tests.support.servers import Servers


@pytest.fixture
async def dispatcher(settings: ServiceSettings, nats_client: Client, pool: Pool) -> AsyncIterator[RpcClient]:
    own = DispatcherSettings(**msgspec.structs.asdict(settings))
    async with open_service(own):
        yield RpcClient(nats_client)


async def publish(client: Client, subject: str, *items: bytes) -> None:
    await client.jetstream().publish(subject, encode_envelope(items))


async def events(client: Client) -> list[Event]:
    """What stands on the EVENTS stream, read without its consumer."""
    jetstream = client.jetstream()
    info = await jetstream.stream_info("EVENTS")
    found: list[Event] = []
    for sequence in range(info.state.first_seq, info.state.last_seq + 1):
        message = await jetstream.get_msg("EVENTS", sequence)
        found += [msgspec.msgpack.decode(item, type=Event) for item in decode_envelope(message.data or b"")]
    return found


async def test_a_message_goes_from_the_command_to_a_delivered_event(
    dispatcher: RpcClient, nats_client: Client, pool: Pool, eventually: Eventually
) -> None:
    greeting = hello()
    session = await dispatcher.ask(registry.DISPATCHER_HELLO, greeting)
    wakes = await nats_client.subscribe(registry.wake_subject(greeting.device))
    command = submit_sms("+15550001")
    await publish(nats_client, registry.SUBMIT_SINGLE, encode_item(command))
    await wakes.next_msg(timeout=5)
    ask = Lease(account=ACCOUNT, device=greeting.device, session=session.session, places={1: 2, 2: 2}, held=[])
    jobs = (await dispatcher.ask(registry.DISPATCHER_LEASE, ask)).jobs
    assert [(job.number, job.text) for job in jobs] == [("+15550001", "hello")]
    held = msgspec.structs.replace(ask, held=[jobs[0].attempt])
    assert (await dispatcher.ask(registry.DISPATCHER_LEASE, held)).jobs == []
    take = TakeAttempts(
        account=ACCOUNT, device=greeting.device, session=session.session, attempts=[jobs[0].attempt, "nonsense"]
    )
    assert (await dispatcher.ask(registry.DISPATCHER_TAKE, take)).attempts == [jobs[0].attempt]
    parsed = parse_attempt_id(jobs[0].attempt)
    assert parsed is not None
    outcomes: list[tuple[Outcome, float]] = [("delivered", 1_800_000_000.0), ("sent", 1_700_000_000.0)]
    reports = [
        AttemptReported(account=ACCOUNT, device=greeting.device, message=parsed[0], number=1, state=state, at=at)
        for state, at in outcomes
    ]
    await publish(nats_client, registry.REPORT_ATTEMPT, *(encode_item(report) for report in reports))

    async def told() -> bool:
        return [event.type for event in await events(nats_client)][-2:] == ["sms.sent", "sms.delivered"]

    await eventually(told)
    story = await dispatcher.ask(registry.DISPATCHER_MESSAGE_SHOW, ShowMessage(message=command.recipients[0].id))
    assert story.state == "delivered"
    assert [change.state for change in story.changes] == ["accepted", "taken", "sent", "delivered"]
    assert story.waiting is None
    assert await pool.fetchval("select count(*) from outbox") == 0


POISON: dict[str, dict[str, Any]] = {
    "a NUL in the text": {"text": "a\0b"},
    "a date in the year 5000": {"scheduled_at": dt.datetime(5000, 1, 1, tzinfo=dt.UTC).timestamp()},
    "a priority out of range": {"priority": 40_000},
    "a number with a NUL": {"recipients": None},
}


@pytest.mark.parametrize("poison", POISON, ids=lambda name: name.replace(" ", "-"))
async def test_one_bad_command_among_255_good_ones_stands_alone(
    dispatcher: RpcClient, nats_client: Client, pool: Pool, eventually: Eventually, poison: str
) -> None:
    good = [submit_sms(f"+1555{number:04}") for number in range(255)]
    bad = submit_sms("+19990000")
    changes = dict(POISON[poison])
    if "recipients" in changes:
        changes["recipients"] = [Recipient(bad.recipients[0].id, "+1\0")]
    bad = msgspec.structs.replace(bad, **changes)
    items = [encode_item(command) for command in [*good[:100], bad, *good[100:]]]
    await publish(nats_client, registry.SUBMIT_SINGLE, *items)

    async def settled() -> bool:
        return bool(await pool.fetchval("select count(*) from messages") == 256)

    await eventually(settled)
    assert await pool.fetchval("select count(*) from work") == 255
    row = await pool.fetchrow("select state, reason from messages where id = $1", bad.recipients[0].id)
    assert row is not None
    assert tuple(row) == ("failed", "rejected")
    letters = (await dispatcher.ask(registry.DISPATCHER_DEAD_LIST, ListDead())).letters
    assert [(letter.source, letter.account) for letter in letters] == [(registry.SUBMIT_SINGLE, ACCOUNT)]


async def test_items_and_envelopes_that_cannot_be_decoded_are_dead_letters(
    dispatcher: RpcClient, nats_client: Client, pool: Pool, eventually: Eventually
) -> None:
    surrogate = msgspec.msgpack.encode(msgspec.to_builtins(submit_sms("+1", text="SURROGATE"), builtin_types=(bytes,)))
    surrogate = surrogate.replace(b"SURROGATE", b"S\xed\xa0\x80ROGAT")
    await publish(nats_client, registry.SUBMIT_SINGLE, encode_item(submit_sms("+15550001")), surrogate, b"\x01")
    await nats_client.jetstream().publish(registry.SUBMIT_SINGLE, b"no envelope")
    await nats_client.jetstream().publish(registry.SUBMIT_SINGLE, msgspec.msgpack.encode(Envelope([])))

    async def settled() -> bool:
        dead: int = await pool.fetchval("select count(*) from dead_letters")
        stored: int = await pool.fetchval("select count(*) from messages")
        return (dead, stored) == (3, 1)

    await eventually(settled)

    async def emptied() -> bool:
        return (await nats_client.jetstream().stream_info("COMMANDS")).state.messages == 0

    await eventually(emptied)


async def test_a_stale_session_is_refused_and_an_unknown_message_is_not_found(dispatcher: RpcClient) -> None:
    greeting = hello()
    first = await dispatcher.ask(registry.DISPATCHER_HELLO, greeting)
    await dispatcher.ask(registry.DISPATCHER_HELLO, greeting)
    ask = Lease(account=ACCOUNT, device=greeting.device, session=first.session, places={1: 1}, held=[])
    with pytest.raises(StaleSession):
        await dispatcher.ask(registry.DISPATCHER_LEASE, ask)
    with pytest.raises(NotFound):
        await dispatcher.ask(registry.DISPATCHER_MESSAGE_SHOW, ShowMessage(message=b"x" * 20))
    nobody = TakeAttempts(account=ACCOUNT, device="d" * 21, session=1, attempts=[attempt_id(MessageId(b"x" * 20), 1)])
    assert (await dispatcher.ask(registry.DISPATCHER_TAKE, nobody)).attempts == []


async def test_postgres_away_for_a_while_loses_nothing_and_buries_nothing(
    dispatcher: RpcClient, nats_client: Client, pool: Pool, eventually: Eventually, servers: Servers, database: str
) -> None:
    name = urlsplit(database).path.removeprefix("/")
    admin = await asyncpg.connect(servers.database_url, timeout=10)
    await admin.execute(f'alter database "{name}" allow_connections false')
    await hang_up(admin, name)
    await publish(nats_client, registry.SUBMIT_SINGLE, encode_item(submit_sms("+15550001")))

    async def held() -> bool:
        durable = registry.DISPATCHER_SINGLE
        info = await nats_client.jetstream().consumer_info(durable.stream.name, durable.name)
        return bool(info.num_ack_pending == 1)

    await eventually(held)
    await admin.execute(f'alter database "{name}" allow_connections true')
    await admin.close()

    async def stored() -> bool:
        return bool(await pool.fetchval("select count(*) from messages") == 1)

    await eventually(stored)
    assert await pool.fetchval("select count(*) from dead_letters") == 0
