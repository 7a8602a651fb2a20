"""What Prometheus is told of messages, phones and events. No label names an account, a phone or a number."""

from prometheus_client import Counter, Gauge

from shared.contracts.rpc.messages import FLAG_KINDS

STORED = Counter("smsfleet_messages_stored", "Messages of commands that were stored, repetitions included")
ENDED = Counter("smsfleet_attempts_reported", "What phones said of their attempts for the first time", ["outcome"])
RECEIVED = Counter("smsfleet_texts_received", "Texts that came in")
BURIED = Counter("smsfleet_dead_letters", "Items that were refused for a fault of their own")
FLAGGED = Gauge("smsfleet_attention_messages", "Messages that need a person's eye, by kind of trouble", ["kind"])
WORK = Gauge("smsfleet_work_messages", "Messages that are not at rest, by state", ["state"])
OLDEST_READY = Gauge("smsfleet_work_oldest_ready_seconds", "How long the oldest message waits that is ready")
UNKNOWN = Gauge("smsfleet_messages_unknown", "Messages of the last 24 hours of unknown outcome")
PHONES = Gauge("smsfleet_phones", "Phones, by presence", ["presence"])
OUTBOX = Gauge("smsfleet_outbox_events", "Events that are committed and not yet on the stream")
OUTBOX_LAG = Gauge("smsfleet_outbox_oldest_seconds", "How long the oldest of those waits")
SEARCH_LAG = Gauge("smsfleet_search_lag_seconds", "How long ago the oldest change was that the search does not know")

for kind in FLAG_KINDS:
    FLAGGED.labels(kind)
for state in ("later", "ready", "leased", "taken"):
    WORK.labels(state)
for presence in ("online", "offline"):
    PHONES.labels(presence)
for outcome in ("sent", "failed"):
    ENDED.labels(outcome)
