"""The commands about API keys and about OAuth2 clients, which are made, listed, rotated and ended alike."""

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from services.cli.listing import every, one
from services.cli.rpc import account_called, asking, command, facts, group, moment, show, table
from services.cli.spans import add_expiry, add_overlap

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.registry import Rpc


class _Kind(NamedTuple):
    """What is not the same of both. `id`, `rows` and `created` are names on the wire."""

    name: str
    title: str
    ends: str
    """What a revocation ends."""
    id: str
    id_about: str
    rows: str
    created: tuple[str, str]
    """What is shown once."""
    replaced: str
    """What a rotation replaces, for short."""


_KINDS = (
    _Kind(
        name="key",
        title="API key",
        ends="an API key",
        id="id",
        id_about="such as key_ and 12 characters",
        rows="keys",
        created=("id", "api_key"),
        replaced="key",
    ),
    _Kind(
        name="client",
        title="OAuth2 client",
        ends="an OAuth2 client and its tokens",
        id="client_id",
        id_about="32 characters",
        rows="clients",
        created=("client_id", "client_secret"),
        replaced="secret",
    ),
)


class _Questions(NamedTuple):
    create: "Rpc[Any, Any]"
    listing: "Rpc[Any, Any]"
    rotate: "Rpc[Any, Any]"
    revoke: "Rpc[Any, Any]"


def _questions(kind: _Kind) -> _Questions:
    from shared.contracts import registry as r

    if kind.name == "key":
        return _Questions(r.AUTH_KEY_CREATE, r.AUTH_KEY_LIST, r.AUTH_KEY_ROTATE, r.AUTH_KEY_REVOKE)
    return _Questions(r.AUTH_CLIENT_CREATE, r.AUTH_CLIENT_LIST, r.AUTH_CLIENT_ROTATE, r.AUTH_CLIENT_REVOKE)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both groups' commands."""
    for kind in _KINDS:
        _add_group(subparsers, kind)


def _add_group(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", kind: _Kind) -> None:
    commands = group(subparsers, kind.name, f"make, list, rotate and revoke {kind.title}s")
    create = command(commands, "create", partial(_create, kind), f"make an {kind.title}", account=True)
    create.add_argument("name", help="what it is for")
    create.add_argument(
        "--scope", action="append", default=[], metavar="SCOPE", help="such as sms:send; again for more (default: all)"
    )
    create.add_argument(
        "--rate-per-minute", type=int, metavar="N", help="most requests a minute (default: the account's limit)"
    )
    add_expiry(create, "never")
    command(commands, "list", partial(_list, kind), f"list the {kind.title}s, revoked ones too", account=True)
    for name, run, about in (
        ("show", _show, f"show one {kind.title}"),
        ("rotate", _rotate, f"give an {kind.title} a new secret"),
        ("revoke", _revoke, f"end {kind.ends} at once"),
    ):
        about_one = command(commands, name, partial(run, kind), about, account=True)
        about_one.add_argument(kind.id, help=kind.id_about)
        if name == "rotate":
            add_overlap(about_one)


def _create(kind: _Kind, args: argparse.Namespace) -> int:
    wish = {
        "name": args.name,
        "scopes": args.scope,
        "rate_per_minute": args.rate_per_minute,
        "lives_s": args.lives_s,
    }
    return _shown_once(kind, args, _asked(args, _questions(kind).create, wish))


def _rotate(kind: _Kind, args: argparse.Namespace) -> int:
    wish = {kind.id: getattr(args, kind.id), "overlap_s": args.overlap_s}
    return _shown_once(kind, args, _asked(args, _questions(kind).rotate, wish))


def _revoke(kind: _Kind, args: argparse.Namespace) -> int:
    named = {kind.id: getattr(args, kind.id)}
    _asked(args, _questions(kind).revoke, named)
    return show(args, named | {"revoked": True}, f"{named[kind.id]} is revoked")


def _asked(args: argparse.Namespace, contract: "Rpc[Any, Any]", wish: dict[str, Any]) -> Any:
    """The answer to this wish of the account's."""

    async def work(rpc: "RpcClient") -> Any:
        account = await account_called(rpc, args.account)
        return await rpc.ask(contract, contract.request(account=account.id, **wish))

    return asking(work)


def _shown_once(kind: _Kind, args: argparse.Namespace, made: Any) -> int:
    text = facts([(_said(name), getattr(made, name)) for name in kind.created])
    return show(args, made, f"{text}\nThe {kind.replaced} is shown only now.")


def _list(kind: _Kind, args: argparse.Namespace) -> int:
    async def work(rpc: "RpcClient") -> list[Any]:
        account = await account_called(rpc, args.account)
        return await every(rpc, _questions(kind).listing, account.id, kind.rows)

    found = asking(work)
    rows = [
        (
            getattr(each, kind.id),
            each.name,
            *_beginning(kind, each),
            each.scopes,
            moment(each.last_used_at),
            moment(each.expires_at),
            moment(each.revoked_at),
        )
        for each in found
    ]
    key = ("KEY",) if kind.name == "key" else ()
    head = (_said(kind.id).upper(), "NAME", *key, "SCOPES", "LAST USED", "EXPIRES", "REVOKED")
    return show(args, {kind.rows: found}, table(head, rows, empty=f"no {kind.title}s"))


def _show(kind: _Kind, args: argparse.Namespace) -> int:
    from shared.errors import NotFound

    wanted = getattr(args, kind.id)

    async def work(rpc: "RpcClient") -> Any:
        account = await account_called(rpc, args.account)
        return await one(rpc, _questions(kind).listing, account.id, kind.rows, wanted, kind.id)

    found = asking(work)
    if found is None:
        raise NotFound(f"There is no {kind.title} {wanted!r} in this account.")
    text = facts(
        [
            (_said(kind.id), wanted),
            ("name", found.name),
            *(("key", beginning) for beginning in _beginning(kind, found)),
            ("scopes", found.scopes),
            ("rate per minute", found.rate_per_minute),
            ("created", moment(found.created_at)),
            ("last used", moment(found.last_used_at)),
            ("expires", moment(found.expires_at)),
            (f"{kind.replaced} before valid until", moment(found.old_until)),
            ("revoked", moment(found.revoked_at)),
        ]
    )
    return show(args, found, text)


def _beginning(kind: _Kind, found: Any) -> tuple[str, ...]:
    """The first characters of a key, by which it is told from others; a client has its id for that."""
    return (f"{found.prefix}...",) if kind.name == "key" else ()


def _said(name: str) -> str:
    return name.replace("_", " ")
