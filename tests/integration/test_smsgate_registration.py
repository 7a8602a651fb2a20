"""How phones of the app's kind come in, and what each of their calls is answered when something is wrong with it."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from deploy.local.ports import free_port
from services.gateway import app as gateway_app
from shared.contracts import registry
from shared.contracts.rpc.auth import RevokeDevice
from shared.contracts.rpc.phones import RemoveDevice
from tests.support import http
from tests.support.servers import Servers
from tests.support.smsgate_calls import SIMS, Caller
from tests.support.smsgate_world import World, device_of, world
from tests.support.waiting import until

CALLS = (
    ("PATCH", "/device"),
    ("GET", "/message"),
    ("GET", "/messages"),
    ("PATCH", "/message"),
    ("GET", "/webhooks"),
    ("GET", "/settings"),
    ("GET", "/events"),
)


@pytest.fixture(scope="module")
async def installation(servers: Servers) -> AsyncIterator[World]:
    async with world(servers) as running:
        yield running


@pytest.fixture
async def here(installation: World) -> World:
    await installation.begin()
    return installation


async def test_a_device_can_be_addressed_as_soon_as_it_has_its_token(here: World) -> None:
    phone = Caller(here.url, await here.key())
    answer = await phone.call("POST", "/device", {"name": "Maker/model", "simCards": SIMS})
    assert answer.status == 201
    told = answer.json()
    assert told.keys() == {"id", "token", "login"}
    assert len(told["id"]) == 21
    await here.send("text", sIdentifiant=told["id"])
    (device,) = (await here.devices()).devices
    assert (device.name, [sim.number for sim in device.sims]) == ("Maker/model", ["0001", "0002"])


@pytest.mark.parametrize("prefix", ["/mobile/v1/", "/api/mobile/v1"])
async def test_every_way_to_write_the_address(here: World, prefix: str) -> None:
    phone = await here.handset(prefix=prefix)
    async with here.connected(phone) as app:
        assert b"externalIp" in await app.public_ip()
        guid = await here.send("text")
        await here.becomes(guid, "delivered")


async def test_without_a_good_credential_every_call_is_401(here: World) -> None:
    phone = Caller(here.url)
    for token in (None, "x", "x" * 300, "\u00e4" * 5, await here.key()):
        phone.token = token
        for method, path in CALLS:
            answer = await phone.call(method, path, b"{}")
            assert (answer.status, set(answer.json())) == (401, {"message", "code"}), (method, path, token)
    for token in (None, "x", here.account.api_key):
        phone.token = token
        assert (await phone.call("POST", "/device", {"name": "x"})).status == 401
    for other in ("Basic YTpi", "Code 123456"):
        headers = {"Authorization": other}
        assert (await http.ask(here.url, "POST", "/mobile/v1/device", body=b"{}", headers=headers)).status == 401
    phone.token = None
    shown = await phone.call("GET", "/device")
    assert (shown.status, shown.json()) == (200, {"externalIp": "127.0.0.1"})
    assert (await here.devices()).devices == []


async def test_what_is_not_understood_is_refused_and_never_a_fault_of_ours(here: World) -> None:
    phone = await here.caller()
    for method, path, body, status in (
        ("PATCH", "/device", {"id": "another"}, 403),
        ("PATCH", "/device", b"nonsense", 400),
        ("PATCH", "/device", {"id": phone.device, "simCards": "x"}, 400),
        ("PATCH", "/message", {"id": "x"}, 400),
        ("PATCH", "/message", [{"id": "x"}] * 101, 400),
        ("PATCH", "/message", [{"id": "x", "states": {"Sent": "never"}}], 204),
        ("PATCH", "/message", b"\xff\xfe", 400),
        ("PATCH", "/message", b"x" * 300_000, 413),
        ("GET", "/user/code", None, 501),
        ("PATCH", "/user/password", {}, 501),
        ("GET", "/nothing", None, 404),
        ("GET", "", None, 404),
        ("DELETE", "/device", None, 405),
        ("POST", "/events", None, 405),
    ):
        assert (await phone.call(method, path, body)).status == status, (method, path, body)
    assert (await phone.call("GET", "/device", prefix="/mobile/v1x")).status == 404
    assert (await phone.call("GET", "/device")).json()["device"] == {"id": phone.device}


async def test_a_phone_tells_its_sims_anew(here: World) -> None:
    phone = await here.caller(limited=True)
    told = [{"slotIndex": 0, "simNumber": 1, "phoneNumber": "9999"}, {"slotIndex": 8, "simNumber": 9}]
    assert (await phone.call("PATCH", "/device", {"id": phone.device, "simCards": told})).status == 204
    found = await here.devices()
    assert [(sim.slot, sim.number) for sim in found.devices[0].sims] == [(1, "9999")]
    assert (await phone.call("PATCH", "/device", {"id": phone.device, "simCards": SIMS})).status == 204
    assert (await phone.call("PATCH", "/device", {"id": phone.device})).status == 204
    found = await here.devices()
    assert [(sim.slot, sim.number) for sim in found.devices[0].sims] == [(1, "0001"), (2, "0002")]
    assert {(each.slot, each.per_hour) for each in found.budgets} == {(1, 30), (2, 30)}


async def test_a_token_that_is_no_longer_good_makes_the_app_register_anew(here: World) -> None:
    phone = await here.handset()
    async with here.connected(phone):
        device, token = device_of(phone), phone.memory.facts["token"]
    # The key shown once more gives the device another token.
    thief = await Caller(here.url, phone.private_token).register()
    assert thief.device == device
    async with here.connected(phone):
        assert device_of(phone) == device
        assert phone.memory.facts["token"] not in (token, thief.token)
        guid = await here.send("text")
        await here.becomes(guid, "delivered")
    assert (await thief.call("GET", "/message")).status == 401


async def test_a_removed_phone_is_a_stranger(here: World) -> None:
    phone = await here.caller()
    url = await phone.hook("sms:received")
    assert url is not None
    await here.ask.ask(
        registry.DISPATCHER_DEVICE_REMOVE, RemoveDevice(account=here.account.account, device=phone.device)
    )
    for method, path in (("PATCH", "/device"), ("GET", "/message"), ("GET", "/events")):
        assert (await phone.call(method, path, {"id": phone.device})).status == 401, path

    async def gone() -> bool:
        return (await phone.post(url, "app:started", {}, key=None)).status == 404

    await until(gone, "its receiver is gone")
    await here.ask.ask(registry.AUTH_DEVICE_REVOKE, RevokeDevice(account=here.account.account, device=phone.device))

    async def refused() -> bool:
        return (await phone.call("GET", "/settings")).status == 401

    await until(refused, "its token is refused")


async def test_who_guesses_is_slowed_down_and_a_known_phone_is_not(here: World) -> None:
    port = free_port()
    settings = msgspec.structs.replace(here.settings, port=port, guesses_per_minute=3)
    phone = await here.caller()
    async with gateway_app.open_service(settings):
        phone.url = f"http://127.0.0.1:{port}"
        assert (await phone.call("GET", "/message")).status == 200
        stranger, statuses = Caller(phone.url), []
        for n in range(6):
            stranger.token = f"guess {n}"
            statuses.append((await stranger.call("GET", "/message")).status)
        # Never 401 for what was not asked about: that would make a phone with a good token register anew.
        assert statuses[:3] == [401] * 3
        assert 429 in statuses[3:]
        assert (await phone.call("GET", "/message")).status == 200
