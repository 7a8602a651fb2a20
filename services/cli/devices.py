"""`smsfleet phone list` and `remove`: the phones of an account as the dispatcher knows them."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.phones import Devices


def add_list(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the group `phone`."""
    command(commands, "list", _list, "list the phones of an account", account=True)
    remove = command(commands, "remove", _remove, "remove a phone: work pinned to it fails at once", account=True)
    remove.add_argument("id", help="its id of 21 characters, as `smsfleet phone list` shows it")


def _list(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.phones import ListDevices

    async def work(rpc: "RpcClient") -> "Devices":
        account = await account_called(rpc, args.account)
        return await rpc.ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(account.id))

    found = asking(work)
    rows = [
        (each.id, each.name, each.online, each.approved, len(each.sims), each.held, moment(each.last_seen_at))
        for each in found.devices
    ]
    head = ("ID", "NAME", "ONLINE", "APPROVED", "SIMS", "HELD", "LAST SEEN")
    return show(args, found, table(head, rows, empty="no phones"))


def _remove(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.answers import Done
    from shared.contracts.rpc.auth import RevokeDevice
    from shared.contracts.rpc.phones import RemoveDevice

    async def work(rpc: "RpcClient") -> Done:
        account = await account_called(rpc, args.account)
        await rpc.ask(registry.AUTH_DEVICE_REVOKE, RevokeDevice(account=account.id, device=args.id))
        return await rpc.ask(registry.DISPATCHER_DEVICE_REMOVE, RemoveDevice(account=account.id, device=args.id))

    asking(work)
    return show(args, {"removed": args.id}, f"{args.id} is removed")
