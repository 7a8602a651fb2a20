"""Reads SMSFLEET_* variables into frozen structs, once, at start; nothing else reads the environment."""

from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

from shared.errors import Startup

PREFIX = "SMSFLEET_"

MIN_SECRET_CHARS = 32
"""A shorter secret is refused in production."""

S = TypeVar("S", bound=msgspec.Struct)


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service needs. Field `log_level` is SMSFLEET_LOG_LEVEL, and so on (table in docs/interfaces.md)."""

    nats_url: str
    database_url: str
    redis_url: str | None = None
    nats_nkey_file: str | None = None
    nats_nkey: str | None = None
    secret_key: str | None = None
    secret_key_old: str = ""
    mode: Literal["local", "production"] = "local"
    metrics_bind: str = "127.0.0.1"
    metrics_port: int = 0
    log_level: str = "info"

    def secret(self) -> str:
        """The installation's secret. Raises Startup when there is none, or in production one that could be guessed."""
        if not self.secret_key:
            raise Startup("SMSFLEET_SECRET_KEY is not set; make one with: openssl rand -hex 32")
        if self.mode == "production" and len(self.secret_key) < MIN_SECRET_CHARS:
            raise Startup(
                f"SMSFLEET_SECRET_KEY has fewer than {MIN_SECRET_CHARS} characters; make one with: openssl rand -hex 32"
            )
        return self.secret_key

    def older_secrets(self) -> list[str]:
        """Secrets that the installation had before: they open what was sealed under them."""
        return [each for part in self.secret_key_old.split(",") if (each := part.strip())]


def base_url(public_url: str | None, port: int) -> str:
    """How the world reaches the gateway, without trailing slash: `public_url`, or what is true on its own machine."""
    return (public_url or f"http://127.0.0.1:{port}").rstrip("/")


def load(kind: type[S], environ: Mapping[str, str]) -> S:
    """The settings of this kind from the environment; empty variables count as absent.

    Raises Startup naming the variable that is missing or wrong.
    """
    values = {
        field.name: value
        for field in msgspec.structs.fields(kind)
        if (value := environ.get(PREFIX + field.name.upper(), "")) != ""
    }
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        text = str(error)
        for field in msgspec.structs.fields(kind):
            text = text.replace(f"`$.{field.name}`", PREFIX + field.name.upper())
            text = text.replace(f"`{field.name}`", PREFIX + field.name.upper())
        raise Startup(f"The settings are not valid: {text}") from error
