"""The commands about outgoing messages: send one as any program would, follow one, cancel one."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from services.cli.rpc import asking, command, facts, group, moment, show, table

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.messages import CancelAnswer, MessageStory
    from shared.model.ids import MessageId

SEND_S = 15.0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this group's commands, and `send`."""
    send = command(subparsers, "send", _send, "send a text through this installation's HTTP API")
    send.add_argument("--to", dest="number", required=True, metavar="NUMBER", help="who gets it")
    send.add_argument("text", help="the text")
    commands = group(subparsers, "message", "follow and cancel outgoing messages")
    for name, run, about in (
        ("show", _show, "show what became of a message and why it waits"),
        ("cancel", _cancel, "cancel a message that no phone has taken"),
    ):
        one = command(commands, name, run, about)
        one.add_argument("guid", help="the message's id, 40 hex characters")


def _send(args: argparse.Namespace) -> int:
    from deploy.local.errors import NotRunning
    from deploy.local.paths import home_from_environment
    from deploy.local.state import read_credentials
    from shared.errors import SmsFleetError

    home = home_from_environment()
    known = read_credentials(home)
    if not known.get("base_url") or not known.get("api_key"):
        raise NotRunning(f"there is no installation in {home.path}: run `make up`, or set SMSFLEET_HOME")
    answer = post(known["base_url"], known["api_key"], args.number, args.text)
    result = answer.get("result")
    if not isinstance(result, dict) or not result.get("id"):
        raise SmsFleetError(f"The gateway refused it: {json.dumps(result or answer)}")
    return show(args, result, f"{result['id']} is accepted")


def post(base_url: str, api_key: str, number: str, text: str, **more: str) -> dict[str, Any]:
    """What the gateway answers to a text and further parameters, errors too. Raises NotRunning when it does not."""
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlencode
    from urllib.request import ProxyHandler, Request, build_opener

    from deploy.local.errors import NotRunning
    from shared.errors import SmsFleetError

    form = urlencode({"recipients": number, "message": text, "origin": "cli", **more}).encode()
    request = Request(  # noqa: S310 (the installation's own address)
        f"{base_url}/sendsms/", data=form, headers={"Authorization": f"Bearer {api_key}"}
    )
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=SEND_S) as reply:
            body = reply.read()
    except HTTPError as refusal:
        body = refusal.read()
    except (URLError, TimeoutError, OSError) as problem:
        raise NotRunning(f"nothing answers at {base_url}: `make up` starts it") from problem
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise SmsFleetError(f"What answers at {base_url} is not SMSFleet.")
    return told


def _id(guid: str) -> "MessageId":
    from shared.errors import Invalid
    from shared.model.ids import parse_message_id

    message = parse_message_id(guid)
    if message is None:
        raise Invalid("A message's id has 40 hex characters.", code="invalid_guid")
    return message


def _show(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.messages import ShowMessage

    message = _id(args.guid)

    async def work(rpc: "RpcClient") -> "MessageStory":
        return await rpc.ask(registry.DISPATCHER_MESSAGE_SHOW, ShowMessage(message=message))

    story = asking(work)
    text = facts(
        [
            ("id", story.id),
            ("account", story.account),
            ("state", story.state),
            ("reason", story.reason),
            ("waiting", story.waiting),
            ("recipient", story.recipient),
            ("parts", f"{story.parts} ({story.encoding})"),
            ("priority", story.priority),
            ("accepted", moment(story.accepted_at)),
            ("scheduled", moment(story.scheduled_at)),
            ("valid until", moment(story.valid_until)),
            ("expected", moment(story.estimated_at)),
            ("device", story.device),
            ("sim", story.sim),
            ("why this phone", _why(story)),
        ]
    )
    rows = [
        (moment(each.at), each.state, each.attempt or None, each.device, each.sim, each.detail)
        for each in story.changes
    ]
    changes = table(("WHEN", "STATE", "ATTEMPT", "DEVICE", "SIM", "DETAIL"), rows, empty="no changes yet")
    return show(args, story, f"{text}\n\n{changes}")


def _why(story: "MessageStory") -> str | None:
    """How the phone came to it, in words."""
    chosen = {
        "pinned": "its sender named the phone or SIM",
        "contact": "it last talked to this recipient",
        "shortest_wait": "it had the shortest expected wait",
        "any": "any phone might have had it; it asked first",
    }.get(story.route or "")
    if story.preferred_device and story.device and story.device != story.preferred_device:
        return f"{story.preferred_device} was preferred ({chosen}) and did not take it in time"
    return chosen


def _cancel(args: argparse.Namespace) -> int:
    from shared.contracts import registry
    from shared.contracts.rpc.messages import CancelMessage

    message = _id(args.guid)

    async def work(rpc: "RpcClient") -> "CancelAnswer":
        return await rpc.ask(registry.DISPATCHER_CANCEL, CancelMessage(message=message))

    guid, wished = args.guid.lower(), asking(work).wished
    said = "is with an app's phone, which was asked to leave it" if wished else "is canceled"
    return show(args, {"id": guid, "canceled": not wished, "wished": wished}, f"{guid} {said}")
