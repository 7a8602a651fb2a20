"""The commands about the keys that sign access tokens."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import asking, command, group, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.clients import SigningKeys


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "signing", "list and rotate the keys that sign access tokens")
    command(commands, "list", _list, "list the keys that living tokens may be signed with")
    rotate = command(commands, "rotate", _rotate, "make the next key; it signs once every verifier knows it")
    rotate.add_argument(
        "--at-once", action="store_true", help="after a leak: it signs now, and all tokens so far are refused"
    )


def _list(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.clients import ListSigning

    async def work(rpc: "RpcClient") -> "SigningKeys":
        return await rpc.ask(registry.AUTH_SIGNING_LIST, ListSigning())

    return _shown(args, asking(work))


def _rotate(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.clients import RotateSigning

    async def work(rpc: "RpcClient") -> "SigningKeys":
        return await rpc.ask(registry.AUTH_SIGNING_ROTATE, RotateSigning(at_once=args.at_once))

    return _shown(args, asking(work))


def _shown(args: argparse.Namespace, found: "SigningKeys") -> int:
    rows = [(each.kid, each.state, moment(each.signs_from)) for each in found.keys]
    return show(args, found, table(("ID", "STATE", "SIGNS FROM"), rows, empty="no signing keys"))
