"""The command that makes a running system of containers usable: its first account's keys, and a demonstration."""

import argparse
import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from services.cli.rpc import DEFAULT_ACCOUNT, account_called, asking, command, facts, show

if TYPE_CHECKING:
    from deploy.local.paths import Home
    from shared.bus.rpc import RpcClient

READY_S = 120.0
DEMO_S = 60.0
POLL_S = 0.25

DEMO_PHONE = "demo"
DEMO_SINK = "http://demo-sink:8099"
DEMO_NUMBER = "+15550100"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this command."""
    setup = command(subparsers, "setup", _setup, "wait for a system of containers and show its first account's keys")
    setup.add_argument("--demo", action="store_true", help="send and receive a text through the demo phone")


def _setup(args: argparse.Namespace) -> int:
    from deploy.local.paths import home_from_environment

    home = home_from_environment()
    home.make()
    gateway = os.environ.get("SMSFLEET_GATEWAY_URL") or "http://127.0.0.1:8080"
    told: dict[str, Any] = asyncio.run(_credentials(home, gateway))
    told["dashboard_link"] = asyncio.run(_link(home, told["dashboard_url"]))
    lines = [
        ("dashboard", told["dashboard_link"]),
        ("base URL", told["base_url"]),
        ("API key", told["api_key"]),
        ("enrolment key", told["enrolment_key"]),
    ]
    if args.demo:
        demo = asking(lambda rpc: _demonstrate(rpc, home, gateway, told["api_key"]))
        told = {**told, "demo": demo}
        lines += [("sent", f"{demo['guid']} is delivered"), ("received", f"{demo['text']!r} is at the demo's webhook")]
    return show(args, told, facts(lines))


async def _credentials(home: "Home", gateway: str) -> dict[str, str]:
    from deploy.local import setup
    from deploy.local.errors import NotRunning
    from deploy.local.probes import http_ready
    from deploy.local.state import connections

    if not await _until(lambda: http_ready(f"{gateway}/health/ready"), READY_S):
        raise NotRunning(f"The gateway at {gateway} is not ready after {READY_S:g} s.")
    known = connections(home)
    base_url = (os.environ.get("SMSFLEET_PUBLIC_URL") or gateway).rstrip("/")
    return await setup.ensure_credentials(home, base_url, known.nats_url, known.nkey("cli"))


async def _link(home: "Home", dashboard: str) -> str:
    from deploy.local.dashboard import first_link
    from deploy.local.state import connections
    from shared.errors import NotFound

    known = connections(home)
    try:
        return (await first_link(dashboard, known.nats_url, known.nkey("cli"))).link
    except NotFound:
        # Nobody is an owner who may sign in: whoever disabled them knows.
        return ""


async def _demonstrate(rpc: "RpcClient", home: "Home", gateway: str, api_key: str) -> dict[str, str]:
    """Sends a text through the demo phone and lets one arrive at it; returns when both are where they belong."""
    from agent.incoming import drop
    from deploy.local.probes import http_get
    from shared.contracts import registry
    from shared.contracts.rpc.messages import ShowMessage
    from shared.errors import NotFound, SmsFleetError
    from shared.model.ids import parse_message_id

    folder = home.phones / DEMO_PHONE

    async def connected() -> bool:
        return (folder / "connected").exists()

    if not await _until(connected, DEMO_S):
        raise SmsFleetError("The demo phone is not connected; start it with: docker compose --profile demo up -d")
    await _listen(rpc)
    text = f"demo {secrets.token_hex(4)}"
    message = parse_message_id(await _send(gateway, api_key, text))
    assert message is not None

    async def delivered() -> bool:
        try:
            story = await rpc.ask(registry.DISPATCHER_MESSAGE_SHOW, ShowMessage(message=message))
        except NotFound:
            # Its command is still on the stream.
            return False
        return story.state == "delivered"

    if not await _until(delivered, DEMO_S):
        raise SmsFleetError(f"The text {message.hex()} is not delivered after {DEMO_S:g} s.")
    drop(folder, DEMO_NUMBER, text)

    async def arrived() -> bool:
        return text in (await http_get(f"{DEMO_SINK}/received"))[1].decode(errors="replace")

    if not await _until(arrived, DEMO_S):
        raise SmsFleetError(f"The webhook of the received text did not arrive within {DEMO_S:g} s.")
    return {"guid": message.hex(), "text": text}


async def _listen(rpc: "RpcClient") -> None:
    """The demo's receiver hears of received texts, by one webhook however often this runs."""
    from shared.contracts import registry
    from shared.contracts.rpc.webhooks import CreateEndpoint, ListEndpoints

    account = (await account_called(rpc, DEFAULT_ACCOUNT)).id
    known = await rpc.ask(registry.WEBHOOKS_ENDPOINT_LIST, ListEndpoints(account=account, id=None))
    if all(each.url != DEMO_SINK for each in known.endpoints):
        request = CreateEndpoint(account=account, url=DEMO_SINK, description="the demo's receiver")
        await rpc.ask(registry.WEBHOOKS_ENDPOINT_CREATE, request)


async def _send(gateway: str, api_key: str, text: str) -> str:
    """The id of the accepted text. Raises SmsFleetError."""
    import aiohttp

    from shared.errors import SmsFleetError

    form = {"recipients": DEMO_NUMBER, "message": text}
    headers = {"Authorization": f"Bearer {api_key}"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        session.post(f"{gateway}/sendsms/", data=form, headers=headers) as answer,
    ):
        told = await answer.text()
        result = (await answer.json()).get("result") if answer.status == 200 else {}
    if not result.get("id"):
        raise SmsFleetError(f"The gateway refused the text: {told[:300]}")
    return str(result["id"])


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Whether it came true in time; an address that does not answer yet is no error."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if await condition():
                return True
        except OSError:
            pass
        await asyncio.sleep(POLL_S)
    return False
