"""The command that lets the operator into the dashboard: whoever may run commands here may make a link."""

import argparse
import os
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, group, moment, show

if TYPE_CHECKING:
    from deploy.local.dashboard import SignInLink
    from shared.bus.rpc import RpcClient


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands."""
    commands = group(subparsers, "dashboard", "get into the dashboard")
    about = "print a link that signs a user in once, within ten minutes; an account without users gets its first owner"
    link = command(commands, "link", _link, about, account=True)
    link.add_argument("--user", metavar="LOGIN", help="whom it signs in (default: the account's first owner)")


def _link(args: argparse.Namespace) -> int:
    from deploy.local.dashboard import sign_in_link

    address = _address()

    async def work(rpc: "RpcClient") -> "SignInLink":
        return await sign_in_link(rpc, address, await account_called(rpc, args.account), args.user)

    made = asking(work)
    told = f"{made.link}\nThis link signs {made.login} in once, until {moment(made.expires_at)}."
    return show(args, made, told)


def _address() -> str:
    """Where the dashboard is: as credentials.json says, else by the environment, as in a system of containers."""
    from deploy.local.paths import home_from_environment
    from deploy.local.state import read_credentials

    if known := read_credentials(home_from_environment()).get("dashboard_url"):
        return known
    base_url = os.environ.get("SMSFLEET_PUBLIC_URL") or os.environ.get("SMSFLEET_GATEWAY_URL")
    return f"{(base_url or 'http://127.0.0.1:8080').rstrip('/')}/dashboard"
