"""What the commands that ask services share: the connection as the operator, tables for people, JSON for scripts."""

import argparse
import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from nats.aio.client import Client

    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.auth import Account

DONE, FAILED = 0, 1

DEFAULT_ACCOUNT = "default"

CONNECT_S = 3.0

PATIENCE_S = 15.0
"""How long a command waits for an answer, in seconds: a person would rather wait than ask again."""

Result = TypeVar("Result")


def group(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str) -> Any:
    """Adds a command that has commands of its own, and returns where to add them."""
    parser = subparsers.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    return parser.add_subparsers(required=True, metavar="command")


def command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    about: str,
    *,
    account: bool = False,
) -> argparse.ArgumentParser:
    """Adds a command with `--json`, and with `--account` where it acts for one."""
    parser = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    if account:
        parser.add_argument(
            "--account", metavar="NAME", default=DEFAULT_ACCOUNT, help=f"whose (default: {DEFAULT_ACCOUNT})"
        )
    parser.set_defaults(run=run)
    return parser


def asking(work: "Callable[[RpcClient], Awaitable[Result]]") -> Result:
    """Runs `work` with a connection of the operator's own. Raises NotRunning, and what `work` raises."""

    async def run() -> Result:
        from shared.bus.rpc import RpcClient

        async with _connected() as client:
            return await work(RpcClient(client, PATIENCE_S))

    return asyncio.run(run())


async def account_called(rpc: "RpcClient", name: str) -> "Account":
    """The account of this name. Raises NotFound."""
    from shared.contracts import registry
    from shared.contracts.rpc.auth import ListAccounts
    from shared.errors import NotFound

    for account in (await rpc.ask(registry.AUTH_ACCOUNT_LIST, ListAccounts())).accounts:
        if account.name == name:
            return account
    raise NotFound(f"There is no account {name!r}; `smsfleet account list` shows them.")


def show(args: argparse.Namespace, values: Any, text: str) -> int:
    """Prints `values` (structs or plain ones) as JSON or `text` for people. Returns the exit code 0."""
    if args.json:
        import msgspec

        told = msgspec.to_builtins(values)
        if isinstance(told, dict):
            told.pop("type", None)
        print(json.dumps(told))
    else:
        print(text)
    return DONE


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> str:
    """The rows in columns below their head; `empty` when there are none."""
    if not rows:
        return empty
    lines = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def facts(pairs: Sequence[tuple[str, object]]) -> str:
    """One thing, a line a fact."""
    width = max(len(name) for name, _ in pairs) + 2
    return "\n".join(f"{name + ':':<{width}}{_cell(value)}".rstrip() for name, value in pairs)


def moment(unix_s: float | None) -> str:
    """A time as people here read it, to the second."""
    if unix_s is None:
        return "-"
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(" ", "seconds")


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    # What others chose must not reach a terminal as control characters.
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


@contextlib.asynccontextmanager
async def _connected() -> "AsyncIterator[Client]":
    import nats

    from deploy.local.errors import LocalError, NotRunning
    from deploy.local.paths import home_from_environment
    from deploy.local.state import connections
    from shared.bus.connection import opened
    from shared.contracts.registry import inbox_prefix

    home = home_from_environment()
    try:
        known = connections(home)
    except NotRunning:
        raise
    except LocalError as problem:
        raise NotRunning(str(problem)) from problem

    async def ignore(_: Exception) -> None:
        return None

    try:
        async with asyncio.timeout(CONNECT_S):
            client = await opened(
                known.nats_url,
                name="smsfleet-cli",
                inbox_prefix=inbox_prefix("cli"),
                connect_timeout=2,
                allow_reconnect=False,
                error_cb=ignore,
                **known.nkey("cli"),
            )
    except (OSError, TimeoutError, nats.errors.Error) as problem:
        raise NotRunning(f"SMSFleet is not running in {home.path}; `make up` starts it") from problem
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            await client.close()
