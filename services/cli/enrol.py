"""The command that brings a person's own phone in: what to type into the app, the wait for it, a first text."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from services.cli.rpc import DONE, account_called, asking, command, facts

if TYPE_CHECKING:
    from shared.bus.rpc import RpcClient
    from shared.contracts.rpc.auth import Account
    from shared.contracts.rpc.phones import Device

KEY_S = 3600
SENT_S = 120.0
POLL_S = 0.5
AWAY_S = 20.0
"""How long the services may be away while we wait, as during a restart."""
TOLD_EVERY_S = 30.0
"""How often a person who waits hears that we still do."""

TEXT = "Hello from SMSFleet: this phone is set up."

Found = TypeVar("Found")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this command."""
    enrol = command(subparsers, "enrol", _enrol, "bring in a phone with the app SMS Gateway for Android", account=True)
    enrol.add_argument("--name", help="what the phone shall be called here (default: its maker and model)")
    enrol.add_argument("--test", metavar="NUMBER", help="send a first text from it to this number")
    enrol.add_argument("--no-wait", action="store_true", help="do not wait for the phone")
    enrol.add_argument(
        "--wait-s", type=int, default=KEY_S, metavar="SECONDS", help=f"how long to wait for it (default: {KEY_S})"
    )


def _enrol(args: argparse.Namespace) -> int:
    from shared.errors import Invalid

    if args.no_wait and (args.test or args.name):
        raise Invalid("--no-wait does not go with --test and --name, which need the phone.")
    if not 1 <= args.wait_s <= KEY_S:
        raise Invalid(f"--wait-s is 1 to {KEY_S}: the key ends then.")
    if args.name is not None and not 1 <= len(args.name) <= 64:
        raise Invalid("A phone's name has 1 to 64 characters.")
    places = _places()
    asking(lambda rpc: _Enrolment(args, rpc, places).run())
    return DONE


def _places() -> dict[str, str]:
    """The URLs of this installation: `public`, `ca` (empty without a certificate authority), `gateway` for ourselves.

    Raises NotRunning where nobody knows.
    """
    from deploy.local.errors import NotRunning
    from deploy.local.paths import home_from_environment
    from deploy.local.state import read_credentials

    known = read_credentials(home_from_environment())
    base = known.get("base_url", "")
    public = os.environ.get("SMSFLEET_PUBLIC_URL") or known.get("public_url") or base
    if not public:
        raise NotRunning("nobody knows this installation's address: run `make up`, or set SMSFLEET_PUBLIC_URL")
    gateway = os.environ.get("SMSFLEET_GATEWAY_URL") or base or public
    return {"public": public.rstrip("/"), "ca": known.get("ca_url", ""), "gateway": gateway.rstrip("/")}


class _Enrolment:
    """One run: key, phone, first text. `--json` tells each stage as an object on a line of its own."""

    def __init__(self, args: argparse.Namespace, rpc: "RpcClient", places: dict[str, str]) -> None:
        self._args = args
        self._rpc = rpc
        self._places = places

    async def run(self) -> None:
        """Raises SmsFleetError where a stage fails."""
        account = await account_called(self._rpc, self._args.account)
        key_id = await self._key(account)
        if self._args.no_wait:
            return
        device = await self._phone(account, key_id)
        if self._args.test:
            await self._first_text(account, device)

    async def _key(self, account: "Account") -> str:
        from shared.contracts import registry
        from shared.contracts.rpc.clients import CreateEnrolmentKey

        made = await self._rpc.ask(
            registry.AUTH_ENROLMENT_CREATE,
            CreateEnrolmentKey(account=account.id, multi=False, approve=False, lives_s=KEY_S),
        )
        url, ca = f"{self._places['public']}/mobile/v1", self._places["ca"]
        told = {
            "id": made.id,
            "api_url": url,
            "private_token": made.enrolment_key,
            "notification_channel": "SSE only",
            "expires_at": made.expires_at,
            "ca_url": ca,
        }
        self._tell("key", told, _instructions(url, made.enrolment_key, ca))
        return made.id

    async def _phone(self, account: "Account", key_id: str) -> "Device":
        """Waits until the phone that the key let in is there, and gives it its name."""
        from shared.contracts import registry
        from shared.contracts.rpc.phones import ChangeDevice
        from shared.errors import SmsFleetError

        async def there() -> "Device | None":
            return await self._let_in(account, key_id)

        self._note(f"waiting for the phone ({self._args.wait_s // 60 or 1} min at most; Ctrl-C ends only the wait)")
        device = await self._until(there, self._args.wait_s, "still waiting for the phone")
        if device is None:
            raise SmsFleetError(
                "The phone did not come in time. Does its browser open "
                f"{self._places['public']}/health/live without a warning? Then check the three values in the app."
            )
        name = self._args.name or device.name
        if name != device.name:
            wish = ChangeDevice(account=account.id, device=device.id, name=name, approved=None, paused=None)
            await self._rpc.ask(registry.DISPATCHER_DEVICE_CHANGE, wish)
        sims = [{"slot": sim.slot, "number": sim.number} for sim in device.sims]
        self._tell(
            "phone",
            {"device": device.id, "name": name, "software": device.software, "sims": sims},
            facts([("the phone is there", name), ("id", device.id)]),
        )
        return device

    async def _let_in(self, account: "Account", key_id: str) -> "Device | None":
        from shared.contracts import registry
        from shared.contracts.rpc.clients import ListEnrolmentKeys
        from shared.contracts.rpc.phones import ListDevices
        from shared.errors import Conflict

        keys = (await self._rpc.ask(registry.AUTH_ENROLMENT_LIST, ListEnrolmentKeys(account.id, id=key_id))).keys
        key = next((each for each in keys if each.id == key_id), None)
        if key is None or key.revoked_at is not None:
            raise Conflict("The enrolment key was revoked meanwhile.")
        if key.device is None:
            return None
        wish = ListDevices(account.id, ids=[key.device])
        devices = (await self._rpc.ask(registry.DISPATCHER_DEVICE_LIST, wish)).devices
        return next((each for each in devices if each.online), None)

    async def _first_text(self, account: "Account", device: "Device") -> None:
        """Sends it as any program would, with a key of its own that ends at once."""
        from services.cli.messages import post
        from shared.contracts import registry
        from shared.contracts.rpc.auth import CreateKey, RevokeKey
        from shared.contracts.rpc.messages import MessageStory, ShowMessage
        from shared.errors import NotFound, SmsFleetError
        from shared.model.ids import parse_message_id

        wish = CreateKey(account=account.id, name="first text of a phone", scopes=["sms:send"], lives_s=600)
        key = await self._rpc.ask(registry.AUTH_KEY_CREATE, wish)
        try:
            answer = await asyncio.to_thread(
                post, self._places["gateway"], key.api_key, self._args.test, TEXT, sIdentifiant=device.id
            )
        finally:
            await self._rpc.ask(registry.AUTH_KEY_REVOKE, RevokeKey(account=account.id, id=key.id))
        result = answer.get("result")
        message = parse_message_id(str(result.get("id"))) if isinstance(result, dict) else None
        if message is None:
            raise SmsFleetError(f"The gateway refused the text: {json.dumps(result or answer)}")
        self._tell("text", {"guid": message.hex(), "to": self._args.test}, f"The text {message.hex()} is accepted.")

        async def over() -> "MessageStory | None":
            try:
                story = await self._rpc.ask(registry.DISPATCHER_MESSAGE_SHOW, ShowMessage(message=message))
            except NotFound:
                # Accepted, and still on its way to the dispatcher.
                return None
            return story if story.state not in ("scheduled", "queued", "leased", "taken") else None

        story = await self._until(over, SENT_S, "the phone has not sent it yet")
        if story is None or story.state not in ("sent", "delivered"):
            came = f"{story.state} ({story.reason or 'no reason given'})" if story else f"not sent after {SENT_S:g} s"
            raise SmsFleetError(f"The text is {came}; `smsfleet message show {message.hex()}` tells more.")
        self._tell("sent", {"guid": message.hex(), "state": story.state}, f"The phone has sent it: {story.state}.")

    async def _until(self, ask: Callable[[], Awaitable[Found | None]], seconds: float, note: str) -> Found | None:
        """What `ask` finds in time, else None. Raises Unavailable when nothing has answered for AWAY_S."""
        from shared.errors import Unavailable

        begun = told = answered = time.monotonic()
        while (now := time.monotonic()) - begun < seconds:
            try:
                if (found := await ask()) is not None:
                    return found
                answered = time.monotonic()
            except Unavailable:
                if now - answered > AWAY_S:
                    raise
            if now - told >= TOLD_EVERY_S:
                told = now
                self._note(f"{note} ({now - begun:.0f} s)")
            await asyncio.sleep(POLL_S)
        return None

    def _tell(self, stage: str, values: dict[str, Any], text: str) -> None:
        print(json.dumps({"stage": stage, **values}) if self._args.json else text, flush=True)

    def _note(self, text: str) -> None:
        if not self._args.json:
            print(f"  {text}", flush=True)


def _instructions(url: str, key: str, ca_url: str) -> str:
    """What a person does on the phone, step by step (the app's settings as of version 1.68)."""
    steps = [
        'Install the app "SMS Gateway for Android": the APK is on GitHub, capcom6/android-sms-gateway, Releases.',
        "Open it; allow SMS and Phone. Android 15 refuses SMS to apps from outside its store at first:\n"
        "     Settings, Apps, SMS Gateway, the menu at the top, Allow restricted settings; then Permissions, SMS.",
        "Settings, Apps, SMS Gateway, Battery: Unrestricted. Otherwise Android puts it to sleep, and texts wait.",
        "In the app: Settings, Cloud Server. Type the three values above; codes for camera and clipboard are below.",
        "In the app, Home: switch Cloud server on, tap Offline, choose Sign up. Then close the app and open it again.",
    ]
    if ca_url:
        steps.insert(
            0, f"Install the root certificate: open {ca_url} in the phone's browser and do what the page says."
        )
    lines = [
        facts([("API URL", url), ("Private token", key), ("Notification channel", "SSE only")]),
        "The token lets in one phone, within an hour, and is shown only now.",
        "",
        "On the phone:",
        *(f"  {number}. {step}" for number, step in enumerate(steps, 1)),
    ]
    if not url.startswith("https://"):
        lines += ["", "The released app connects to https only: `make up TLS=1` (docs/operations/tls.md)."]
    codes = [*([("Root certificate", ca_url)] if ca_url else []), ("API URL", url), ("Private token", key)]
    for name, text in codes:
        lines += ["", f"{name}:", _code(text)]
    return "\n".join(lines)


def _code(text: str) -> str:
    """A QR code in half blocks; a line that says why there is none where the terminal cannot show them."""
    import io

    import segno

    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, border=2, compact=True)
    try:
        drawn.getvalue().encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "(this terminal shows no QR code)"
    return drawn.getvalue().rstrip("\n")
