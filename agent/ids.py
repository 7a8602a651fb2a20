"""Reads the message out of an attempt id; the agent itself treats attempt ids as opaque."""

import base64

_CHARS = 34
_MESSAGE_BYTES = 20


def message_of(attempt: str) -> str | None:
    """The message id, 40 hex characters, or None if this is no attempt id (34 characters of base32)."""
    if len(attempt) != _CHARS or not attempt.isascii():
        return None
    try:
        raw = base64.b32decode(attempt.upper() + "======")
    except ValueError:
        return None
    return raw[:_MESSAGE_BYTES].hex()
