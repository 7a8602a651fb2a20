"""What the dispatcher can be told from outside."""

from shared.runtime.settings import ServiceSettings


class DispatcherSettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of the dispatcher; it has none of its own yet."""
