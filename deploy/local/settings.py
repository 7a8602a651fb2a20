"""Reads the SMSFLEET_* variables that concern a local installation as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.errors import LocalError

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (compared with, not bound)


@dataclass(frozen=True)
class Settings:
    """Where the installation listens and which phones it simulates."""

    bind: str
    port: int
    public_url: str
    phones: int
    """How many simulated phones the account `default` has."""
    phones_allowed: bool
    environment: Mapping[str, str]
    """The caller's whole environment: what we do not read is for the services."""

    @property
    def local_address(self) -> str:
        """Host and port by which this machine's own processes reach the gateway."""
        host = _WILDCARDS.get(self.bind, self.bind)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of `environment`; raise LocalError naming the variable that is wrong."""
    bind = environment.get("SMSFLEET_BIND") or "127.0.0.1"
    port = _number(environment, "SMSFLEET_PORT", 8080, 1, 65535)
    allowed = _number(environment, "SMSFLEET_PHONE", 1, 0, 1) == 1
    host = f"[{bind}]" if ":" in bind else bind
    return Settings(
        bind=bind,
        port=port,
        public_url=(environment.get("SMSFLEET_PUBLIC_URL") or f"http://{host}:{port}").rstrip("/"),
        phones=_number(environment, "SMSFLEET_PHONE_COUNT", 1, 0, 1000) if allowed else 0,
        phones_allowed=allowed,
        environment=dict(environment),
    )


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise LocalError(f"{name} is {text!r}: set it to a number from {least} to {most}")
    return int(text)
