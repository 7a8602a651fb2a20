"""What auth can be told from outside."""

from shared.runtime.settings import ServiceSettings


class AuthSettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of auth; it has none of its own yet."""
