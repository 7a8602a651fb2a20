"""What TLS for a LAN makes of the settings of a local installation."""

import pytest

from deploy.local.errors import LocalError
from deploy.local.hosts import bracketed, is_host, own_names
from deploy.local.settings import read_settings


def test_without_it_nothing_changes() -> None:
    found = read_settings({"SMSFLEET_TRUSTED_PROXIES": "10.0.0.0/8"})
    assert (found.tls, found.public_url, found.base_url) == (None, "http://127.0.0.1:8080", "http://127.0.0.1:8080")
    assert found.environment == {"SMSFLEET_TRUSTED_PROXIES": "10.0.0.0/8"}
    assert read_settings({"SMSFLEET_TLS": "off"}).tls is None


def test_the_services_are_told_of_caddy() -> None:
    found = read_settings({"SMSFLEET_TLS": "internal", "SMSFLEET_TLS_NAMES": "SMS.home.arpa, 10.1.2.3"})
    assert found.tls is not None
    assert found.tls.names[:2] == ("sms.home.arpa", "10.1.2.3")
    assert {"localhost", "127.0.0.1"} < set(found.tls.names)
    assert found.public_url == found.environment["SMSFLEET_PUBLIC_URL"] == "https://sms.home.arpa:8443"
    assert (found.base_url, found.tls.ca_url) == ("http://127.0.0.1:8080", "http://sms.home.arpa:8444/")
    assert found.environment["SMSFLEET_TRUSTED_PROXIES"] == "127.0.0.1,::1"
    assert found.environment["SMSFLEET_CA_URL"] == found.tls.ca_url


@pytest.mark.parametrize(
    ("bind", "named", "trusted"),
    [
        ("0.0.0.0", "", "127.0.0.1,::1"),
        ("10.1.2.3", "", "127.0.0.1,::1,10.1.2.3"),
        ("localhost", "10.0.0.0/8", "10.0.0.0/8,127.0.0.1,::1"),
    ],
)
def test_caddy_is_trusted_where_the_gateway_listens(bind: str, named: str, trusted: str) -> None:
    found = read_settings({"SMSFLEET_TLS": "internal", "SMSFLEET_BIND": bind, "SMSFLEET_TRUSTED_PROXIES": named})
    assert found.environment["SMSFLEET_TRUSTED_PROXIES"] == trusted


def test_a_public_url_of_the_owners_choice_is_kept_and_certified() -> None:
    found = read_settings({"SMSFLEET_TLS": "internal", "SMSFLEET_PUBLIC_URL": "https://[2001:db8::7]:9443/"})
    assert found.tls is not None
    assert (found.public_url, found.tls.names[0]) == ("https://[2001:db8::7]:9443", "2001:db8::7")
    assert found.tls.ca_url == "http://[2001:db8::7]:8444/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMSFLEET_TLS", "1"),
        ("SMSFLEET_TLS_NAMES", "sms.example:8443"),
        ("SMSFLEET_TLS_NAMES", "a b"),
        ("SMSFLEET_TLS_NAMES", "-a"),
        ("SMSFLEET_TLS_PORT", "0"),
        ("SMSFLEET_TLS_CA_PORT", "http"),
        ("SMSFLEET_PUBLIC_URL", "http://sms.example"),
        ("SMSFLEET_PUBLIC_URL", "https://"),
        ("SMSFLEET_PUBLIC_URL", "https://[::1"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(LocalError, match=name):
        read_settings({"SMSFLEET_TLS": "internal", name: value})


def test_a_machine_has_names() -> None:
    names = own_names()
    assert len(names) == len(set(names))
    assert names[-1] == "127.0.0.1"
    assert all(is_host(name) for name in names)


def test_addresses_of_the_sixth_version_stand_in_brackets() -> None:
    assert [bracketed(each) for each in ("::1", "127.0.0.1", "a.example")] == ["[::1]", "127.0.0.1", "a.example"]
