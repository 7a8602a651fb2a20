"""The errors that only the gateway's own checks raise; each dialect gives them its wire form."""

from shared.errors import Forbidden, SmsFleetError


class NoDevice(SmsFleetError):
    """The account has no such device."""

    code = "no_device"


class NoChannel(SmsFleetError):
    """No phone of the account serves this channel."""

    code = "no_channel"


class Suspended(Forbidden):
    """The account is suspended."""

    code = "suspended"


class KeyReused(SmsFleetError):
    """The same idempotency key came with other content before."""

    code = "idempotency_key_reused"


class RateLimited(SmsFleetError):
    """The key has made too many requests."""

    code = "rate_limited"

    def __init__(self, retry_after_s: int) -> None:
        """`retry_after_s`: when the next request may pass, in whole seconds."""
        super().__init__()
        self.retry_after_s = retry_after_s
