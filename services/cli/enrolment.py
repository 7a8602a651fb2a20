"""The commands about enrolment keys."""

import argparse
from typing import TYPE_CHECKING

from services.cli.listing import every, one
from services.cli.rpc import account_called, asking, command, facts, group, moment, show, table
from services.cli.spans import add_expiry

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.clients import EnrolmentKey, EnrolmentKeyCreated


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "enrolment", "make, list and revoke the keys that let phones in")
    create = command(commands, "create", _create, "make an enrolment key, for one phone unless told", account=True)
    create.add_argument("--multi", action="store_true", help="for any number of phones, which wait for approval")
    create.add_argument("--approve", action="store_true", help="with --multi: the phones need no approval")
    add_expiry(create, "1h")
    command(commands, "list", _list, "list the enrolment keys, revoked ones too", account=True)
    for name, run, about in (
        ("show", _show, "show one enrolment key"),
        ("revoke", _revoke, "let no phone in by it any more; those that are in stay"),
    ):
        one = command(commands, name, run, about, account=True)
        one.add_argument("id", help="such as enr_ and 12 characters")


def _create(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.clients import CreateEnrolmentKey

    async def work(rpc: "RpcClient") -> "EnrolmentKeyCreated":
        account = await account_called(rpc, args.account)
        request = CreateEnrolmentKey(account=account.id, multi=args.multi, approve=args.approve, lives_s=args.lives_s)
        return await rpc.ask(registry.AUTH_ENROLMENT_CREATE, request)

    made = asking(work)
    text = facts([("id", made.id), ("enrolment key", made.enrolment_key), ("expires", moment(made.expires_at))])
    return show(args, made, f"{text}\nThe key is shown only now.")


def _list(args: argparse.Namespace) -> int:
    from shared.contracts import registry

    async def work(rpc: "RpcClient") -> "list[EnrolmentKey]":
        account = await account_called(rpc, args.account)
        return await every(rpc, registry.AUTH_ENROLMENT_LIST, account.id, "keys")

    found = asking(work)
    rows = [
        (each.id, each.multi, each.approve, each.devices, moment(each.expires_at), moment(each.revoked_at))
        for each in found
    ]
    head = ("ID", "MULTI", "APPROVES", "PHONES", "EXPIRES", "REVOKED")
    return show(args, {"keys": found}, table(head, rows, empty="no enrolment keys"))


def _show(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.errors import NotFound

    async def work(rpc: "RpcClient") -> "EnrolmentKey | None":
        account = await account_called(rpc, args.account)
        found: EnrolmentKey | None = await one(rpc, registry.AUTH_ENROLMENT_LIST, account.id, "keys", args.id)
        return found

    found = asking(work)
    if found is None:
        raise NotFound(f"There is no enrolment key {args.id!r} in this account.")
    text = facts(
        [
            ("id", found.id),
            ("for many phones", found.multi),
            ("approves", found.approve),
            ("phones", found.devices),
            ("its phone", found.device),
            ("created", moment(found.created_at)),
            ("expires", moment(found.expires_at)),
            ("revoked", moment(found.revoked_at)),
        ]
    )
    return show(args, found, text)


def _revoke(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.clients import RevokeEnrolmentKey

    async def work(rpc: "RpcClient") -> None:
        account = await account_called(rpc, args.account)
        await rpc.ask(registry.AUTH_ENROLMENT_REVOKE, RevokeEnrolmentKey(account=account.id, id=args.id))

    asking(work)
    return show(args, {"id": args.id, "revoked": True}, f"{args.id} is revoked")
