"""The command that shows who did what."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.audit import AuditLog


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    audit = command(subparsers, "audit", _audit, "show who changed what, the newest first")
    audit.add_argument("--account", metavar="NAME", help="only what concerns this account (default: everything)")
    audit.add_argument("--limit", type=int, default=50, metavar="N", help="how many at most (default: 50)")


def _audit(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.audit import ListAudit

    async def work(rpc: "RpcClient") -> "AuditLog":
        account = None if args.account is None else (await account_called(rpc, args.account)).id
        return await rpc.ask(registry.AUTH_AUDIT_LIST, ListAudit(account=account, limit=args.limit))

    found = asking(work)
    rows = [
        (moment(each.at), each.who, each.address, each.account, each.verb, each.subject, _told(each.detail))
        for each in found.entries
    ]
    head = ("AT", "WHO", "FROM", "ACCOUNT", "VERB", "SUBJECT", "DETAIL")
    return show(args, found, table(head, rows, empty="nothing was changed yet"))


def _told(detail: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in detail.items())
