"""The one tree of errors that services raise on purpose, each with a stable code; every edge maps it once."""


class SmsFleetError(Exception):
    """Something went wrong."""

    code = "internal"

    def __init__(self, message: str | None = None) -> None:
        """The text defaults to the class's docstring."""
        super().__init__(message or (type(self).__doc__ or self.code).strip().splitlines()[0])


class Invalid(SmsFleetError):
    """The request is not valid."""

    code = "invalid"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        """`code` names the field or rule that failed, such as `missing_recipients`."""
        super().__init__(message)
        if code:
            self.code = code


class NotFound(SmsFleetError):
    """There is no such thing in this account."""

    code = "not_found"


class Conflict(SmsFleetError):
    """The thing is not in a state that allows this."""

    code = "conflict"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        """`code` says which rule forbids it."""
        super().__init__(message)
        if code:
            self.code = code


class Forbidden(SmsFleetError):
    """The credential is not valid here."""

    code = "forbidden"


class StaleSession(SmsFleetError):
    """Another session of this phone is newer."""

    code = "stale_session"


class Unavailable(SmsFleetError):
    """A part of the system is away; try again soon."""

    code = "unavailable"

    retry_after_s = 1


class Startup(SmsFleetError):
    """The program cannot start; the text says what to mend."""

    code = "startup"
