"""Where a request comes from, by what which proxies say."""

from typing import Any

import pytest

from services.gateway.addresses import Proxies, networks
from shared.errors import Startup


async def found_behind(trusted: str, peer: str, *forwarded: str) -> str:
    """The address that the app sees."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    address: str = (await seen_behind(trusted, peer, headers))["client"][0]
    return address


async def seen_behind(trusted: str, peer: str, headers: list[tuple[bytes, bytes]], kind: str = "http") -> Any:
    """What the app is given for a request that came by http."""
    seen: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        seen.append(scope)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    scope = {"type": kind, "scheme": "http", "client": (peer, 1), "headers": headers}
    await Proxies(app, networks(trusted))(scope, nothing, nothing)
    return seen[0]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "found"),
    [
        ("127.0.0.0/8, 10.0.0.0/8", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1,10.0.0.0/8", "1.1.1.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.7:4711", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::1]:80", "2001:db8::1"),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("127.0.0.1,10.0.0.0/8", "10.0.0.9", "10.0.0.9"),
        ("127.0.0.1,10.0.0.0/8", "203.0.113.7, unknown, 10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", "'; drop table x; --", "127.0.0.1"),
        ("127.0.0.1", ",,,", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "\xff" * 100, "127.0.0.1"),
        ("127.0.0.1", "x," * 3000, "127.0.0.1"),
        ("127.0.0.1", "1.1.1.1," * 3000 + "127.0.0.1", "1.1.1.1"),
        ("127.0.0.1", "999.1.1.1", "127.0.0.1"),
        ("127.0.0.1", "[", "127.0.0.1"),
        ("10.0.0.0/8", "203.0.113.7", "127.0.0.1"),
        ("127.0.0.1/8", "203.0.113.7", "203.0.113.7"),
        ("0.0.0.0/0", "1.1.1.1, 2.2.2.2", "1.1.1.1"),
    ],
)
async def test_the_right_most_address_that_is_no_proxy(trusted: str, forwarded: str, found: str) -> None:
    assert await found_behind(trusted, "127.0.0.1", forwarded) == found


async def test_several_headers_are_one_list() -> None:
    assert await found_behind("10.0.0.0/8", "10.0.0.1", "1.1.1.1, 203.0.113.7", "10.0.0.2") == "203.0.113.7"


@pytest.mark.parametrize(
    ("told", "scheme"),
    [
        ([], "http"),
        ([b"https"], "https"),
        ([b" HTTPS "], "https"),
        ([b"http, https"], "https"),
        ([b"http", b"https"], "https"),
        ([b"https, http"], "http"),
        ([b"https", b"http"], "http"),
        ([b"javascript"], "http"),
        ([b""], "http"),
    ],
)
async def test_the_scheme_is_what_the_nearest_proxy_says(told: list[bytes], scheme: str) -> None:
    headers = [(b"x-forwarded-proto", value) for value in told]
    assert (await seen_behind("127.0.0.1", "127.0.0.1", headers))["scheme"] == scheme
    assert (await seen_behind("10.0.0.0/8", "127.0.0.1", headers))["scheme"] == "http"
    assert (await seen_behind("127.0.0.1", "127.0.0.1", headers, "websocket"))["scheme"] == "http"


async def test_peers_of_other_families() -> None:
    assert await found_behind("10.0.0.0/8", "::ffff:10.0.0.1", "203.0.113.7") == "203.0.113.7"
    assert await found_behind("fd00::/8", "fd00::1", "203.0.113.7") == "203.0.113.7"
    assert await found_behind("10.0.0.0/8", "/run/socket", "203.0.113.7") == "/run/socket"


@pytest.mark.parametrize("setting", ["proxy.example", "10.0.0.0/33", "*"])
def test_networks_that_are_none(setting: str) -> None:
    with pytest.raises(Startup, match="SMSFLEET_TRUSTED_PROXIES"):
        networks(setting)


def test_an_empty_setting_trusts_nobody() -> None:
    assert networks(" , ") == []
