"""`python -m deploy.compose.secrets`: prints the .env of a new installation, every secret in it made now."""

import argparse
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Final

from deploy.local.credentials import NATS_ROLES, nkey_pair
from deploy.local.nats import SMALLEST_STORE
from shared.db.privileges import SERVICES

TEMPLATE: Final = Path(__file__).with_name("env.template")

DEFAULT_STORE_MB: Final = 2048
LEAST_STORE_MB: Final = SMALLEST_STORE >> 20

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_BIND: Final = re.compile(r"[0-9a-fA-F.:\[\]]+")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the file; returns the exit code, 2 for a wrong option."""
    parser = argparse.ArgumentParser(prog="deploy/init", description="Makes .env, with every secret in it.")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--domain", type=_host, help="a public name that leads here; its certificate comes by ACME")
    place.add_argument(
        "--host", type=_host, default="localhost", help="this machine's name or address in a LAN (default: localhost)"
    )
    parser.add_argument("--bind", type=_bind, default="0.0.0.0", help="address to listen on (default: all)")  # noqa: S104
    parser.add_argument("--http-port", type=_port, default=80, help="default: 80")
    parser.add_argument("--https-port", type=_port, default=443, help="default: 443")
    parser.add_argument(
        "--nats-store-mb",
        type=_megabytes,
        default=DEFAULT_STORE_MB,
        help=f"what NATS may keep, well below what the disk of its volume holds (default: {DEFAULT_STORE_MB})",
    )
    print(render(parser.parse_args(argv)), end="")
    return 0


def render(args: argparse.Namespace) -> str:
    """The content of .env."""
    host = args.domain or args.host
    http = f"http://{host}" + ("" if args.http_port == 80 else f":{args.http_port}")
    values = {
        "host": host,
        "public_url": f"https://{host}" + ("" if args.https_port == 443 else f":{args.https_port}"),
        "certificate": "acme" if args.domain else "internal",
        "ca_url": "" if args.domain else f"{http}/ca.crt",
        "bind": args.bind,
        "http_port": args.http_port,
        "https_port": args.https_port,
        "nats_store": args.nats_store_mb << 20,
        "secret": secrets.token_hex(32),
        "postgres": secrets.token_hex(24),
        "valkey": secrets.token_hex(24),
        **{f"postgres_{service}": secrets.token_hex(24) for service in SERVICES},
    }
    for role in NATS_ROLES:
        values[f"seed_{role}"], values[f"user_{role}"] = nkey_pair()
    return Template(TEMPLATE.read_text()).substitute(values)


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name and no IPv4 address")
    return text.lower()


def _bind(text: str) -> str:
    if not _BIND.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address")
    return text


def _megabytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < LEAST_STORE_MB:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MB from {LEAST_STORE_MB} on")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
