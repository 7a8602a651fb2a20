"""Why a phone's connection ends, as an exception that becomes the `bye` frame. Pure."""

from shared.contracts import phone


class Farewell(Exception):
    """The connection ends, and this is why."""

    def __init__(self, code: phone.ByeCode, message: str, retry_after_s: float | None = 1.0) -> None:
        """What `bye` will say; `retry_after_s` None: the phone shall not come back by itself."""
        super().__init__(f"{code}: {message}")
        self.bye = phone.Bye(code=code, message=message, retry_after_s=retry_after_s)
