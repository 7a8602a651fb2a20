"""Signatures are those of the two published forms: other people's libraries and a receiver of our own accept them."""

import base64
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix.webhooks

from services.webhooks.examples import EXAMPLES
from services.webhooks.formats import v2_body
from services.webhooks.signing import new_secret, sign, v2_headers
from tests.support.v2_receiver import V2Receiver

BODY = b'{"message":"Gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80"}'
EVENT = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"


def signed(secrets: list[str], at: int, body: bytes = BODY) -> dict[str, str]:
    return {"webhook-id": EVENT, "webhook-timestamp": str(at), "webhook-signature": sign(secrets, EVENT, at, body)}


def test_a_known_vector() -> None:
    """Published in the specification of Standard Webhooks and by Svix."""
    signature = sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_new_each_time_and_long_enough() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in secrets} == {32}


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_released_libraries_accept_either_of_two_secrets(library: type[standardwebhooks.Webhook]) -> None:
    new, old = new_secret(), new_secret()
    headers = signed([new, old], int(time.time()))
    for secret in (new, old):
        library(secret).verify(BODY, headers)


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_released_libraries_refuse_what_is_not_ours(library: type[standardwebhooks.Webhook]) -> None:
    secret, now = new_secret(), int(time.time())
    good = signed([secret], now)
    refused: list[tuple[str, bytes, dict[str, str]]] = [
        (new_secret(), BODY, good),
        (secret, BODY + b" ", good),
        (secret, BODY, {**good, "webhook-id": EVENT.upper()}),
        (secret, BODY, {**good, "webhook-timestamp": str(now + 1)}),
        (secret, BODY, signed([secret], now - 600)),
        (secret, BODY, {**good, "webhook-signature": ""}),
    ]
    for verifier, body, headers in refused:
        with pytest.raises((standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)):
            library(verifier).verify(body, headers)


def test_without_a_secret_there_is_no_signature() -> None:
    assert sign([], EVENT, 1, BODY) == ""
    assert "X-SMSMobileAPI-Signature" not in v2_headers([], EVENT, "sms.sent", 1, BODY)


def test_a_secret_of_its_owner_s_own_is_its_own_key() -> None:
    secret = "taken over: ключ"
    mine = base64.b64encode(secret.encode()).decode()
    assert sign([secret], EVENT, 1, BODY) == sign(["whsec_" + mine], EVENT, 1, BODY)


# V2 ------------------------------------------------------------------------------------------------------------

NOW = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())


def told(receiver: V2Receiver, type: str, secrets: list[str], at: int = NOW, now: float = NOW) -> int:
    event = EXAMPLES[type]
    body = v2_body(event)
    headers = v2_headers(secrets, str(event.id), type, at, body)
    framing = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return receiver.status("POST", headers | framing, body, now)


@pytest.mark.parametrize("type", EXAMPLES)
def test_a_receiver_written_from_the_contract_accepts_every_type(type: str) -> None:
    secret = new_secret()
    receiver = V2Receiver(secret)
    assert told(receiver, type, [secret]) == 202
    # A repetition hours later has a timestamp and a signature of its own, and the same id and body.
    assert told(receiver, type, [secret], NOW + 36_000, NOW + 36_000) == 200
    assert [event["type"] for event in receiver.seen.values()] == [type]


def test_it_refuses_the_wrong_secret_and_the_wrong_time() -> None:
    secret = new_secret()
    receiver = V2Receiver(secret)
    assert told(receiver, "sms.sent", [new_secret()]) == 401
    assert told(receiver, "sms.sent", []) == 401
    assert told(receiver, "sms.sent", [secret], now=NOW + 301) == 401
    assert told(receiver, "sms.sent", [secret], now=NOW - 301) == 401
    assert told(receiver, "sms.sent", [secret], now=NOW + 300) == 202


def test_the_newest_secret_signs_while_two_are_valid() -> None:
    new, old = new_secret(), new_secret()
    assert told(V2Receiver(new), "sms.sent", [new, old]) == 202
    assert told(V2Receiver(old), "sms.sent", [new, old]) == 401
