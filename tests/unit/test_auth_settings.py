"""What auth refuses to start with."""

from typing import Any

import pytest

from services.auth.settings import AuthSettings
from shared.errors import Startup
from shared.runtime.settings import load

GIVEN = {"SMSFLEET_NATS_URL": "nats://x", "SMSFLEET_DATABASE_URL": "postgresql:///x"}


def settings(**more: str) -> AuthSettings:
    return load(AuthSettings, GIVEN | {f"SMSFLEET_{name.upper()}": value for name, value in more.items()})


def test_the_issuer_is_this_machine_unless_it_is_told() -> None:
    assert settings().issuer() == "http://127.0.0.1:8080"
    assert settings(port="9000").issuer() == "http://127.0.0.1:9000"
    assert settings(public_url="https://sms.example.org/").issuer() == "https://sms.example.org"


def test_keys_that_would_travel_in_the_clear_are_refused() -> None:
    for url in ("http://sms.example.org", "http://10.1.2.3:8080"):
        with pytest.raises(Startup, match="SMSFLEET_PUBLIC_URL"):
            settings(public_url=url).issuer()


def test_production_wants_a_secret_that_nobody_guesses() -> None:
    for given in ({}, {"secret_key": "x" * 31}):
        with pytest.raises(Startup, match="SMSFLEET_SECRET_KEY"):
            settings(mode="production", **given).secret()
    assert settings(mode="production", secret_key="x" * 32).secret() == "x" * 32
    assert settings(secret_key="short").secret() == "short"


def test_older_secrets_are_a_list() -> None:
    assert settings().older_secrets() == []
    assert settings(secret_key_old=" one, two ,,").older_secrets() == ["one", "two"]


@pytest.mark.parametrize("given", [{"token_ttl_s": "59"}, {"token_ttl_s": "86401"}, {"signing_key_days": "0"}])
def test_lifetimes_have_bounds(given: dict[str, Any]) -> None:
    with pytest.raises(Startup):
        settings(**given)
