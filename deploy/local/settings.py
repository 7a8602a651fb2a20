"""Reads the SMSFLEET_* variables that concern a local installation as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.local.errors import LocalError
from deploy.local.hosts import bracketed, is_address, is_host, machine_name, own_names

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (compared with, not bound)


@dataclass(frozen=True)
class Tls:
    """Where the installation listens with TLS, for which names, and where its root certificate is to be had."""

    port: int
    ca_port: int
    names: tuple[str, ...]
    """Host names and addresses that the certificate is for, the one of the public URL first."""
    machine: str
    """What tells this authority from another one in a phone's list."""

    @property
    def ca_url(self) -> str:
        """The page with the root certificate, without TLS."""
        return f"http://{bracketed(self.names[0])}:{self.ca_port}/"


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
    tls: Tls | None = None

    @property
    def local_address(self) -> str:
        """Host and port by which this machine's own processes reach the gateway."""
        return f"{bracketed(_WILDCARDS.get(self.bind, self.bind))}:{self.port}"

    @property
    def base_url(self) -> str:
        """How programs on this machine call it: they need not trust our own certificate authority."""
        return f"http://{self.local_address}" if self.tls else self.public_url


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of `environment`; raise LocalError naming the variable that is wrong."""
    bind = environment.get("SMSFLEET_BIND") or "127.0.0.1"
    port = _number(environment, "SMSFLEET_PORT", 8080, 1, 65535)
    allowed = _number(environment, "SMSFLEET_PHONE", 1, 0, 1) == 1
    tls = _tls(environment)
    ours = f"https://{bracketed(tls.names[0])}:{tls.port}" if tls else f"http://{bracketed(bind)}:{port}"
    public_url = (environment.get("SMSFLEET_PUBLIC_URL") or ours).rstrip("/")
    services = dict(environment)
    if tls:
        services["SMSFLEET_PUBLIC_URL"] = public_url
        services["SMSFLEET_CA_URL"] = tls.ca_url
        services["SMSFLEET_TRUSTED_PROXIES"] = _proxies(environment, bind)
    return Settings(
        bind=bind,
        port=port,
        public_url=public_url,
        phones=_number(environment, "SMSFLEET_PHONE_COUNT", 1, 0, 1000) if allowed else 0,
        phones_allowed=allowed,
        environment=services,
        tls=tls,
    )


def _tls(environment: Mapping[str, str]) -> Tls | None:
    wish = environment.get("SMSFLEET_TLS") or "off"
    if wish not in ("off", "internal"):
        raise LocalError(f"SMSFLEET_TLS is {wish!r}: set it to internal or off (`make up TLS=1`)")
    if wish == "off":
        return None
    given = [each.strip().lower() for each in environment.get("SMSFLEET_TLS_NAMES", "").split(",") if each.strip()]
    for name in given:
        if not is_host(name):
            raise LocalError(f"SMSFLEET_TLS_NAMES holds {name!r}: name hosts and addresses, comma-separated")
    public = environment.get("SMSFLEET_PUBLIC_URL", "")
    if public:
        try:
            host = urlsplit(public).hostname or ""
        except ValueError:
            host = ""
        if not public.startswith("https://") or not is_host(host):
            raise LocalError(f"SMSFLEET_PUBLIC_URL is {public!r}: with TLS it is https://host[:port]")
        given.insert(0, host)
    return Tls(
        port=_number(environment, "SMSFLEET_TLS_PORT", 8443, 1, 65535),
        ca_port=_number(environment, "SMSFLEET_TLS_CA_PORT", 8444, 1, 65535),
        names=tuple(dict.fromkeys([*given, *own_names()])),
        machine=machine_name(),
    )


def _proxies(environment: Mapping[str, str], bind: str) -> str:
    """The trusted proxies that were named, and Caddy, which calls from where the gateway listens."""
    found = [environment.get("SMSFLEET_TRUSTED_PROXIES", ""), "127.0.0.1", "::1"]
    if bind not in _WILDCARDS and is_address(bind):
        found.append(bind)
    return ",".join(each for each in dict.fromkeys(found) if each)


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise LocalError(f"{name} is {text!r}: set it to a number from {least} to {most}")
    return int(text)
