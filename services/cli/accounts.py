"""The commands about accounts."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, facts, group, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.auth import Account, AccountCreated, Accounts


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "account", "make and list accounts")
    create = command(commands, "create", _create, "make an account with a key and, under `up`, a simulated phone")
    create.add_argument("name", help="1 to 64 characters, different from every other account's")
    create.add_argument("--time-zone", default="UTC", metavar="ZONE", help="such as Europe/Paris (default: UTC)")
    create.add_argument("--no-phone", action="store_true", help="simulate no phone for it")
    command(commands, "list", _list, "list the accounts")
    change = command(commands, "set", _set, "change an account's settings")
    change.add_argument("name")
    change.add_argument("--status", choices=("active", "suspended"), help="suspended: refused, its messages held")
    change.add_argument("--time-zone", metavar="ZONE", help="such as Europe/Paris")
    change.add_argument("--region", metavar="CODE", help="how national numbers are read, such as FR; '' for none")
    change.add_argument("--max-parts", type=int, metavar="N", help="most parts of one message; 0 for no limit")
    change.add_argument("--rate-per-minute", type=int, metavar="N", help="most requests of each key; 0 for no limit")
    change.add_argument("--daily-sends", type=int, metavar="N", help="most messages a day; 0 for no limit")
    change.add_argument("--quiet", metavar="HH:MM-HH:MM", help="hold messages then; '' for none")
    change.add_argument("--quiet-urgent", choices=("yes", "no"), help="whether priority 100 and above passes")
    about = command(commands, "show", _show, "show one account")
    about.add_argument("name")


def _create(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.auth import CreateAccount

    async def work(rpc: "RpcClient") -> "AccountCreated":
        return await rpc.ask(registry.AUTH_ACCOUNT_CREATE, CreateAccount(name=args.name, time_zone=args.time_zone))

    made = asking(work)
    phone = None if args.no_phone else _phone(made.name, made.enrolment_key)
    values = {
        "account": made.account,
        "name": made.name,
        "api_key": made.api_key,
        "enrolment_key": made.enrolment_key,
        "phone": phone,
    }
    text = facts([(name.replace("_", " "), value) for name, value in values.items()])
    return show(args, values, f"{text}\nBoth keys are shown only now.")


def _phone(account: str, enrolment_key: str) -> str | None:
    """The name of a simulated phone of the account's own; None where `up` does not run or simulates none."""
    from deploy.local.control import add_phone
    from deploy.local.paths import home_from_environment

    return add_phone(home_from_environment(), account, enrolment_key)


def _list(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.auth import ListAccounts

    async def work(rpc: "RpcClient") -> "Accounts":
        return await rpc.ask(registry.AUTH_ACCOUNT_LIST, ListAccounts())

    found = asking(work)
    rows = [(each.id, each.name, each.status, each.time_zone, moment(each.created_at)) for each in found.accounts]
    return show(args, found, table(("ID", "NAME", "STATUS", "TIME ZONE", "CREATED"), rows, empty="no accounts"))


def _show(args: argparse.Namespace) -> int:
    found = asking(lambda rpc: account_called(rpc, args.name))
    text = facts(
        [
            ("id", found.id),
            ("name", found.name),
            ("status", found.status),
            ("time zone", found.time_zone),
            ("region", found.region),
            ("max parts", found.max_parts),
            ("rate per minute", found.rate_per_minute),
            ("daily sends", found.daily_sends),
            ("quiet hours", found.quiet),
            ("urgent passes", found.quiet_urgent),
            ("created", moment(found.created_at)),
        ]
    )
    return show(args, found, text)


def _set(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.auth import SetAccount

    async def work(rpc: "RpcClient") -> "Account":
        account = await account_called(rpc, args.name)
        wish = SetAccount(
            account=account.id,
            status=args.status,
            time_zone=args.time_zone,
            region=args.region,
            max_parts=args.max_parts,
            rate_per_minute=args.rate_per_minute,
            daily_sends=args.daily_sends,
            quiet=args.quiet,
            quiet_urgent=None if args.quiet_urgent is None else args.quiet_urgent == "yes",
        )
        await rpc.ask(registry.AUTH_ACCOUNT_SET, wish)
        return await account_called(rpc, args.name)

    found = asking(work)
    return show(args, found, f"{found.name} is changed; `smsfleet account show {found.name}` tells its settings")
