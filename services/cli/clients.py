"""The commands about OAuth2 clients."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, facts, group, moment, show, table
from services.cli.spans import add_expiry, add_overlap

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.clients import ClientCreated, Clients


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "client", "make, list, rotate and revoke OAuth2 clients")
    create = command(commands, "create", _create, "make an OAuth2 client", account=True)
    create.add_argument("name", help="what it is for")
    create.add_argument(
        "--scope", action="append", default=[], metavar="SCOPE", help="such as sms:send; again for more (default: all)"
    )
    create.add_argument(
        "--rate-per-minute", type=int, metavar="N", help="most requests a minute (default: the account's limit)"
    )
    add_expiry(create, "never")
    command(commands, "list", _list, "list the OAuth2 clients, revoked ones too", account=True)
    for name, run, about in (
        ("show", _show, "show one OAuth2 client"),
        ("rotate", _rotate, "give an OAuth2 client a new secret"),
        ("revoke", _revoke, "end an OAuth2 client and its tokens at once"),
    ):
        one = command(commands, name, run, about, account=True)
        one.add_argument("client_id", help="32 characters")
        if name == "rotate":
            add_overlap(one)


def _create(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.clients import CreateClient

    async def work(rpc: "RpcClient") -> "ClientCreated":
        account = await account_called(rpc, args.account)
        request = CreateClient(
            account=account.id,
            name=args.name,
            scopes=args.scope,
            rate_per_minute=args.rate_per_minute,
            lives_s=args.lives_s,
        )
        return await rpc.ask(registry.AUTH_CLIENT_CREATE, request)

    return _shown_once(args, asking(work))


def _rotate(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.clients import RotateClient

    async def work(rpc: "RpcClient") -> "ClientCreated":
        account = await account_called(rpc, args.account)
        request = RotateClient(account=account.id, client_id=args.client_id, overlap_s=args.overlap_s)
        return await rpc.ask(registry.AUTH_CLIENT_ROTATE, request)

    return _shown_once(args, asking(work))


def _shown_once(args: argparse.Namespace, made: "ClientCreated") -> int:
    text = facts([("client id", made.client_id), ("client secret", made.client_secret)])
    return show(args, made, f"{text}\nThe secret is shown only now.")


def _clients(args: argparse.Namespace) -> "Clients":
    from shared.contracts import registry
    from shared.contracts.rpc.clients import ListClients

    async def work(rpc: "RpcClient") -> "Clients":
        return await rpc.ask(registry.AUTH_CLIENT_LIST, ListClients((await account_called(rpc, args.account)).id))

    return asking(work)


def _list(args: argparse.Namespace) -> int:
    found = _clients(args)
    rows = [
        (
            each.client_id,
            each.name,
            each.scopes,
            moment(each.last_used_at),
            moment(each.expires_at),
            moment(each.revoked_at),
        )
        for each in found.clients
    ]
    head = ("CLIENT ID", "NAME", "SCOPES", "LAST USED", "EXPIRES", "REVOKED")
    return show(args, found, table(head, rows, empty="no OAuth2 clients"))


def _show(args: argparse.Namespace) -> int:
    from shared.errors import NotFound

    found = next((each for each in _clients(args).clients if each.client_id == args.client_id), None)
    if found is None:
        raise NotFound(f"There is no OAuth2 client {args.client_id!r} in this account.")
    text = facts(
        [
            ("client id", found.client_id),
            ("name", found.name),
            ("scopes", found.scopes),
            ("rate per minute", found.rate_per_minute),
            ("created", moment(found.created_at)),
            ("last used", moment(found.last_used_at)),
            ("expires", moment(found.expires_at)),
            ("secret before valid until", moment(found.old_until)),
            ("revoked", moment(found.revoked_at)),
        ]
    )
    return show(args, found, text)


def _revoke(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.clients import RevokeClient

    async def work(rpc: "RpcClient") -> None:
        account = await account_called(rpc, args.account)
        await rpc.ask(registry.AUTH_CLIENT_REVOKE, RevokeClient(account=account.id, client_id=args.client_id))

    asking(work)
    return show(args, {"client_id": args.client_id, "revoked": True}, f"{args.client_id} is revoked")
