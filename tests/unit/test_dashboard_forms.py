"""Forms of the dashboard: what is read, where people are sent on to, and whom a form may come from."""

from collections.abc import Mapping

import pytest

from services.gateway.dashboard.door.forms import MAX_FIELDS, BadForm, check_origin, read_form
from services.gateway.dashboard.door.signin import safe_next
from shared.errors import Invalid


def test_fields_are_read_as_browsers_write_them() -> None:
    assert read_form(b"a=1&b=caf%C3%A9+noir&empty=&&flag") == {"a": "1", "b": "café noir", "empty": "", "flag": ""}
    assert read_form(b"") == {}
    assert read_form(b"a=100%&b=%zz&c=x=y") == {"a": "100%", "b": "%zz", "c": "x=y"}


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a=1&%61=2", b"a=%ff", b"\xff=1", b"a=%ed%a0%80", b"&" * MAX_FIELDS])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_form(body)


@pytest.mark.parametrize(
    "wanted",
    [
        "/dashboard",
        "/dashboard?notice=x",
        "/dashboard/messages",
        "/dashboard/messages/",
        "/dashboard/messages?q=https%3A%2F%2Fa.example%2F..%2F&page=2",
        "/dashboard/messages?q=//a/../b",
        "/dashboard/inbox/%2B15550001",
    ],
)
def test_people_go_on_to_pages_of_the_dashboard(wanted: str) -> None:
    assert safe_next(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example/dashboard/",
        "javascript:alert(1)",
        " /dashboard",
        "dashboard",
        "/dashboards",
        "/dashboard.evil.example",
        "/dashboard@evil.example",
        "/dashboard//evil.example",
        "/dashboard/\\evil.example",
        "/dashboard/../sendsms",
        "/dashboard/..//evil.example",
        "/dashboard/%2e%2e//evil.example",
        "/dashboard/%252e%252e/x",
        "/dashboard/%2F%2Fevil.example",
        "/dashboard/%5Cevil.example",
        "/%2Fevil.example",
        "%2F%2Fevil.example",
        "/dashboard/\tx",
        "/dashboard/%09/x",
        "/dashboard?a=\r\nSet-Cookie: x=y",
        "/dashboard?a=\\x",
        "/dashboard#x",
        "/dashboard/" + "x" * 2000,
    ],
)
def test_they_go_nowhere_else(wanted: str) -> None:
    assert safe_next(wanted) == "/dashboard"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://sms.lan:8080"},
        {"origin": "HTTP://SMS.lan:8080"},
        {"origin": "http://sms.lan:8080", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "https://behind.a.proxy", "sec-fetch-site": "same-origin"},
        {"host": "sms.lan", "origin": "http://sms.lan"},
        {"host": "sms.lan:443", "origin": "https://sms.lan"},
        {"host": "[::1]:80", "origin": "http://[::1]"},
    ],
)
def test_our_own_pages_may_send_forms(headers: Mapping[str, str]) -> None:
    check_origin({"host": "sms.lan:8080"} | dict(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"origin": "http://sms.lan:8080", "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://sms.lan"},
        {"origin": "http://sms.lan:8081"},
        {"origin": "http://evil.example:8080"},
        {"origin": "http://evil.example/sms.lan:8080"},
        {"origin": "sms.lan:8080"},
        {"origin": "http://["},
        {"host": "", "origin": ""},
    ],
)
def test_others_may_not(headers: Mapping[str, str]) -> None:
    with pytest.raises(BadForm):
        check_origin({"host": "sms.lan:8080"} | dict(headers))
