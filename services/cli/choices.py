"""What a webhook shall be like, as options say it. A secret is piped or typed in, never an argument for all to see."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.contracts.rpc.webhooks import BasicAuth, BearerAuth, Endpoint


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--description", help="what it is for")
    for name, kind, about in (
        ("--event", str, "only events of this type, such as sms.received"),
        ("--device", str, "only what this phone sent or received, by its id"),
        ("--sim", int, "only what went over this slot, 1 to 8"),
        ("--number", str, "only what came from or went to this number"),
    ):
        parser.add_argument(name, type=kind, action="append", help=f"{about}; again for more")
    parser.add_argument("--header", type=_header, action="append", metavar="NAME:VALUE", help="send it; again for more")
    parser.add_argument(
        "--auth-stdin", action="store_true", help="read basic:USER:PASSWORD or bearer:TOKEN, the first line"
    )
    parser.add_argument("--max-window", type=int, metavar="N", help="most deliveries under way at once, 1 to 32")
    parser.add_argument("--number-format", choices=("plain", "plus"), help="classic: 15551234567 or +15551234567")
    parser.add_argument("--time-format", choices=("digits", "text"), help="classic: how time_received is written")
    parser.add_argument("--time-zone", metavar="ZONE", help="classic: for all times, such as Europe/Berlin")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


def chosen(args: argparse.Namespace, now: "Endpoint | None") -> dict[str, Any]:
    """What the options say, over what a webhook has now. Raises Invalid (`invalid_auth`)."""
    import msgspec

    from shared.contracts.rpc.webhooks import ClassicSettings, Filter

    wish: dict[str, Any] = {
        name: value for name in ("description", "max_window") if (value := getattr(args, name)) is not None
    }
    lists = {"types": args.event, "devices": args.device, "sims": args.sim, "numbers": args.number}
    if some := {name: value for name, value in lists.items() if value is not None}:
        wish["filter"] = msgspec.structs.replace(now.filter if now else Filter(), **some)
    classic = {name: getattr(args, name) for name in ("number_format", "time_format", "time_zone")}
    if some := {name: value for name, value in classic.items() if value is not None}:
        wish["classic"] = msgspec.structs.replace(now.classic if now else ClassicSettings(), **some)
    if args.header:
        wish["headers"] = dict(args.header)
    if args.auth_stdin:
        wish["auth"] = _auth(secret_line("basic:USER:PASSWORD or bearer:TOKEN: "))
    return wish


def _auth(text: str) -> "BasicAuth | BearerAuth":
    from shared.contracts.rpc.webhooks import BasicAuth, BearerAuth
    from shared.errors import Invalid

    kind, _, rest = text.partition(":")
    user, colon, password = rest.partition(":")
    if kind == "bearer":
        return BearerAuth(token=rest)
    if kind != "basic" or not colon:
        raise Invalid("Credentials are basic:USER:PASSWORD or bearer:TOKEN.", code="invalid_auth")
    return BasicAuth(user=user, password=password)


def secret_line(prompt: str) -> str:
    """A line of standard input, unseen where that is a terminal."""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n")
