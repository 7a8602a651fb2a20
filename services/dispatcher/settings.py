"""What the dispatcher can be told from outside."""

from shared.runtime.settings import ServiceSettings


class DispatcherSettings(ServiceSettings, frozen=True, kw_only=True):
    """How long messages are kept, in days, and how long a silent phone is believed to be sending, in seconds."""

    retention_sent_days: int = 90
    retention_received_days: int = 365
    unknown_after_s: int = 600
