"""The commands about dead letters: items that could not be stored and wait for somebody to look."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import asking, command, facts, group, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.messages import DeadLetters


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "dead", "look at what could not be stored, and try it again")
    listing = command(commands, "list", _list, "list dead letters, newest first")
    listing.add_argument("--limit", type=int, default=100, help="at most this many (default: 100)")
    for name, run, about in (
        ("show", _show, "show one dead letter with its content"),
        ("replay", _replay, "put a dead letter back on its stream"),
    ):
        one = command(commands, name, run, about)
        one.add_argument("id", type=int)


def _letters(letter: int | None, limit: int = 1) -> "DeadLetters":
    from shared.contracts import registry
    from shared.contracts.rpc.messages import ListDead

    async def work(rpc: "RpcClient") -> "DeadLetters":
        return await rpc.ask(registry.DISPATCHER_DEAD_LIST, ListDead(id=letter, limit=limit))

    return asking(work)


def _list(args: argparse.Namespace) -> int:
    found = _letters(None, args.limit)
    rows = [
        (each.id, moment(each.created_at), each.source, each.account, each.reason, moment(each.replayed_at))
        for each in found.letters
    ]
    head = ("ID", "WHEN", "SOURCE", "ACCOUNT", "REASON", "REPLAYED")
    return show(args, found, table(head, rows, empty="no dead letters"))


def _show(args: argparse.Namespace) -> int:
    from shared.errors import NotFound

    letters = _letters(args.id).letters
    if not letters:
        raise NotFound(f"There is no dead letter {args.id}.")
    (found,) = letters
    text = facts(
        [
            ("id", found.id),
            ("when", moment(found.created_at)),
            ("source", found.source),
            ("account", found.account),
            ("reason", found.reason),
            ("replayed", moment(found.replayed_at)),
            ("content", found.item),
        ]
    )
    return show(args, found, text)


def _replay(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.messages import ReplayDead

    async def work(rpc: "RpcClient") -> None:
        await rpc.ask(registry.DISPATCHER_DEAD_REPLAY, ReplayDead(id=args.id))

    asking(work)
    return show(args, {"id": args.id, "replayed": True}, f"dead letter {args.id} is back on its stream")
