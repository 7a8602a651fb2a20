"""A gateway that is told to stop says so first, ends what it has begun, and lets its phones go one after the other."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client

from shared.contracts import phone
from shared.runtime.settings import ServiceSettings
from shared.security.secrets import digest
from tests.support import http
from tests.support.gateway import KEY, TOKEN, Auth, Gateway, running_gateway
from tests.support.waiting import until

Going = tuple[Gateway, contextlib.AsyncExitStack]

PHONES = 10
BODY = http.form(apikey=KEY, recipients="+15551230000", message="meanwhile")


@pytest.fixture
async def going(settings: ServiceSettings, nats_client: Client) -> AsyncIterator[Going]:
    """A gateway, and what closes it when the test wants that."""

    async def more_phones(auth: Auth) -> None:
        for n in range(PHONES):
            known = msgspec.structs.replace(auth.accounts[digest(TOKEN)], subject=f"{n:021}")
            auth.accounts[digest(f"{n:064}")] = known

    async with contextlib.AsyncExitStack() as stack:
        changes = {"leave_s": 1, "drain_s": 1}
        yield await stack.enter_async_context(running_gateway(settings, nats_client, more_phones, **changes)), stack


async def test_first_it_is_not_ready_then_it_refuses_and_what_was_begun_is_answered(
    going: Going,
) -> None:
    gateway, stack = going
    async with http.connected(gateway.url) as begun:
        head = f"POST /sendsms/ HTTP/1.1\r\nHost: x\r\nContent-Type: {http.FORM['Content-Type']}\r\n"
        await begun._send(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:10])
        closing = asyncio.create_task(stack.aclose())

        async def unready() -> bool:
            return (await gateway.get("/health/ready")).status == 503

        await until(unready, "it says that it is not ready", 1)
        assert (await gateway.get("/health/ready")).json()["checks"]["running"] == "stopping"
        served = await gateway.ask("POST", "/sendsms/", body=BODY, headers=http.FORM)
        assert served.status == 200, "proxies that have not noticed yet are served"

        async def refuses() -> bool:
            with contextlib.suppress(ConnectionRefusedError):
                await (await http.connect(gateway.url)).close()
                return False
            return True

        await until(refuses, "it takes no more connections", 5)
        assert not closing.done()
        assert (await begun.raw(BODY[10:])).status == 200
    async with asyncio.timeout(10):
        await closing


async def test_phones_are_let_go_one_after_the_other(going: Going) -> None:
    gateway, stack = going
    ends: list[float] = []

    async def listen(n: int, ready: asyncio.Event) -> None:
        async with gateway.phone(token=f"{n:064}") as there:
            ready.set()
            bye = await there.hear(phone.Bye, within_s=10)
            assert bye.code == "shutting_down"
            ends.append(time.monotonic())

    async with asyncio.TaskGroup() as phones:
        for n in range(PHONES):
            ready = asyncio.Event()
            phones.create_task(listen(n, ready))
            await ready.wait()
        await stack.aclose()
    assert len(ends) == PHONES
    assert max(ends) - min(ends) > 0.3, "a twentieth of a second for each, where there are few"
