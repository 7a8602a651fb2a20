"""What Prometheus is told of the gateway's edges. No label names an account, a key, a phone or a number."""

from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from shared.contracts.phone import ByeCode

REQUESTS = Counter(
    "smsfleet_http_requests", "Answers to requests, by route, method and class of status", ["route", "method", "status"]
)
SECONDS = Histogram(
    "smsfleet_http_seconds",
    "How long an answer took to begin",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ACCEPTED = Counter("smsfleet_messages_accepted", "Messages whose command is on disk, repetitions under a key included")
CONNECTED = Gauge("smsfleet_phones_connected", "Phones that this gateway holds")
FRAMES = Counter("smsfleet_phone_frames", "Frames of the phone protocol, by type and direction", ["type", "direction"])
BYES = Counter("smsfleet_phone_byes", "Conversations with phones that the gateway ended, by why", ["code"])
AUTH_SILENCE = Gauge("smsfleet_auth_silence_seconds", "How long ago auth was last heard")

for code in get_args(ByeCode):
    BYES.labels(code)
