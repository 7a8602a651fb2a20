"""What Prometheus is told: how posts end, how long they take, what waits. No label names an endpoint."""

from prometheus_client import Counter, Gauge, Histogram

POSTS = Counter("smsfleet_webhooks_posts", "Posts to customers' URLs, by how they ended", ["outcome"])
SECONDS = Histogram(
    "smsfleet_webhooks_post_seconds",
    "How long posts took",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
LATE = Counter("smsfleet_webhooks_late_results", "Results that came after the lease had ended")
IN_FLIGHT = Gauge("smsfleet_webhooks_in_flight", "Posts of this process that are under way")
PENDING = Gauge("smsfleet_webhooks_pending", "Undelivered events, parked ones too")
OLDEST_DUE = Gauge("smsfleet_webhooks_oldest_due_seconds", "How long the oldest due event of an enabled endpoint waits")
OPEN_BREAKERS = Gauge("smsfleet_webhooks_open_breakers", "Endpoints that get nothing but probes")
DISABLED = Gauge("smsfleet_webhooks_disabled", "Endpoints that were disabled because they only failed")
