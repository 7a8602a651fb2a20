"""What is shown of phones and webhooks is worked out right, and a webhook's form says what its owner means."""

import re

import msgspec
import pytest

from services.gateway.dashboard.frame.qr import qr
from services.gateway.dashboard.phones.enrol import Reach
from services.gateway.dashboard.phones.fleet import fleet
from services.gateway.dashboard.webhooks.health import health
from services.gateway.dashboard.webhooks.wishes import TYPES, example_types, groups, typed, wish
from services.webhooks.examples import EXAMPLES
from services.webhooks.formats import ALL_TYPES, NEVER_MADE
from shared.contracts.phone import Sim
from shared.contracts.rpc.messages import Flag
from shared.contracts.rpc.phones import Budget, Device, Devices
from shared.contracts.rpc.webhooks import BasicAuth, BearerAuth, ClassicSettings, Endpoint, Filter

PHONE = Device(
    id="d" * 21,
    name="Pixel",
    online=True,
    approved=True,
    protocol="smsgate",
    software="",
    session=1,
    sims=[Sim(slot=1), Sim(slot=2)],
    channels=["sms"],
    last_seen_at=None,
    held=0,
)
ENDPOINT = Endpoint(
    id="wh_1", account=7, url="https://example.com/", format="v2", description="", enabled=True, created_at=0, window=4
)


def test_phones_are_put_together_with_what_is_theirs() -> None:
    budget = Budget(
        device=PHONE.id,
        slot=2,
        per_minute=10,
        per_hour=None,
        per_day=500,
        delay_ms=(0, 0),
        used_minute=3,
        used_hour=4,
        used_day=5,
    )
    flags = [
        Flag(kind="late", account=7, device=device, messages=1, oldest_s=90.0) for device in (PHONE.id, None, "e" * 21)
    ]
    (phone,) = fleet(Devices([PHONE], [budget]), flags)
    assert [slot.uses for slot in phone.slots] == [[], [("minute", 3, 10), ("day", 5, 500)]]
    assert phone.flags == flags[:1]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "online"),
        ({"online": False}, "offline"),
        ({"paused": True}, "paused"),
        ({"paused": True, "approved": False}, "waiting"),
    ],
)
def test_a_phone_is_what_matters_most(changes: dict[str, bool], state: str) -> None:
    (phone,) = fleet(Devices([msgspec.structs.replace(PHONE, **changes)]))
    assert phone.state == state


@pytest.mark.parametrize(
    ("url", "secure", "here_only", "socket"),
    [
        ("https://sms.example.org", True, False, "wss://sms.example.org/phone/v1/socket"),
        ("http://192.168.1.5:8080", False, False, "ws://192.168.1.5:8080/phone/v1/socket"),
        ("http://127.0.0.1:8080", False, True, "ws://127.0.0.1:8080/phone/v1/socket"),
        ("http://[::1]:8080", False, True, "ws://[::1]:8080/phone/v1/socket"),
    ],
)
def test_how_phones_reach_us(url: str, secure: bool, here_only: bool, socket: str) -> None:
    reach = Reach(url, "")
    assert (reach.is_secure, reach.is_here_only, reach.socket_url) == (secure, here_only, socket)


def test_a_code_is_drawn_without_style_and_named() -> None:
    drawn = qr("https://sms.example.org/mobile/v1", 'a "name" <b>')
    assert re.fullmatch(
        '<svg class="qr" viewBox="0 0 37 37" role="img" aria-label="a &#34;name&#34; &lt;b&gt;">'
        '<path stroke="#000" d="[Mmh0-9 .-]+"/></svg>',
        drawn,
    )
    assert qr("a", "x") != qr("b", "x")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "unused"),
        ({"delivered": 1}, "well"),
        ({"delivered": 1, "failing_since": 1.0}, "failing"),
        ({"failing_since": 1.0, "window": 0}, "away"),
        ({"state": "paused", "window": 0}, "paused"),
        ({"state": "disabled", "window": 0}, "disabled"),
    ],
)
def test_the_health_of_a_webhook(changes: dict[str, object], word: str) -> None:
    assert health(msgspec.structs.replace(ENDPOINT, **changes)) == word


def test_every_type_that_can_happen_can_be_chosen_and_tried() -> None:
    offered = [type for group in TYPES.values() for type in group]
    assert sorted(offered) == sorted(set(ALL_TYPES) - NEVER_MADE)
    assert set(example_types("v2")) == set(EXAMPLES)
    assert example_types("classic") == ("sms.received",)


def test_the_form_of_a_webhook_asks_for_what_it_is() -> None:
    kept = msgspec.structs.replace(
        ENDPOINT,
        filter=Filter(types=["sms.failed"], devices=["d" * 21], sims=[1, 2], numbers=["+1", "Bank"]),
        auth="bearer",
        max_window=7,
    )
    asked = wish(typed(kept), "v2", is_new=False)
    assert asked.faults == {}
    assert asked.values == {"url": kept.url, "description": "", "filter": kept.filter, "max_window": 7}


def test_types_that_never_happen_are_offered_to_whoever_has_chosen_them() -> None:
    chosen = msgspec.structs.replace(ENDPOINT, filter=Filter(types=["sms.received", *NEVER_MADE]))
    assert groups(chosen) == {**TYPES, "other": tuple(NEVER_MADE)}
    offered = {f"type:{type}" for group in groups(chosen).values() for type in group}
    assert {name for name in typed(chosen) if name.startswith("type:")} <= offered
    assert groups(ENDPOINT) == groups(None) == TYPES


def test_what_is_typed_is_asked_for() -> None:
    form = {
        "url": " https://example.com/ ",
        "type:sms.failed": "on",
        "number_format": "plus",
        "time_zone": "Europe/Berlin",
        "headers": "X-Key: a: b\n\nX-Other:c",
        "secret": " own ",
        "auth": "basic",
        "user": "u",
        "password": " p ",
    }
    values = wish(form, "classic", is_new=True).values
    assert values["filter"].types == []
    assert values["classic"] == ClassicSettings(number_format="plus", time_zone="Europe/Berlin")
    assert values["headers"] == {"X-Key": "a: b", "X-Other": "c"}
    assert (values["url"], values["secret"]) == ("https://example.com/", "own")
    assert values["auth"] == BasicAuth(user="u", password=" p ")
    assert wish({"auth": "bearer", "token": " t "}, "v2", is_new=True).values["auth"] == BearerAuth(token="t")
    assert wish({"auth": "none"}, "v2", is_new=True).values["auth"] is None
    assert not {"auth", "headers", "secret", "classic", "max_window"} & wish({}, "v2", is_new=False).values.keys()


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"sims": "1 two"}, "sims"),
        ({"sims": "\u0663"}, "sims"),
        ({"headers": "x"}, "headers"),
        ({"headers": "A:1\nA:2"}, "headers"),
    ],
)
def test_what_cannot_be_read_is_said_of_its_field(form: dict[str, str], field: str) -> None:
    assert list(wish(form, "v2", is_new=True).faults) == [field]
