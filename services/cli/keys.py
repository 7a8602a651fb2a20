"""The commands about API keys."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, facts, group, moment, show, table
from services.cli.spans import add_expiry, add_overlap

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.auth import KeyCreated, Keys


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "key", "make, list, rotate and revoke API keys")
    create = command(commands, "create", _create, "make an API key", account=True)
    create.add_argument("name", help="what it is for")
    create.add_argument(
        "--scope", action="append", default=[], metavar="SCOPE", help="such as sms:send; again for more (default: all)"
    )
    create.add_argument(
        "--rate-per-minute", type=int, metavar="N", help="most requests a minute (default: the account's limit)"
    )
    add_expiry(create, "never")
    command(commands, "list", _list, "list the API keys, revoked ones too", account=True)
    for name, run, about in (
        ("show", _show, "show one API key"),
        ("rotate", _rotate, "give an API key a new secret"),
        ("revoke", _revoke, "end an API key at once"),
    ):
        one = command(commands, name, run, about, account=True)
        one.add_argument("id", help="such as key_ and 12 characters")
        if name == "rotate":
            add_overlap(one)


def _create(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.auth import CreateKey

    async def work(rpc: "RpcClient") -> "KeyCreated":
        account = await account_called(rpc, args.account)
        request = CreateKey(
            account=account.id,
            name=args.name,
            scopes=args.scope,
            rate_per_minute=args.rate_per_minute,
            lives_s=args.lives_s,
        )
        return await rpc.ask(registry.AUTH_KEY_CREATE, request)

    return _shown_once(args, asking(work))


def _rotate(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.auth import RotateKey

    async def work(rpc: "RpcClient") -> "KeyCreated":
        account = await account_called(rpc, args.account)
        request = RotateKey(account=account.id, id=args.id, overlap_s=args.overlap_s)
        return await rpc.ask(registry.AUTH_KEY_ROTATE, request)

    return _shown_once(args, asking(work))


def _shown_once(args: argparse.Namespace, made: "KeyCreated") -> int:
    return show(args, made, facts([("id", made.id), ("api key", made.api_key)]) + "\nThe key is shown only now.")


def _keys(args: argparse.Namespace) -> "Keys":
    from shared.contracts import registry
    from shared.contracts.rpc.auth import ListKeys

    async def work(rpc: "RpcClient") -> "Keys":
        return await rpc.ask(registry.AUTH_KEY_LIST, ListKeys((await account_called(rpc, args.account)).id))

    return asking(work)


def _list(args: argparse.Namespace) -> int:
    found = _keys(args)
    rows = [
        (
            each.id,
            each.name,
            f"{each.prefix}...",
            each.scopes,
            moment(each.last_used_at),
            moment(each.expires_at),
            moment(each.revoked_at),
        )
        for each in found.keys
    ]
    head = ("ID", "NAME", "KEY", "SCOPES", "LAST USED", "EXPIRES", "REVOKED")
    return show(args, found, table(head, rows, empty="no API keys"))


def _show(args: argparse.Namespace) -> int:
    from shared.errors import NotFound

    found = next((each for each in _keys(args).keys if each.id == args.id), None)
    if found is None:
        raise NotFound(f"There is no API key {args.id!r} in this account.")
    text = facts(
        [
            ("id", found.id),
            ("name", found.name),
            ("key", f"{found.prefix}..."),
            ("scopes", found.scopes),
            ("rate per minute", found.rate_per_minute),
            ("created", moment(found.created_at)),
            ("last used", moment(found.last_used_at)),
            ("expires", moment(found.expires_at)),
            ("key before valid until", moment(found.old_until)),
            ("revoked", moment(found.revoked_at)),
        ]
    )
    return show(args, found, text)


def _revoke(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.auth import RevokeKey

    async def work(rpc: "RpcClient") -> None:
        account = await account_called(rpc, args.account)
        await rpc.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=account.id, id=args.id))

    asking(work)
    return show(args, {"id": args.id, "revoked": True}, f"{args.id} is revoked")
