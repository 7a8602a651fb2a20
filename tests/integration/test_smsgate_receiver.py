"""What phones of the app's kind receive and tell of themselves: capability, signature, repetitions, health."""

import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from agent.smsgate import signature
from shared.contracts import registry
from shared.contracts.rpc.apps import AppFacts
from tests.support import http
from tests.support.servers import Servers
from tests.support.smsgate_calls import Caller, moment
from tests.support.smsgate_world import World, device_of, world
from tests.support.waiting import until

ANSWERED_WITHIN_S = 1.0
SMS = "sms:received"
RECEIVED = {"receivedAt": moment(time.time() - 5)}


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


def text(words: str, **more: Any) -> dict[str, Any]:
    """The payload of a received text."""
    return {"messageId": "0a1b2c3d", "sender": "+15557654321", "simNumber": 1, "message": words, **RECEIVED} | more


async def inbox(here: World) -> list[dict[str, Any]]:
    rows = await here.pool.fetch("select * from inbox where account_id = $1 order by id", here.account.account)
    return [dict(row) for row in rows]


async def stored(here: World, count: int) -> list[dict[str, Any]]:
    """Waits until the inbox holds so many texts."""

    async def enough() -> list[dict[str, Any]] | None:
        rows = await inbox(here)
        return rows if len(rows) >= count else None

    rows = await until(enough, f"the inbox holds {count}")
    assert len(rows) == count
    return rows


async def facts(here: World, device: str) -> AppFacts | None:
    return next((each for each in (await here.devices()).apps if each.device == device), None)


async def test_what_a_phone_receives_is_in_the_inbox_once(here: World) -> None:
    phone = await here.handset()
    async with here.connected(phone) as app:

        async def told() -> bool:
            listed = await phone.memory.ask(lambda store: store.hooks(SMS))
            return bool(listed) and app.preferences.webhooks.signing_key is not None

        await until(told, "the phone has its webhooks")
        assert await app.receive("+15557654321", "hello\U0001f600", 2, phone.clock.now_ms())
        assert not await app.receive("+15557654321", "hello\U0001f600", 2, phone.clock.now_ms())
        (row,) = await stored(here, 1)
        assert (row["number"], row["text"], row["sim"], row["kind"]) == ("+15557654321", "hello\U0001f600", 2, "sms")
        await app.settled()

        async def signed() -> bool:
            found = await facts(here, device_of(phone))
            return found is not None and found.signed

        await until(signed, "the phone's signature is known")
        before = app.preferences
    async with here.connected(phone) as app:
        await app.settled()
        # A setting that differs makes the app ask its user for a restart.
        assert app.preferences == before


async def test_repetitions_change_nothing(here: World) -> None:
    phone, key = await signing(here)
    url = await hook(phone)
    for id in ("e1", "e1", "e2"):
        assert (await phone.post(url, SMS, text("once"), key=key, id=id)).status == 204
    assert (await phone.post(url, SMS, text("twice"), key=key, id="e3")).status == 204
    assert [row["text"] for row in await stored(here, 2)] == ["once", "twice"]
    row = (await inbox(here))[0]
    assert row["utc_offset_min"] == 120


async def test_a_signature_is_a_duty_from_the_first_good_one_on(here: World) -> None:
    phone = await here.caller()
    url, key = await hook(phone), await phone.signing_key()
    assert (await phone.post(url, SMS, text("unsigned"), key=None, id="e1")).status == 204
    assert (await phone.post(url, SMS, text("signed"), key=key, id="e2")).status == 204
    for wrong in (None, "another key"):
        refused = await phone.post(url, SMS, text("forged"), key=wrong, id="e3")
        assert (refused.status, refused.json()["code"]) == (401, "bad_signature")

    async def flagged() -> bool:
        found = await facts(here, phone.device)
        return found is not None and found.signed and found.unsigned_at is not None

    await until(flagged, "it is known")
    assert [row["text"] for row in await stored(here, 2)] == ["unsigned", "signed"]


async def test_an_answer_comes_soon_and_says_that_the_text_is_kept(here: World) -> None:
    phone, key = await signing(here)
    url = await hook(phone)
    longest_s = 0.0
    for n in range(20):
        began = time.monotonic()
        assert (await phone.post(url, SMS, text(f"text {n}"), key=key, id=f"e{n}")).status == 204
        longest_s = max(longest_s, time.monotonic() - began)
    assert longest_s < ANSWERED_WITHIN_S
    await stored(here, 20)
    async with full_stream(here):
        # The app tries again after 10 s, then after 20 s, 15 times in all.
        refused = await phone.post(url, SMS, text("while there is no room"), key=key, id="e20")
        assert (refused.status, refused.json()["code"]) == (503, "unavailable")
    assert (await phone.post(url, SMS, text("while there is no room"), key=key, id="e20")).status == 204
    assert (await stored(here, 21))[-1]["text"] == "while there is no room"


@contextlib.asynccontextmanager
async def full_stream(here: World) -> AsyncIterator[None]:
    """JetStream has no room for a report for the context's time."""
    jetstream = here.client.jetstream()
    config = (await jetstream.stream_info(registry.REPORTS.name)).config
    await jetstream.update_stream(config, max_bytes=1)
    try:
        yield
    finally:
        await jetstream.update_stream(config)


async def test_only_the_phones_own_url_is_heard(here: World) -> None:
    phone, other = await here.caller(), await here.caller()
    url, key = await hook(phone), await phone.signing_key()
    capability = url.rpartition("/")[2]
    with capture_logs() as logs:
        for wrong in (url[:-4] + "AAAA", url + "A", url.rpartition("/")[0], url + "%00", await hook(other)):
            answer = await phone.post(wrong, SMS, text("forged"), key=key)
            assert answer.status in (401, 403, 404), wrong
        assert (await phone.post(url, SMS, text("forged"), key=key, deviceId=other.device)).status == 403
        assert (await http.ask(here.url, "GET", url.removeprefix(here.url))).status == 405
        assert (await phone.post(url, SMS, text("real"), key=key)).status == 204
    assert capability not in str(logs) + generate_latest().decode()
    assert "/device-in/v1/{capability}" in str(logs)
    assert [row["text"] for row in await stored(here, 1)] == ["real"]


async def test_what_is_no_call_is_refused(here: World) -> None:
    phone = await here.caller()
    path = (await hook(phone)).removeprefix(here.url)
    for body in (b"", b"nonsense", b"[]", b'{"id":1}', b'{"id":"' + b"\xff" * 9 + b'"}', b"[" * 100_000):
        answer = await http.ask(here.url, "POST", path, body=body)
        assert (answer.status, answer.json()["code"]) == (400, "invalid"), body[:20]
    assert (await http.ask(here.url, "POST", path, body=b"x" * 300_000)).status == 413
    odd = text("a\u0000b", receivedAt="never", simNumber=9, sender=None)
    assert (await phone.post(await hook(phone), SMS, odd, key=None)).status == 204
    (row,) = await stored(here, 1)
    assert (row["text"], row["number"], row["sim"]) == ("a\ufffdb", "", None)


async def test_data_texts_and_notices_of_pictures_are_kept_as_such(here: World) -> None:
    phone, key = await signing(here)
    url = await hook(phone)
    data = {"messageId": "1", "sender": "+1", "data": "AAEC", **RECEIVED}
    picture = {"transactionId": "t", "sender": "+2", "subject": "holiday", "size": 5, **RECEIVED}
    assert (await phone.post(url, "sms:data-received", data, key=key, id="e1")).status == 204
    assert (await phone.post(url, "mms:received", picture, key=key, id="e2")).status == 204
    assert (await phone.post(url, "app:started", {}, key=key, id="e3")).status == 204
    assert [(row["kind"], row["text"]) for row in await stored(here, 2)] == [("data", "AAEC"), ("mms", "holiday")]


async def test_a_release_that_was_not_read_is_given_what_all_know(here: World) -> None:
    phone = await here.caller()
    assert await phone.hook("mms:received") is not None
    ids = {each["id"] for each in (await phone.call("GET", "/webhooks")).json()}
    assert ids == {each["id"] for each in (await phone.call("GET", "/webhooks")).json()}
    for agent in ("me.capcom.smsgateway/1.30.1", "me.capcom.smsgateway/dev", "okhttp"):
        phone.agent = agent
        assert await phone.hook("mms:received") is None
        assert await phone.hook(SMS) == await hook(phone)


async def test_health_and_clock_are_shown(here: World) -> None:
    phone, key = await signing(here)
    url = await phone.hook("system:ping")
    assert url is not None
    checks = {"battery:level": {"observedValue": 42}, "messages:failed": {"observedValue": 3}, "odd": 1}
    assert (
        await phone.post(url, "system:ping", {"health": {"status": "pass", "checks": checks}}, key=key)
    ).status == 204

    async def told() -> AppFacts | None:
        found = await facts(here, phone.device)
        return found if found and found.health_at else None

    found = await until(told, "its health is known")
    assert (found.status, found.battery, found.failed_texts) == ("pass", 42, 3)
    assert found.clock_off_s is not None
    assert abs(found.clock_off_s) <= 1
    assert not await here.flagged(phone.device, "wrong_clock")
    body = json.dumps({"id": "late", "event": "app:started", "deviceId": phone.device, "payload": {}}).encode()
    slow = int(time.time()) - 600
    await http.ask(here.url, "POST", url.removeprefix(here.url), body=body, headers=signature.headers(key, body, slow))
    await until(lambda: here.flagged(phone.device, "wrong_clock"), "the clock is flagged")


async def test_a_silent_receiver_is_flagged(here: World) -> None:
    phone, key = await signing(here)
    url = await hook(phone)
    async with phone.stream():
        await here.pool.execute("update devices set created_at = now() - interval '1 hour' where id = $1", phone.device)
        await until(lambda: here.flagged(phone.device, "silent_receiver"), "it is flagged")
        assert (await phone.post(url, "app:started", {}, key=key)).status == 204

        async def well() -> bool:
            return not await here.flagged(phone.device, "silent_receiver")

        await until(well, "it is flagged no more")


async def hook(phone: Caller) -> str:
    url = await phone.hook(SMS)
    assert url is not None
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/device-in/v1/[A-Za-z0-9_-]{60}", url)
    return url


async def signing(here: World) -> tuple[Caller, str]:
    phone = await here.caller()
    return phone, await phone.signing_key()
