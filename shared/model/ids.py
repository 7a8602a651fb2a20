"""Ids that carry what they must prove: message ids with time and MAC, attempt ids, device ids.

A message id is 20 bytes: 48 bits of Unix milliseconds at acceptance, 64 random bits, 16 bits of recipient index,
32 bits of keyed MAC over the account and the rest. It sorts by time, and the edge can tell its own from a guess.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import NewType

MessageId = NewType("MessageId", bytes)
"""20 bytes; 40 lower-case hex on the wire."""

DeviceId = NewType("DeviceId", str)
"""21 characters of [A-Za-z0-9_-]; the one public id of a phone."""

MESSAGE_ID_BYTES = 20
MAC_BYTES = 4
ATTEMPT_ID_CHARS = 34
MAX_ATTEMPT = 255
MAX_RECIPIENTS = 65_536

_HEX = re.compile(r"[0-9a-f]{40}")
_DEVICE_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


class MessageIds:
    """Makes and recognises the message ids of one installation."""

    def __init__(self, key: bytes) -> None:
        """`key` is the installation's MAC key; the same on every gateway."""
        # Keyed BLAKE2b is a MAC by itself, at a fraction of HMAC's cost.
        self._mac = hashlib.blake2b(key=key, digest_size=MAC_BYTES)

    def new(self, account: int, now_ms: int, count: int = 1) -> list[MessageId]:
        """`count` ids of one request, in the order of its recipients. `now_ms`: Unix milliseconds."""
        head = now_ms.to_bytes(6, "big") + secrets.token_bytes(8)
        return [self._sealed(account, head + index.to_bytes(2, "big")) for index in range(count)]

    def again(self, account: int, first: MessageId, count: int) -> list[MessageId]:
        """The ids of a request whose first one was `first`, as `new` made them."""
        return [self._sealed(account, first[:14] + index.to_bytes(2, "big")) for index in range(count)]

    def is_ours(self, message_id: MessageId, account: int) -> bool:
        """Whether this installation made the id for this account (2^-32 chance of a wrong yes)."""
        return hmac.compare_digest(self._sealed(account, message_id[:16]), message_id)

    def _sealed(self, account: int, body: bytes) -> MessageId:
        mac = self._mac.copy()
        mac.update(account.to_bytes(8, "big") + body)
        return MessageId(body + mac.digest())


def accepted_at_ms(message_id: MessageId) -> int:
    """When the message was accepted, Unix milliseconds."""
    return int.from_bytes(message_id[:6], "big")


def first_id_at(at_ms: int) -> bytes:
    """20 bytes that no id of that moment (Unix milliseconds) or later is below, and every earlier one is."""
    return at_ms.to_bytes(6, "big").ljust(MESSAGE_ID_BYTES, b"\0")


def parse_message_id(text: str) -> MessageId | None:
    """The id written as 40 hex characters in either case, or None if it is no such thing."""
    lowered = text.lower()
    return MessageId(bytes.fromhex(lowered)) if _HEX.fullmatch(lowered) else None


def attempt_id(message_id: MessageId, number: int) -> str:
    """The id under which a phone knows try `number` (1 to 255) of a message: 34 characters of base32."""
    raw = message_id + number.to_bytes(1, "big")
    return base64.b32encode(raw).decode().rstrip("=").lower()


def parse_attempt_id(text: str) -> tuple[MessageId, int] | None:
    """Message id and attempt number, or None if the text is no attempt id."""
    if len(text) != ATTEMPT_ID_CHARS or not text.isascii():
        return None
    try:
        raw = base64.b32decode(text.upper() + "======")
    except ValueError:
        return None
    if attempt_id(MessageId(raw[:20]), raw[20]) != text.lower():
        return None
    return MessageId(raw[:MESSAGE_ID_BYTES]), raw[20]


def new_device_id() -> DeviceId:
    """A fresh device id with 125 random bits; a command would take one that begins with a dash for an option."""
    first = secrets.choice(_DEVICE_ALPHABET.replace("-", ""))
    return DeviceId(first + "".join(secrets.choice(_DEVICE_ALPHABET) for _ in range(20)))
