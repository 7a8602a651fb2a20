"""The commands about phones as the dispatcher knows them: list, budgets, names, pauses, removal."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.cli.rpc import account_called, asking, command, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.phone import Sim
    from shared.contracts.rpc.phones import Budget, Device, Devices


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the group `phone`."""
    command(commands, "list", _list, "list the phones of an account", account=True)
    budget = _one(commands, "budget", _budget, "say how much a phone's SIMs may send, in parts; 0 takes a limit away")
    budget.add_argument("--sim", type=int, metavar="SLOT", help="one SIM (default: each)")
    for span in ("minute", "hour", "day"):
        budget.add_argument(f"--per-{span}", type=int, metavar="N", help=f"most parts in any {span}")
    budget.add_argument("--delay", type=_range, metavar="S-S", help="seconds of rest between two sends, such as 2-5")
    rename = _one(commands, "rename", _change, "give a phone another name")
    rename.add_argument("name", help="1 to 64 characters")
    for name, about, values in (
        ("approve", "let a phone work that a reusable enrolment key has made", {"approved": True}),
        ("pause", "give a phone no more work", {"paused": True}),
        ("resume", "give a paused phone work again", {"paused": False}),
    ):
        _one(commands, name, _change, about).set_defaults(**values)
    _one(commands, "remove", _remove, "remove a phone: work pinned to it fails at once")


def _one(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    about: str,
) -> argparse.ArgumentParser:
    parser = command(commands, name, run, about, account=True)
    parser.add_argument("id", help="its id of 21 characters, as `smsfleet phone list` shows it")
    return parser


def _range(text: str) -> tuple[int, int]:
    """Seconds such as `3` or `2-5.5`, in milliseconds."""
    low, _, high = text.partition("-")
    try:
        return round(float(low) * 1000), round(float(high or low) * 1000)
    except ValueError as error:
        raise argparse.ArgumentTypeError("a delay is a number of seconds, or two with a dash between") from error


def _list(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.phones import MAX_LISTED, Devices, ListDevices

    async def work(rpc: "RpcClient") -> "Devices":
        account = await account_called(rpc, args.account)
        pages = [await rpc.ask(registry.DISPATCHER_DEVICE_LIST, ListDevices(account.id, limit=MAX_LISTED))]
        while after := pages[-1].after:
            further = ListDevices(account.id, after=after, limit=MAX_LISTED)
            pages.append(await rpc.ask(registry.DISPATCHER_DEVICE_LIST, further))
        return Devices(
            [device for page in pages for device in page.devices],
            [budget for page in pages for budget in page.budgets],
            [app for page in pages for app in page.apps],
            total=pages[-1].total,
            online=pages[-1].online,
        )

    found = asking(work)
    budgets = {(each.device, each.slot): each for each in found.budgets}
    rows = [
        (
            each.id,
            each.name,
            _state(each),
            each.session,
            [_sim(sim, budgets.get((each.id, sim.slot))) for sim in each.sims],
            each.held,
            moment(each.last_seen_at),
            moment(each.last_report_at),
            None if each.failure_rate is None else f"{each.failure_rate:.0%}",
        )
        for each in found.devices
    ]
    head = ("ID", "NAME", "STATE", "SESSION", "SIMS", "HELD", "LAST SEEN", "LAST REPORT", "FAILS")
    return show(args, found, table(head, rows, empty="no phones"))


def _state(device: "Device") -> str:
    if not device.approved:
        return "waits for approval"
    if device.paused:
        return "paused"
    return "online" if device.online else "offline"


def _sim(sim: "Sim", budget: "Budget | None") -> str:
    """A SIM with what it used of its budgets, such as `1: 3/20 a minute, 40/200 a day`."""
    if budget is None:
        return f"{sim.slot}: no limit"
    spans = (
        ("minute", budget.used_minute, budget.per_minute),
        ("hour", budget.used_hour, budget.per_hour),
        ("day", budget.used_day, budget.per_day),
    )
    used = [f"{used}/{most} a {span}" for span, used, most in spans if most is not None]
    return f"{sim.slot}: {' '.join(used) or 'no limit'}"


def _budget(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.phones import SetBudget

    async def work(rpc: "RpcClient") -> None:
        account = await account_called(rpc, args.account)
        wish = SetBudget(
            account=account.id,
            device=args.id,
            slot=args.sim,
            per_minute=args.per_minute,
            per_hour=args.per_hour,
            per_day=args.per_day,
            delay_ms=args.delay,
        )
        await rpc.ask(registry.DISPATCHER_BUDGET_SET, wish)

    asking(work)
    return show(args, {"changed": args.id}, f"{args.id} is changed; `smsfleet phone list` shows its budgets")


def _change(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.phones import ChangeDevice

    async def work(rpc: "RpcClient") -> None:
        account = await account_called(rpc, args.account)
        wish = ChangeDevice(
            account=account.id,
            device=args.id,
            name=getattr(args, "name", None),
            approved=getattr(args, "approved", None),
            paused=getattr(args, "paused", None),
        )
        await rpc.ask(registry.DISPATCHER_DEVICE_CHANGE, wish)

    asking(work)
    return show(args, {"changed": args.id}, f"{args.id} is changed")


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
