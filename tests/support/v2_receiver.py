"""A receiver of V2 webhooks, written from the contract alone (SMSMobileAPI section 4): it shares no code with us."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping

from tests.support.receiver import Delivery

MAX_BODY_BYTES = 1_000_000
MAX_SKEW_S = 300
ENVELOPE = {"id", "type", "api_version", "created_at", "occurred_at", "data"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class V2Receiver:
    """Answers 202 to an event, 200 to one that it has seen, 401 to a signature it cannot trust, 400 to nonsense."""

    def __init__(self, secret: str) -> None:
        """`secret`: as its owner was shown it."""
        self._secret = secret
        self.seen: dict[str, dict[str, object]] = {}

    def status(self, method: str, headers: Mapping[str, str], body: bytes, now: float) -> int:
        """The status for a request; header names in any case, `now` in Unix seconds."""
        given = {name.lower(): value for name, value in headers.items()}
        if method != "POST":
            return 405
        if not 0 < int(given.get("content-length", "0")) <= MAX_BODY_BYTES:
            return 400
        if not self._is_signed(given, body, now):
            return 401
        event = json.loads(body)
        if not _is_envelope(event) or not _fits(event, given):
            return 400
        if event["id"] in self.seen:
            return 200
        self.seen[event["id"]] = event
        return 202

    def judge(self, delivery: Delivery) -> int:
        """The status for a request that came over HTTP just now."""
        return self.status(delivery.line.split(" ")[0], dict(delivery.headers), delivery.body, time.time())

    def _is_signed(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        timestamp = headers.get("x-smsmobileapi-timestamp", "")
        signature = headers.get("x-smsmobileapi-signature", "")
        if not re.fullmatch(r"[0-9]+", timestamp) or not re.fullmatch(r"v1=[a-f0-9]{64}", signature):
            return False
        if abs(now - int(timestamp)) > MAX_SKEW_S:
            return False
        made = hmac.new(self._secret.encode("utf-8"), timestamp.encode() + b"." + body, hashlib.sha256)
        return hmac.compare_digest(signature, "v1=" + made.hexdigest())


def _is_envelope(event: object) -> bool:
    return (
        isinstance(event, dict)
        and set(event) == ENVELOPE
        and isinstance(event["data"], dict)
        and event["api_version"] == "2026-09-22"
        and UUID.fullmatch(event["id"]) is not None
        and all(MOMENT.fullmatch(event[name]) for name in ("created_at", "occurred_at"))
    )


def _fits(event: Mapping[str, object], headers: Mapping[str, str]) -> bool:
    return (
        headers.get("x-smsmobileapi-event") == event["type"]
        and headers.get("x-smsmobileapi-event-id") == event["id"] == headers.get("idempotency-key")
        and headers.get("content-type", "").startswith("application/json")
    )
