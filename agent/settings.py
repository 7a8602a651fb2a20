"""The agent's settings, read once from the environment and checked before anything starts."""

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from agent.errors import SettingsError

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_CHANNELS = ("sms", "whatsapp")

Protocol = Literal["socket", "smsgate"]
"""What the phone speaks: our own protocol, or that of the app "SMS Gateway for Android"."""

_URLS: Final[dict[Protocol, tuple[tuple[str, str], str]]] = {
    "socket": (("ws", "wss"), "ws:// or wss://host[:port]/phone/v1/socket"),
    "smsgate": (("http", "https"), "http:// or https://host[:port]/mobile/v1"),
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Time limits of the protocol's phone side, in seconds."""

    connect_s: float = 10.0
    """For the connection to open, and again for `welcome`."""

    send_s: float = 10.0
    """For one frame to leave."""

    take_s: float = 5.0
    """For `taken`; without it nothing is sent."""

    ready_s: float = 10.0
    """For `jobs`, and how long an idle phone waits before it asks again unasked."""

    ack_s: float = 15.0
    """For `ack`; then the same frame is sent again."""

    flush_s: float = 5.0
    """For the last receipts and reports of an agent that is told to stop."""

    lasted_s: float = 5.0
    """A session this long resets the back-off."""

    backoff_base_s: float = 0.2
    backoff_cap_s: float = 30.0
    keep_s: float = 7 * 86_400.0
    """How long the journal remembers what is settled and acknowledged."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the agent is told from outside."""

    url: str
    enrolment_key: str | None = field(default=None, repr=False)
    home: Path
    name: str
    delay_ms: int = 20
    delivery_ms: int = 100
    failure_rate: float = 0.0
    channels: tuple[str, ...] = ("sms",)
    protocol: Protocol = "socket"
    log_level: int = logging.INFO
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Settings from SMSFLEET_* variables; raises SettingsError naming the one that is wrong."""
        env = os.environ if environ is None else environ
        name = env.get("SMSFLEET_PHONE_NAME") or "phone-1"
        home = env.get("SMSFLEET_PHONE_HOME")
        protocol = _protocol(env)
        return cls(
            url=_url(env, protocol),
            enrolment_key=env.get("SMSFLEET_PHONE_ENROLMENT_KEY") or None,
            home=Path(home) if home else Path(env.get("SMSFLEET_HOME") or ".smsfleet") / "phones" / name,
            name=name,
            delay_ms=int(_number(env, "SMSFLEET_PHONE_DELAY_MS", 20, 600_000)),
            delivery_ms=int(_number(env, "SMSFLEET_PHONE_DELIVERY_MS", 100, 86_400_000)),
            failure_rate=_number(env, "SMSFLEET_PHONE_FAILURE_RATE", 0, 1),
            channels=_channels(env),
            protocol=protocol,
            log_level=_level(env),
        )


def _protocol(env: Mapping[str, str]) -> Protocol:
    text = env.get("SMSFLEET_PHONE_PROTOCOL") or "socket"
    known: tuple[Protocol, ...] = get_args(Protocol)
    for protocol in known:
        if text == protocol:
            return protocol
    raise SettingsError(f"SMSFLEET_PHONE_PROTOCOL must be one of {', '.join(known)}, not {text!r}.")


def _url(env: Mapping[str, str], protocol: Protocol) -> str:
    schemes, form = _URLS[protocol]
    url = env.get("SMSFLEET_PHONE_URL", "")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise SettingsError(f"SMSFLEET_PHONE_URL must be {form}.")
    return url


def _channels(env: Mapping[str, str]) -> tuple[str, ...]:
    text = env.get("SMSFLEET_PHONE_CHANNELS") or "sms"
    channels = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not channels or not set(channels) <= set(_CHANNELS):
        raise SettingsError(f"SMSFLEET_PHONE_CHANNELS must name some of {', '.join(_CHANNELS)}, not {text!r}.")
    return channels


def _number(env: Mapping[str, str], name: str, default: float, top: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= top:
        raise SettingsError(f"{name} must be a number from 0 to {top:g}, not {text!r}.")
    return value


def _level(env: Mapping[str, str]) -> int:
    text = (env.get("SMSFLEET_LOG_LEVEL") or "INFO").upper()
    if text not in _LEVELS:
        raise SettingsError(f"SMSFLEET_LOG_LEVEL must be one of {', '.join(_LEVELS)}, not {text!r}.")
    level: int = getattr(logging, text)
    return level
