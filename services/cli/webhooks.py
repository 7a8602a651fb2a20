"""The commands about webhook endpoints."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from services.cli import deliveries
from services.cli.choices import add_choices, chosen, secret_line
from services.cli.rpc import FAILED, account_called, asking, command, facts, group, moment, show, table
from services.cli.spans import span

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.registry import Rpc
    from shared.contracts.rpc.webhooks import (
        Endpoint,
        EndpointCreated,
        Endpoints,
        EndpointShown,
        EndpointTried,
        SecretRotated,
    )

TRY_S = 20.0
"""How long the post of an example may take, in seconds."""

DAY_S = 86_400


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "webhook", "tell SMSFleet which URLs hear of events")
    create = command(commands, "create", _create, "call a URL for each event", account=True)
    create.add_argument("url", help="http:// or https://")
    create.add_argument("--format", choices=("classic", "v2"), default="classic", help="default: classic")
    create.add_argument("--secret-stdin", action="store_true", help="read a signing secret of your own, the last line")
    add_choices(create)
    command(commands, "list", _list, "list the webhooks and how they fare", account=True)
    _one(commands, "show", _show, "show one webhook")
    update = _one(commands, "update", _update, "change what is given of a webhook")
    update.add_argument("--url", help="http:// or https://")
    add_choices(update)
    update.add_argument("--no-filter", action="store_true", help="let every event through")
    update.add_argument("--no-headers", action="store_true", help="send no headers of yours")
    update.add_argument("--no-auth", action="store_true", help="send no credentials")
    test = _one(commands, "test", _test, "post an example now, once, and show what came of it")
    test.add_argument("--event", metavar="TYPE", default="ping", help="such as sms.received (default: ping)")
    pause = _one(commands, "pause", _pause, "send nothing until it is enabled; its events wait")
    pause.add_argument("--reason", default="", help="why, for people")
    _one(commands, "enable", _enable, "send again, with a slow start")
    rotate = _one(commands, "rotate", _rotate, "give a webhook a new signing secret")
    rotate.add_argument("--secret-stdin", action="store_true", help="read a signing secret of your own")
    rotate.add_argument(
        "--overlap",
        dest="overlap_s",
        type=span,
        default=DAY_S,
        metavar="SPAN",
        help="how long the one before signs too, such as 2d (default: 24h)",
    )
    _one(commands, "delete", _delete, "end a webhook with what it has not delivered")
    deliveries.add_commands(commands)


def _one(commands: Any, name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
    """Adds a command about one webhook."""
    one = command(commands, name, run, about, account=True)
    one.add_argument("id", help="such as wh_ and 12 characters")
    return one


def _create(args: argparse.Namespace) -> int:
    import msgspec

    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import CreateEndpoint

    wish = chosen(args, None)
    if args.secret_stdin:
        wish["secret"] = secret_line("Signing secret: ")

    async def work(rpc: "RpcClient") -> "EndpointCreated":
        account = await account_called(rpc, args.account)
        request = CreateEndpoint(account=account.id, url=args.url, format=args.format, **wish)
        return await rpc.ask(registry.WEBHOOKS_ENDPOINT_CREATE, request)

    made = asking(work)
    text = facts([("id", made.endpoint.id), ("url", made.endpoint.url), ("signing secret", made.secret)])
    told = msgspec.to_builtins(made.endpoint) | {"secret": made.secret}
    return show(args, told, f"{text}\nThe secret is shown only now.")


def _update(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import Filter, ListEndpoints, UpdateEndpoint

    async def work(rpc: "RpcClient") -> "Endpoint":
        account = await account_called(rpc, args.account)
        asked = ListEndpoints(account=account.id, id=args.id)
        (now,) = (await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, asked)).endpoints
        wish = chosen(args, now)
        wish |= {"url": args.url} if args.url is not None else {}
        wish |= {"filter": Filter()} if args.no_filter else {}
        wish |= {"headers": {}} if args.no_headers else {}
        wish |= {"auth": None} if args.no_auth else {}
        request = UpdateEndpoint(account=account.id, id=args.id, **wish)
        return (await rpc.ask(registry.WEBHOOKS_ENDPOINT_UPDATE, request)).endpoint

    changed = asking(work)
    return show(args, changed, _facts(changed))


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
        (each.id, each.url, each.format, each.state, each.delivered, each.pending, each.exhausted, each.last_error)
        for each in found.endpoints
    ]
    head = ("ID", "URL", "FORMAT", "STATE", "DELIVERED", "PENDING", "EXHAUSTED", "LAST ERROR")
    return show(args, found, table(head, rows, empty="no webhooks"))


def _show(args: argparse.Namespace) -> int:
    (found,) = _endpoints(args, args.id).endpoints
    return show(args, found, _facts(found))


def _facts(found: "Endpoint") -> str:
    return facts(
        [
            ("id", found.id),
            ("url", found.url),
            ("format", found.format),
            ("description", found.description),
            ("state", found.state),
            ("since", moment(found.state_since)),
            ("reason", found.reason),
            ("created", moment(found.created_at)),
            ("only events", found.filter.types),
            ("only phones", found.filter.devices),
            ("only SIMs", found.filter.sims),
            ("only numbers", found.filter.numbers),
            ("headers", found.header_names),
            ("authentication", found.auth),
            ("signing secrets", found.signing_secrets),
            ("window", f"{found.window} of {found.max_window}"),
            ("next probe", moment(found.probe_at)),
            ("failing since", moment(found.failing_since)),
            ("last success", moment(found.last_success_at)),
            ("last failure", moment(found.last_failure_at)),
            ("last error", found.last_error),
            ("delivered", found.delivered),
            ("pending", found.pending),
            ("exhausted", found.exhausted),
            ("expired", found.expired),
            ("canceled", found.canceled),
            ("failed attempts", found.failures),
        ]
    )


def _test(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import TryEndpoint

    async def work(rpc: "RpcClient") -> "EndpointTried":
        account = await account_called(rpc, args.account)
        request = TryEndpoint(account=account.id, id=args.id, event_type=args.event)
        return await rpc.ask(registry.WEBHOOKS_ENDPOINT_TEST, request, TRY_S)

    tried = asking(work)
    text = facts(
        [
            ("url", tried.url),
            *((f"> {name}", value) for name, value in tried.request_headers.items()),
            ("body", tried.body),
            ("status", tried.status),
            ("error", tried.error),
            ("detail", tried.detail),
            ("took", f"{tried.duration_ms} ms"),
            ("answer", tried.response_head),
        ]
    )
    shown = show(args, tried, text)
    return shown if tried.error is None else FAILED


def _pause(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import PauseEndpoint

    return _changed(args, registry.WEBHOOKS_ENDPOINT_PAUSE, PauseEndpoint, reason=args.reason)


def _enable(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import EnableEndpoint

    return _changed(args, registry.WEBHOOKS_ENDPOINT_ENABLE, EnableEndpoint)


def _changed(
    args: argparse.Namespace, contract: "Rpc[Any, EndpointShown]", kind: Callable[..., Any], **more: Any
) -> int:
    async def work(rpc: "RpcClient") -> "Endpoint":
        account = await account_called(rpc, args.account)
        return (await rpc.ask(contract, kind(account=account.id, id=args.id, **more))).endpoint

    changed = asking(work)
    return show(args, changed, f"{changed.id} is {changed.state}")


def _rotate(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import RotateSecret

    secret = secret_line("Signing secret: ") if args.secret_stdin else None

    async def work(rpc: "RpcClient") -> "SecretRotated":
        account = await account_called(rpc, args.account)
        request = RotateSecret(account=account.id, id=args.id, secret=secret, overlap_s=args.overlap_s)
        return await rpc.ask(registry.WEBHOOKS_SECRET_ROTATE, request)

    rotated = asking(work)
    text = facts([("signing secret", rotated.secret), ("secret before valid until", moment(rotated.older_until))])
    return show(args, rotated, f"{text}\nThe secret is shown only now.")


def _delete(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import DeleteEndpoint

    async def work(rpc: "RpcClient") -> None:
        account = await account_called(rpc, args.account)
        await rpc.ask(registry.WEBHOOKS_ENDPOINT_DELETE, DeleteEndpoint(account=account.id, id=args.id))

    asking(work)
    return show(args, {"id": args.id, "deleted": True}, f"{args.id} is deleted")
