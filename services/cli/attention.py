"""`smsfleet attention`: what is out of the ordinary and needs a person's eye."""

import argparse
from typing import TYPE_CHECKING

from services.cli.rpc import asking, command, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.messages import Attention

ABOUT = {
    "late": "they wait although a phone that may send them is online",
    "no_phone": "no phone that may send them is online",
    "unreported": "the phone took them, is online and does not report",
    "unknown": "nobody knows whether they were sent",
    "wrong_clock": "the phone's clock is off, so texts may expire on it",
    "silent_receiver": "the phone is online, but what it receives does not reach us",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command(subparsers, "attention", _attention, "show messages and phones that need a person's eye")


def _attention(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.messages import ListAttention

    async def work(rpc: "RpcClient") -> "Attention":
        return await rpc.ask(registry.DISPATCHER_ATTENTION, ListAttention())

    found = asking(work)
    rows = [
        (each.kind, each.account, each.device, each.messages, f"{each.oldest_s:.0f} s", ABOUT[each.kind])
        for each in found.flags
    ]
    head = ("KIND", "ACCOUNT", "PHONE", "MESSAGES", "OLDEST", "WHAT IT MEANS")
    return show(args, found, table(head, rows, empty="nothing needs attention"))
