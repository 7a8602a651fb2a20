"""The settings that a server may push to the app (1.10), merged as the app's importer merges them."""

from typing import Annotated, Any, Literal

import msgspec

from agent.smsgate.errors import Unreadable
from agent.smsgate.facts import HOOK_TRIES

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Messages(msgspec.Struct, frozen=True, kw_only=True):
    """How texts are sent."""

    send_interval_min: _Count | None = None
    """Seconds; a pause is drawn between this and `send_interval_max`."""

    send_interval_max: _Count | None = None
    limit_period: Literal["Disabled", "PerMinute", "Per30Minutes", "PerHour", "PerDay"] = "Disabled"
    limit_value: _Count | None = None
    sim_selection_mode: Literal["OSDefault", "RoundRobin", "Random"] = "OSDefault"
    processing_order: Literal["LIFO", "FIFO"] = "LIFO"
    log_lifetime_days: _Count | None = None
    """What is at rest is forgotten after as many days, and with it that the id is known."""


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """The service that shows that the phone is alive."""

    interval_seconds: _Count | None = None


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """How webhooks are called."""

    internet_required: bool = True
    retry_count: _Count = HOOK_TRIES
    signing_key: str | None = None
    """None: the phone's own random one."""


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """Where the phone belongs; read at its next start."""

    cloud_url: str | None = None
    private_token: str | None = None
    notification_channel: Literal["AUTO", "SSE_ONLY"] = "AUTO"


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """All that has an effect here; other sections are ignored."""

    messages: Messages = Messages()
    ping: Ping = Ping()
    webhooks: Webhooks = Webhooks()
    gateway: Gateway = Gateway()


def decode(kept: str) -> Preferences:
    """What `encode` gave."""
    return msgspec.json.decode(kept, type=Preferences)


def encode(preferences: Preferences) -> str:
    """JSON, for the phone's memory."""
    return msgspec.json.encode(preferences).decode()


def merged(old: Preferences, answer: bytes) -> Preferences:
    """The preferences after GET /settings answered `answer`: null resets a key, an absent one stays.

    Raises Unreadable where the app's importer throws, which makes it ask again for ever.
    """
    try:
        given = msgspec.json.decode(answer, type=dict[str, Any])
        sections: dict[str, dict[str, Any]] = msgspec.to_builtins(old)
        for name in sections.keys() & given.keys():
            if not isinstance(given[name], dict):
                raise Unreadable(f"the section {name} is no object")
            changed = {**sections[name], **given[name]}
            sections[name] = {key: value for key, value in changed.items() if value is not None}
        new = msgspec.convert(sections, Preferences, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"the settings: {error}") from error
    if new.gateway.cloud_url is not None and not new.gateway.cloud_url.startswith("https://"):
        raise Unreadable("gateway.cloud_url is no https:// URL")
    return new
