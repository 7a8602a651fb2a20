"""The commands about webhook endpoints."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, facts, group, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.webhooks import Endpoint, Endpoints


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "webhook", "tell SMSFleet which URLs hear of received texts")
    create = command(commands, "create", _create, "call a URL for each text that is received", account=True)
    create.add_argument("url", help="http:// or https://")
    create.add_argument("--description", default="", help="what it is for")
    command(commands, "list", _list, "list the webhooks and how they fare", account=True)
    for name, run, about in (
        ("show", _show, "show one webhook"),
        ("delete", _delete, "end a webhook with what it has not delivered"),
    ):
        one = command(commands, name, run, about, account=True)
        one.add_argument("id", help="such as wh_ and 12 characters")


def _create(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import CreateEndpoint

    async def work(rpc: "RpcClient") -> "Endpoint":
        account = await account_called(rpc, args.account)
        request = CreateEndpoint(account=account.id, url=args.url, description=args.description)
        return (await rpc.ask(registry.WEBHOOKS_ENDPOINT_CREATE, request)).endpoint

    made = asking(work)
    return show(args, made, f"{made.id} calls {made.url}")


def _endpoints(args: argparse.Namespace, endpoint: str | None) -> "Endpoints":
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import ListEndpoints

    async def work(rpc: "RpcClient") -> "Endpoints":
        account = await account_called(rpc, args.account)
        return await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account.id, id=endpoint))

    return asking(work)


def _list(args: argparse.Namespace) -> int:
    found = _endpoints(args, None)
    rows = [
        (each.id, each.url, each.enabled, each.delivered, each.pending, each.last_error) for each in found.endpoints
    ]
    head = ("ID", "URL", "ENABLED", "DELIVERED", "PENDING", "LAST ERROR")
    return show(args, found, table(head, rows, empty="no webhooks"))


def _show(args: argparse.Namespace) -> int:
    (found,) = _endpoints(args, args.id).endpoints
    text = facts(
        [
            ("id", found.id),
            ("url", found.url),
            ("format", found.format),
            ("description", found.description),
            ("enabled", found.enabled),
            ("created", moment(found.created_at)),
            ("delivered", found.delivered),
            ("pending", found.pending),
            ("last error", found.last_error),
        ]
    )
    return show(args, found, text)


def _delete(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import DeleteEndpoint

    async def work(rpc: "RpcClient") -> None:
        account = await account_called(rpc, args.account)
        await rpc.ask(registry.WEBHOOKS_ENDPOINT_DELETE, DeleteEndpoint(account=account.id, id=args.id))

    asking(work)
    return show(args, {"id": args.id, "deleted": True}, f"{args.id} is deleted")
