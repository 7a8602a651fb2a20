"""What arrives at a phone: the app posts it to a URL that only its phone knows, signed with a key that we gave it."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog

from services.gateway.asgi import Gone, Receive, Reply, Scope, Send, check_size, read_body, respond
from services.gateway.devices import Devices
from services.gateway.errors import MethodNotAllowed, NoDevice
from services.gateway.phones.frames import MAX_RECEIVED_CHARS, clean, instant, word
from services.gateway.phones.session import Publishes
from services.gateway.phones.smsgate.door import Owner
from services.gateway.phones.smsgate.errors import DONE, BadSignature, NoRoute, OtherDevice, refusal
from services.gateway.phones.smsgate.facts import SIM_NUMBERS
from services.gateway.phones.smsgate.signs import Signs
from services.gateway.phones.smsgate.wire import Call, instant_ms, read
from services.gateway.store import Store
from shared.contracts.envelope import encode_item
from shared.contracts.reports import TextKind, TextReceived
from shared.errors import SmsFleetError
from shared.security.secrets import derive_key

log = structlog.get_logger()

Key = TypeVar("Key")

PREFIX: Final = "/device-in/v1"
TEMPLATE: Final = f"{PREFIX}/{{capability}}"
"""How the route is named in logs: who has a capability may post in its phone's name."""

MAX_REMEMBERED: Final = 20_000
MAC_BYTES: Final = 16
DEVICE_CHARS: Final = 21

_KINDS: Final[dict[str, TextKind]] = {"sms:received": "sms", "sms:data-received": "data", "mms:received": "mms"}


class Capabilities:
    """Makes and recognises the URLs and signing keys of phones; nothing about them is stored."""

    def __init__(self, base_url: str, secret: str, older_secrets: Sequence[str]) -> None:
        """What an older secret made goes on being recognised."""
        self._base_url = base_url
        self._secrets = (secret, *older_secrets)

    def url(self, owner: Owner) -> str:
        """Where this phone is to post."""
        head = owner.account.to_bytes(8, "big") + owner.device.encode()
        sealed = base64.urlsafe_b64encode(head + _mac(self._secrets[0], head)).decode()
        return f"{self._base_url}{PREFIX}/{sealed}"

    def owner(self, capability: str) -> Owner | None:
        """Whose it is; None for one that we did not make."""
        try:
            raw = base64.b64decode(capability, altchars=b"-_", validate=True)
        except ValueError:
            return None
        head, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if len(head) != 8 + DEVICE_CHARS:
            return None
        if not any(hmac.compare_digest(_mac(secret, head), mac) for secret in self._secrets):
            return None
        return Owner(int.from_bytes(head[:8], "big"), head[8:].decode())

    def signing_key(self, device: str) -> str:
        """What this phone is to sign with: 64 hex characters."""
        return _signing_key(self._secrets[0], device)

    def signed(self, device: str, body: bytes, timestamp: bytes, signature: bytes) -> bool:
        """Whether the phone signed body and timestamp (hex HMAC-SHA256 of the one followed by the other)."""
        expected = [
            hmac.new(_signing_key(secret, device).encode(), body + timestamp, hashlib.sha256).hexdigest().encode()
            for secret in self._secrets
        ]
        return any(hmac.compare_digest(each, signature.lower()) for each in expected)


class Receiver:
    """Serves the route. What it accepts is on JetStream's disk before the phone may forget it."""

    def __init__(
        self,
        capabilities: Capabilities,
        received: Publishes,
        signs: Signs,
        devices: Devices,
        store: Store,
        clock: Callable[[], float],
    ) -> None:
        """`store` tells whether a phone has ever signed; `clock` gives Unix seconds."""
        self._capabilities = capabilities
        self._received = received
        self._signs = signs
        self._devices = devices
        self._store = store
        self._clock = clock
        self._signing: dict[str, None] = {}
        self._done: dict[tuple[str, str], None] = {}

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI handler."""
        try:
            reply = await self._answer(scope, receive)
        except Gone:
            return
        except SmsFleetError as error:
            log.info("phone's call refused", path=TEMPLATE, code=error.code)
            reply = refusal(error)
        except Exception as error:
            log.exception("request failed", path=TEMPLATE)
            reply = refusal(error)
        await respond(send, reply)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        owner = self._capabilities.owner(scope["path"].strip("/"))
        if owner is None:
            raise NoRoute
        if scope["method"] != "POST":
            raise MethodNotAllowed
        try:
            await self._devices.check(*owner)
        except NoDevice as error:
            raise NoRoute from error
        headers: dict[bytes, bytes] = dict(scope["headers"])
        check_size(b"", headers)
        body = await read_body(receive)
        await self._check_signature(owner, body, headers)
        call = read(body, Call)
        if call.device_id != owner.device:
            raise OtherDevice
        if call.event == "system:ping" and call.payload.health is not None:
            self._signs.healthy(*owner, call.payload.health)
        elif call.event in _KINDS and (owner.device, call.id) not in self._done:
            await self._received.publish(encode_item(text_received(owner, call, self._clock())))
            _remember(self._done, (owner.device, call.id))
        return DONE

    async def _check_signature(self, owner: Owner, body: bytes, headers: dict[bytes, bytes]) -> None:
        """The first good signature makes signing a duty. Raises BadSignature, Unavailable.

        The timestamp is no reason to refuse: phones' clocks are wrong, and a repetition changes nothing.
        """
        timestamp, signature = headers.get(b"x-timestamp", b""), headers.get(b"x-signature", b"")
        if signature and self._capabilities.signed(owner.device, body, timestamp, signature):
            _remember(self._signing, owner.device)
            sent_at = int(timestamp) if timestamp.isdigit() and len(timestamp) < 12 else 0
            off_s = max(-(2**31), min(round(sent_at - self._clock()), 2**31 - 1))
            self._signs.hooked(*owner, off_s)
            return
        if owner.device in self._signing or await self._store.has_signed(*owner):
            raise BadSignature
        self._signs.hooked(*owner, None)
        log.warning("a phone's call is not signed yet", device=owner.device)


def text_received(owner: Owner, call: Call, now: float) -> TextReceived:
    """The inbox's text. One that the phone tells again, under whatever id, has the same fingerprint.

    The app's own id of a text is a short hash, so time and words count too.
    """
    kind, payload = _KINDS[call.event], call.payload
    words = {"sms": payload.message, "data": payload.data, "mms": payload.subject}[kind] or ""
    number = payload.sender or payload.phone_number or ""
    own = payload.message_id or payload.transaction_id or call.id
    moment = instant_ms(payload.received_at)
    at_ms, offset = moment or (0, 0)
    hashed = hashlib.sha256()
    for field in (kind, own, number, str(at_ms), words):
        encoded = field.encode(errors="surrogatepass")
        hashed.update(len(encoded).to_bytes(4, "big") + encoded)
    return TextReceived(
        account=owner.account,
        device=owner.device,
        sim=payload.sim_number if payload.sim_number in SIM_NUMBERS else None,
        number=word(number),
        text=clean(words)[:MAX_RECEIVED_CHARS],
        at=instant(at_ms, now),
        utc_offset_min=offset,
        fingerprint=hashed.digest(),
        kind=kind,
    )


def _mac(secret: str, head: bytes) -> bytes:
    return hmac.digest(derive_key(secret, "app-receiver"), head, "sha256")[:MAC_BYTES]


def _signing_key(secret: str, device: str) -> str:
    return hmac.digest(derive_key(secret, "app-signing"), device.encode(), "sha256").hex()


def _remember(known: dict[Key, None], key: Key) -> None:
    while len(known) >= MAX_REMEMBERED:
        del known[next(iter(known))]
    known[key] = None
