"""What the log and the inbox say about rows, and what errors look like."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.gateway import app
from services.gateway.dialects.smsmobile import answers, document
from services.gateway.dialects.smsmobile.errors import (
    Refused,
    answer_to,
    answer_to_status,
)
from services.gateway.documents import page
from services.gateway.errors import (
    BadKey,
    BadToken,
    KeyReused,
    MethodNotAllowed,
    MissingScope,
    NoChannel,
    NoCredential,
    NoDevice,
    RateLimited,
    RequestTooLarge,
    Suspended,
)
from services.gateway.settings import GatewaySettings
from services.gateway.store import InboxRow, SentRow
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from shared.model.ids import MessageIds, accepted_at_ms

NOW = datetime(2026, 3, 20, 21, 7, 44, tzinfo=UTC)
IDS = MessageIds(b"k" * 32)


def row(**changes: Any) -> SentRow:
    fields: dict[str, Any] = {
        "id": bytes(range(20)),
        "recipient": "+3247123456",
        "text": "hello",
        "origin": "odoo",
        "client_ref": None,
        "channel": "sms",
        "encoding": "gsm7",
        "parts": 1,
        "priority": 0,
        "wanted_device_id": None,
        "wanted_sim": None,
        "accepted_at": NOW,
        "scheduled_at": NOW,
        "valid_until": NOW + timedelta(hours=72),
        "state": "queued",
        "reason": None,
        "device_id": None,
        "sim": None,
        "live_state": None,
        "deleted": False,
        "estimated_at": None,
    }
    return SentRow(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "sent", "mobile", "api", "status"),
    [
        ({}, "0", "", "", "Pending"),
        ({"state": "scheduled"}, "0", "", "", "Pending"),
        ({"state": "sent"}, "1", "", "", "Success"),
        ({"state": "delivered"}, "1", "", "", "Success"),
        ({"state": "failed", "reason": "no_credit"}, "0", "no_credit", "", "Error"),
        ({"state": "failed"}, "0", "failed", "", "Error"),
        ({"state": "expired"}, "0", "", "expired", "Error"),
        ({"state": "canceled"}, "0", "", "canceled", "Error"),
        ({"state": "unknown"}, "0", "", "", "Pending"),
        ({"state": "unknown", "valid_until": NOW}, "0", "outcome unknown", "", "Error"),
        ({"state": "unknown", "live_state": "taken"}, "0", "", "", "Pending"),
        ({"state": "unknown", "valid_until": NOW, "live_state": "taken"}, "0", "outcome unknown", "", "Error"),
        ({"state": "failed", "reason": "rejected"}, "0", "rejected", "rejected", "Error"),
        ({"state": "failed", "reason": "x", "live_state": "taken"}, "0", "", "", "Pending"),
        ({"state": "sent", "live_state": "ready"}, "0", "", "", "Pending"),
    ],
)
def test_states_in_the_log_row(changes: dict[str, Any], sent: str, mobile: str, api: str, status: str) -> None:
    found = answers.log_row(row(**changes), NOW)
    assert (found.send_from_mobile, found.send_from_mobile_erreur, found.error_api, found.status) == (
        sent,
        mobile,
        api,
        status,
    )


def test_a_log_row_is_whole() -> None:
    at = NOW + timedelta(hours=1)
    found = answers.log_row(row(wanted_sim=2, wanted_device_id="w", scheduled_at=at), NOW)
    assert msgspec.to_builtins(found) == {
        "guid": "000102030405060708090a0b0c0d0e0f10111213",
        "id": "000102030405060708090a0b0c0d0e0f10111213",
        "number": "+3247123456",
        "recipients": "+3247123456",
        "message": "hello",
        "send_from_mobile": "0",
        "send_from_mobile_erreur": "",
        "error_api": "",
        "status": "Pending",
        "datetime": "2026-03-20T21:07:44Z",
        "date": "2026-03-20",
        "hour": "21:07:44",
        "timestamp_unix": 1774040864,
        "sIdentifiantPhone": "w",
        "port": "2",
        "schedule_timestamp": 1774044464,
        "origin": "odoo",
        "client_ref": None,
        "priority": 0,
        "valid_until": 1774300064,
        "estimated_at": None,
        "reason": None,
        "encoding": "gsm7",
        "parts": 1,
    }


def test_a_pending_row_tells_what_the_id_tells() -> None:
    message = IDS.new(7, 1774040864123)[0]
    found = answers.pending_row(message, accepted_at_ms(message))
    assert (found.guid, found.status, found.datetime, found.timestamp_unix) == (
        message.hex(),
        "Pending",
        "2026-03-20T21:07:44Z",
        1774040864,
    )


def test_an_inbox_row_in_the_phones_local_time() -> None:
    at = datetime(2026, 3, 27, 9, 22, 54, 316_000, tzinfo=UTC)
    guid = UUID("0f14d0ab-9605-4a62-a9e4-5ed26688389b")
    stored = InboxRow(3, guid, "d" * 21, "+3247123456", "hi", at, 480, at + timedelta(seconds=8))
    assert msgspec.json.decode(answers.inbox([stored])) == {
        "result": {
            "error": None,
            "sms": [
                {
                    "id": 3,
                    "guid": "0F14D0AB-9605-4A62-A9E4-5ED26688389B",
                    "number": "+3247123456",
                    "message": "hi",
                    "timestamp_unix": 1774603374,
                    "sIdentifiantPhone": "d" * 21,
                    "alias": None,
                    "date": "2026-03-27",
                    "hour": "09:23:02",
                    "time_received": "20260327172254316",
                }
            ],
        }
    }


@pytest.mark.parametrize(
    ("zone", "local"),
    [
        ("UTC", "2026-03-20T21:07:44+00:00"),
        ("Europe/Brussels", "2026-03-20T22:07:44+01:00"),
        ("No/Where", "2026-03-20T21:07:44+00:00"),
        ("../etc/passwd", "2026-03-20T21:07:44+00:00"),
    ],
)
def test_local_time(zone: str, local: str) -> None:
    body = answers.sent(IDS.new(7, 1), 1774040864.9, zone, None, listed=False)
    assert msgspec.json.decode(body)["result"]["datetimeLocal"] == local


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Invalid("x", code="missing_message"), 400, "missing_message"),
        (Forbidden(), 403, 1),
        (NoCredential(), 403, 1),
        (BadKey(), 403, 1),
        (BadToken(), 403, 1),
        (MissingScope("sms:send"), 403, 1),
        (Suspended(), 403, "subscription_expire"),
        (NoDevice(), 200, 2),
        (NoChannel(), 200, "whatsapp_not_connected"),
        (Refused("x", code="shorturl_not_supported"), 200, "shorturl_not_supported"),
        (NotFound(), 200, "not_found"),
        (Conflict(code="too_late"), 200, "too_late"),
        (KeyReused(), 422, "idempotency_key_reused"),
        (RateLimited(7), 429, "rate_limited"),
        (RequestTooLarge(), 413, "too_large"),
        (MethodNotAllowed(), 405, "method_not_allowed"),
        (Unavailable(), 503, "unavailable"),
        (ValueError("secret"), 500, "internal"),
    ],
)
def test_errors_have_both_shapes(error: Exception, status: int, code: int | str) -> None:
    found = answer_to(error)
    body = msgspec.json.decode(found.body)
    text = body["message"]
    assert found.status == status
    assert body == {
        "error": code,
        "message": text,
        "result": {"error": code, "sent": "no", "id": None, "note": text},
    }
    assert "secret" not in text
    assert msgspec.json.decode(answer_to(error, lists=True).body)["result"]["sms"] == []
    headers = dict(found.headers)
    assert headers[b"content-type"] == b"application/json; charset=utf-8"
    assert headers[b"content-length"] == str(len(found.body)).encode()
    assert (b"retry-after" in headers) == (status in (429, 503))
    assert (b"www-authenticate" in headers) == isinstance(error, BadToken)


def test_framework_errors_have_them_too() -> None:
    for status, code in (
        (404, "not_found"),
        (415, "unsupported_media_type"),
        (429, "rate_limited"),
        (418, "bad_request"),
    ):
        found = answer_to_status(status, "text")
        assert (found.status, msgspec.json.decode(found.body)["result"]["error"]) == (status, code)


def test_the_document_resolves_and_is_shown() -> None:
    paths, schemas = document.paths(), document.schemas()
    named = {
        part["$ref"].rpartition("/")[2]
        for item in paths.values()
        for operation in item.values()
        for answer in operation["responses"].values()
        for content in answer["content"].values()
        for part in (content["schema"].get("anyOf") or [content["schema"]])
    }
    assert named <= set(schemas)
    kinds = [kind for schema in schemas.values() for kind in schema.get("properties", {}).values()]
    assert all(kind.keys() & {"type", "anyOf", "$ref", "allOf", "enum"} for kind in kinds), "each property has a type"
    identities = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(identities) == len(set(identities))
    shown = page({"info": {"title": "<T>", "version": "1"}, "paths": paths})
    assert "&lt;T&gt;" in shown
    assert "recipients" in shown
    assert "http://" not in shown
    assert "https://" not in shown


def test_every_endpoint_is_documented() -> None:
    settings = GatewaySettings(nats_url="", database_url="")
    nothing: Any = None
    served = app._endpoints(settings, nothing, nothing, nothing, nothing, nothing)
    assert set(document.paths()) == {spelling for path in served for spelling in (path, f"{path}/")}
