"""The errors that only the gateway's own checks raise; each dialect gives them its wire form."""

from shared.errors import Forbidden, SmsFleetError


class NoDevice(SmsFleetError):
    """The account has no such device."""

    code = "no_device"


class NoChannel(SmsFleetError):
    """No phone of the account serves this channel."""

    code = "no_channel"


class NoCredential(Forbidden):
    """The API key is missing."""

    code = "missing_credential"


class BadKey(Forbidden):
    """The API key is not valid."""

    code = "invalid_key"


class BadToken(Forbidden):
    """The Bearer token is not valid."""

    code = "invalid_token"


class MissingScope(Forbidden):
    """The credential does not allow this."""

    code = "insufficient_scope"

    def __init__(self, scope: str) -> None:
        """`scope` is what it would have to have."""
        super().__init__(f"The API key or token lacks the scope {scope}.")
        self.scope = scope


class Suspended(Forbidden):
    """The account is suspended."""

    code = "suspended"


class KeyReused(SmsFleetError):
    """The same idempotency key came with other content before."""

    code = "idempotency_key_reused"


class RateLimited(SmsFleetError):
    """The key has made too many requests."""

    code = "rate_limited"

    def __init__(self, retry_after_s: int, message: str | None = None) -> None:
        """`retry_after_s`: when the next request may pass, in whole seconds."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RequestTooLarge(SmsFleetError):
    """The request is larger than 256 KiB."""

    code = "too_large"


class RequestTimeout(SmsFleetError):
    """The body did not arrive in time."""

    code = "request_timeout"


class MethodNotAllowed(SmsFleetError):
    """Only GET and POST are served here."""

    code = "method_not_allowed"
