"""Receivers that know nothing of our code take our requests over real HTTP, and nobody else's."""

import sys
import time
from ipaddress import ip_network
from pathlib import Path

from services.webhooks.client import opened_client
from services.webhooks.examples import EXAMPLES
from services.webhooks.formats import v2_body
from services.webhooks.signing import new_secret, v2_headers
from services.webhooks.targets import Guard
from tests.support.receiver import Receiver
from tests.support.receivers import EXAMPLE_RECEIVERS, keeps_its_promises
from tests.support.v2_receiver import V2Receiver

LOOPBACK = Guard([ip_network("127.0.0.0/8")])


async def test_a_receiver_of_the_commercial_service_s_v2() -> None:
    secret = new_secret()
    theirs = V2Receiver(secret)
    async with Receiver.running(theirs.judge) as receiver, opened_client(LOOPBACK) as client:

        async def status(type: str, secret: str, at: float) -> int | None:
            event = EXAMPLES[type]
            body = v2_body(event)
            headers = v2_headers([secret], str(event.id), type, int(at), body)
            return (await client.post(receiver.url, headers, body)).status

        now = time.time()
        for type in EXAMPLES:
            assert await status(type, new_secret(), now) == 401
            assert await status(type, secret, now - 310) == 401
            assert await status(type, secret, now) == 202
            assert await status(type, secret, now + 5) == 200
    assert [event["type"] for event in theirs.seen.values()] == list(EXAMPLES)


async def test_the_example_in_python(tmp_path: Path) -> None:
    await keeps_its_promises([sys.executable, str(EXAMPLE_RECEIVERS / "python" / "receiver.py"), "PORT"], tmp_path)
