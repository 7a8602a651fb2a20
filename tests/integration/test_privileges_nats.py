"""Each role of NATS says and hears what it must, and the real server refuses it everything else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import ServiceUnavailableError

from deploy.local import credentials
from deploy.local.paths import Home
from shared.bus.buckets import FirstWins
from shared.bus.connection import settled
from shared.bus.permissions import ROLES, durables
from shared.bus.provision import provision
from shared.bus.streams import oldest_stored_at
from shared.contracts import registry
from shared.contracts.registry import inbox_prefix
from tests.support.servers import running_nats
from tests.support.waiting import until

SAYS = [
    ("gateway", registry.EVENT_ENVELOPE),
    ("gateway", registry.AUTH_CHANGED),
    ("gateway", registry.wake_subject("x")),
    ("gateway", registry.live_subject(1)),
    ("gateway", registry.AUTH_ACCOUNT_CREATE.subject),
    ("gateway", registry.AUTH_ACCOUNT_LIST.subject),
    ("gateway", registry.AUTH_ACCOUNT_SET.subject),
    ("gateway", registry.AUTH_AUDIT_LIST.subject),
    ("gateway", registry.AUTH_SIGNING_ROTATE.subject),
    ("gateway", registry.DISPATCHER_DEAD_REPLAY.subject),
    ("gateway", "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.dispatcher-single"),
    ("gateway", "$JS.API.STREAM.MSG.GET.COMMANDS"),
    ("gateway", "$JS.API.STREAM.PURGE.KV_idempotency"),
    ("dispatcher", registry.AUTH_CHANGED),
    ("dispatcher", registry.AUTH_VERIFY.subject),
    ("dispatcher", registry.IDEMPOTENCY.subject("key")),
    ("dispatcher", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.webhooks-events"),
    ("dispatcher", "$JS.ACK.EVENTS.webhooks-events.1.1.1.1.1"),
    ("dispatcher", "$JS.API.STREAM.DELETE.COMMANDS"),
    ("webhooks", registry.SUBMIT_SINGLE),
    ("webhooks", registry.EVENT_ENVELOPE),
    ("webhooks", registry.REPORT_ATTEMPT),
    ("webhooks", registry.DISPATCHER_CANCEL.subject),
    ("webhooks", "$JS.ACK.COMMANDS.dispatcher-single.1.1.1.1.1"),
    ("webhooks", "$JS.ACK.hub.account.COMMANDS.dispatcher-single.1.1.1.1.1"),
    ("webhooks", "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.mine"),
    ("auth", registry.SUBMIT_SINGLE),
    ("auth", registry.DISPATCHER_HELLO.subject),
    ("auth", registry.wake_subject("x")),
    ("webhooks", registry.live_subject(1)),
    ("auth", "$JS.API.STREAM.INFO.COMMANDS"),
    ("cli", registry.SUBMIT_SINGLE),
    ("cli", registry.AUTH_CHANGED),
    ("cli", "$JS.API.STREAM.DELETE.COMMANDS"),
    ("provision", registry.SUBMIT_SINGLE),
    ("provision", registry.AUTH_ACCOUNT_CREATE.subject),
    ("provision", "$JS.API.STREAM.DELETE.COMMANDS"),
    ("provision", "$JS.API.STREAM.PURGE.EVENTS"),
    ("provision", "$JS.API.STREAM.CREATE.MINE"),
    *((role, "$SYS.REQ.SERVER.PING") for role in ROLES),
    *((role, f"{inbox_prefix('gateway')}.x") for role in ROLES if role != "gateway"),
    *((role, "anything.else") for role in ROLES),
]
"""What each role must not publish."""

HEARS = [
    ("gateway", registry.SUBMIT_SINGLE, ""),
    ("gateway", registry.AUTH_VERIFY.subject, "auth"),
    ("dispatcher", registry.SUBMIT_SINGLE, ""),
    ("dispatcher", registry.DISPATCHER_HELLO.subject, ""),
    ("dispatcher", registry.DISPATCHER_HELLO.subject, "mine"),
    ("dispatcher", registry.AUTH_TOKEN_ISSUE.subject, "auth"),
    ("dispatcher", registry.wake_subject("x"), ""),
    ("dispatcher", registry.ALL_LIVE, ""),
    ("webhooks", registry.live_subject(1), ""),
    ("webhooks", registry.EVENT_ENVELOPE, ""),
    ("webhooks", registry.REPORT_RECEIVED, ""),
    ("webhooks", "$KV.>", ""),
    ("auth", registry.REPORT_RECEIVED, ""),
    ("auth", registry.WEBHOOKS_ENDPOINT_CREATE.subject, "webhooks"),
    ("cli", registry.EVENT_ENVELOPE, ""),
    ("provision", registry.EVENT_ENVELOPE, ""),
    *((role, ">", "") for role in ROLES),
    *((role, "_INBOX.>", "") for role in ROLES),
    *((role, f"{inbox_prefix(other)}.>", "") for role in ROLES for other in ROLES if other != role),
]
"""What each role must not subscribe to, and in which queue group."""


class Role:
    """A connection as one role, and what the server refused it."""

    def __init__(self) -> None:
        """Not connected yet."""
        self.client: Client
        self.refused: list[str] = []

    async def heard(self, error: Exception) -> None:
        """nats-py's callback."""
        self.refused.append(str(error))

    async def refuses(self, act: Callable[[], Awaitable[object]], subject: str) -> None:
        """The server answers this act with a permissions violation that names the subject."""
        self.refused.clear()
        await act()
        await settled(self.client)

        async def told() -> bool:
            return any(
                "permissions violation" in each.lower() and subject.lower() in each.lower() for each in self.refused
            )

        await until(told, f"{subject} is refused, not {self.refused}", within_s=5)


@pytest.fixture(scope="module")
async def roles(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Role]]:
    """A NATS as every installation has it, provisioned by the role for that, and a connection as each role."""
    home = Home(tmp_path_factory.mktemp("nats") / "home")
    home.make()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(running_nats(home))
        connected = {name: Role() for name in ROLES}
        for name, role in connected.items():
            role.client = await nats.connect(
                url,
                nkeys_seed=str(credentials.nats_seed_file(home, name)),
                inbox_prefix=inbox_prefix(name),
                error_cb=role.heard,
                allow_reconnect=False,
            )
            stack.push_async_callback(role.client.close)
        await provision(connected["provision"].client)
        await provision(connected["provision"].client)
        assert connected["provision"].refused == []
        yield connected


@pytest.mark.parametrize("name", ROLES)
async def test_a_role_says_nothing_that_is_not_its_own(roles: dict[str, Role], name: str) -> None:
    role = roles[name]
    for subject in (subject for whose, subject in SAYS if whose == name):
        await role.refuses(partial(role.client.publish, subject, b""), subject)


@pytest.mark.parametrize("name", ROLES)
async def test_a_role_hears_nothing_that_is_not_its_own(roles: dict[str, Role], name: str) -> None:
    role = roles[name]
    for subject, queue in ((subject, queue) for whose, subject, queue in HEARS if whose == name):
        await role.refuses(partial(role.client.subscribe, subject, queue), subject)


@pytest.mark.parametrize("durable", registry.DURABLES, ids=lambda durable: durable.name)
async def test_a_service_fetches_and_acknowledges_from_its_own_consumer(
    roles: dict[str, Role], durable: registry.Durable
) -> None:
    role = roles[durable.service]
    role.refused.clear()
    filler = roles["dispatcher"].client.jetstream()
    await filler.publish(durable.subject, b"x", stream=durable.stream.name)
    jetstream = role.client.jetstream()
    prefix = f"{inbox_prefix(durable.service)}.".encode()
    fetching = await jetstream.pull_subscribe(
        durable.subject, durable=durable.name, stream=durable.stream.name, inbox_prefix=prefix
    )
    (message,) = await fetching.fetch(1, timeout=5)
    await message.in_progress()
    await message.ack_sync(timeout=5)
    # As a server writes it that names domain and account.
    await role.client.publish(f"$JS.ACK.hub.account.{durable.stream.name}.{durable.name}.1.1.1.1.1", b"")
    await settled(role.client)
    assert role.refused == []
    assert (await jetstream.consumer_info(durable.stream.name, durable.name)).num_ack_pending == 0


async def test_the_gateway_does_all_that_it_needs(roles: dict[str, Role]) -> None:
    gateway, dispatcher = roles["gateway"], roles["dispatcher"]
    gateway.refused.clear()
    for stream in (registry.COMMANDS, registry.REPORTS):
        for subject in stream.subjects:
            await gateway.client.jetstream().publish(subject, b"x", stream=stream.name, timeout=5)
    once = FirstWins(gateway.client.jetstream(), registry.IDEMPOTENCY)
    assert await once.create("key", b"first") == b"first"
    assert await once.create("key", b"second") == b"first"
    assert await oldest_stored_at(gateway.client, registry.COMMANDS)
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    await gateway.client.subscribe(registry.wake_subject("x"), cb=heard.put)
    await settled(gateway.client)
    await dispatcher.client.publish(registry.wake_subject("x"), b"")
    await asyncio.wait_for(heard.get(), 5)
    assert gateway.refused == []


async def test_a_question_gets_one_answer_and_only_from_its_owner(roles: dict[str, Role]) -> None:
    gateway, dispatcher = roles["gateway"], roles["dispatcher"]
    question = registry.DISPATCHER_CANCEL

    async def answer(message: Msg) -> None:
        await message.respond(b"once")
        await message.respond(b"twice")

    dispatcher.refused.clear()
    hearing = await dispatcher.client.subscribe(question.subject, queue=question.service, cb=answer)
    await settled(dispatcher.client)

    async def answered() -> bool:
        # The other connection's subscription may need a moment more, after a reconnection of either.
        with contextlib.suppress(nats.errors.NoRespondersError):
            return (await gateway.client.request(question.subject, b"", timeout=5)).data == b"once"
        return False

    await until(answered, "the question is answered", within_s=5)

    async def refused() -> bool:
        return any("permissions violation" in each.lower() for each in dispatcher.refused)

    await until(refused, "the second answer is refused", within_s=5)
    await hearing.unsubscribe()


async def test_each_durable_has_its_service(roles: dict[str, Role]) -> None:
    assert {each.name for role in ROLES for each in durables(role)} == {each.name for each in registry.DURABLES}
    with pytest.raises((nats.errors.TimeoutError, ServiceUnavailableError)):
        await roles["auth"].client.jetstream(timeout=0.3).consumer_info("EVENTS", registry.WEBHOOKS_EVENTS.name)
