"""What Prometheus is told of auth's memory; its answers are counted by shared/bus/rpc.py. No label names anybody."""

from prometheus_client import Gauge

EPOCH = Gauge("smsfleet_auth_epoch", "The epoch of what is in memory")
BEHIND = Gauge("smsfleet_auth_epochs_behind", "How many epochs beyond that were heard of")
READ_AGE = Gauge("smsfleet_auth_read_age_seconds", "How long ago Postgres was last read")
