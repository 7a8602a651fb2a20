"""Which addresses may be called, in every notation that leads to one."""

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from services.webhooks.settings import WebhooksSettings
from services.webhooks.targets import Blocked, Guard
from shared.errors import Invalid, Startup

STRICT = Guard([])
LOOPBACK = Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")])

FORBIDDEN = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.1.2.3",
    "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.170",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2001:2::1",
    "2001:20::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1",
    "ff02::1", "ff0e::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fd12:3456::1", "2001:db8:ffff::1",
    "::ffff:0:7f00:1", "::7f00:1", "1fff::1", "4000::1", "9000::1",
]  # fmt: skip

NOTATIONS = [
    "127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "0x7f.1", "127.0.0.1.",
    "１２７.0.0.1", "127。0。0。1", "127.0.0.01", "10.1", "0xa.0.0.1", "0", "0x0", "localhost", "localhost.",
    "LOCALHOST", "[fe80::1%25lo]", "[fe80::1%lo]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[0::0:1]",
    "[64:ff9b::127.0.0.1]", "[::ffff:0:127.0.0.1]",
]  # fmt: skip
"""Hosts of URLs that lead where none may be called, in other notations than the usual one."""

PERMITTED = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_no_receiver_on_the_internet_is_not_dialled(address: str) -> None:
    assert not STRICT.permits(ip_address(address))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(Blocked):
        STRICT.socket((family, socket.SOCK_STREAM, 6, "", (address, 80)))


@pytest.mark.parametrize("address", PERMITTED)
def test_a_public_address_may_be_dialled(address: str) -> None:
    assert STRICT.permits(ip_address(address))


def test_a_scope_does_not_hide_an_address() -> None:
    with pytest.raises(Blocked):
        STRICT.socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%lo", 80, 0, 1)))


def test_allowed_networks_are_exceptions() -> None:
    assert LOOPBACK.permits(ip_address("127.0.0.1"))
    assert LOOPBACK.permits(ip_address("::ffff:127.0.0.1"))
    assert LOOPBACK.permits(ip_address("::1"))
    assert not LOOPBACK.permits(ip_address("10.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com", "http://example.com:8080/a?b=c%20d", "https://bücher.example/hook", "http://8.8.8.8/",
        "http://[2606:4700::1111]/", "https://example.com.:8443/", "https://localhost.example/", "http://example.com:81/",
    ],
)  # fmt: skip
def test_a_url_that_can_be_called_is_kept_as_it_is(url: str) -> None:
    assert STRICT.checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "/hook", "ftp://example.com/", "file:///etc/passwd", "http://", "http:///x", "https://:443/",
        "http://user@example.com/", "http://user:pw@example.com/", "http://example.com:99999/", "http://example.com:0/",
        "http://a b.example/", "http://example.com/\n", "http://example.com/\0", "http://[::1", "http://\ud800.example/",
        "http://example.com/" + "x" * 2048,
        "http://169.254.169.254/latest/meta-data", "https://hooks.localhost/", "http://example.com:25/",
        "https://example.com:6667/", "http://@127.0.0.1/", "http://example.com@127.0.0.1/",
        *(f"http://{host}/" for host in NOTATIONS),
        *(f"http://[{address}]/" if ":" in address else f"http://{address}/" for address in FORBIDDEN),
    ],
)  # fmt: skip
def test_a_url_that_cannot_or_may_not_be_called_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        STRICT.checked_url(url)
    assert refused.value.code == "invalid_url"


def test_a_name_for_loopback_goes_where_loopback_goes() -> None:
    for url in ("http://localhost:8000/hook", "http://hooks.localhost/"):
        assert LOOPBACK.checked_url(url) == url


def settings(**values: Any) -> WebhooksSettings:
    return WebhooksSettings(nats_url="", database_url="", **values)


def test_loopback_is_allowed_on_a_single_machine_only() -> None:
    assert Guard(settings().allowed_networks()).permits(ip_address("127.0.0.1"))
    assert settings(mode="production").allowed_networks() == []
    assert settings(webhook_allow_nets="10.0.0.0/8, fd00::/8").allowed_networks() == [
        ip_network("10.0.0.0/8"),
        ip_network("fd00::/8"),
    ]


@pytest.mark.parametrize("entry", ["10.0.0.0/40", "10.0.0.1/8", "intranet"])
def test_a_network_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(Startup, match="SMSFLEET_WEBHOOK_ALLOW_NETS"):
        settings(webhook_allow_nets=entry).allowed_networks()
