"""Frames instead of WebSocket messages, each with a deadline, so that no phone can hold anything for long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, get_args

import msgspec

from services.gateway.metrics import BYES, FRAMES
from services.gateway.phones.farewell import Farewell
from shared.contracts import phone

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SEND_S: Final = 10.0
"""A phone that does not take a frame within this many seconds is gone."""

_decode = msgspec.json.Decoder(phone.FromPhone).decode
_encode = msgspec.json.Encoder().encode


class _AnyFrame(msgspec.Struct):
    type: str


_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_KNOWN_TYPES: Final = frozenset(str(kind.__struct_config__.tag) for kind in get_args(phone.FromPhone))

_HEARD: Final = {kind: FRAMES.labels(kind.__struct_config__.tag, "in") for kind in get_args(phone.FromPhone)}
_SAID: Final = {kind: FRAMES.labels(kind.__struct_config__.tag, "out") for kind in get_args(phone.FromGateway)}
_NOT_UNDERSTOOD: Final = FRAMES.labels("unknown", "in")


class Gone(Exception):
    """The phone is no longer there."""


class Wire:
    """One accepted WebSocket."""

    def __init__(self, receive: Receive, send: Send) -> None:
        """Speaks ASGI."""
        self._receive = receive
        self._send = send

    async def accept(self) -> None:
        """Completes the handshake. Raises Gone."""
        await self._receive()
        await self._within(SEND_S, {"type": "websocket.accept"})

    async def receive(self, within_s: float) -> phone.FromPhone | None:
        """The next frame; None for one of a type that this version does not know.

        Raises TimeoutError after `within_s` seconds, Gone, or Farewell for what is no frame.
        """
        async with asyncio.timeout(within_s):
            message = await self._receive()
        if message["type"] != "websocket.receive":
            raise Gone
        text = message.get("text")
        if text is None:
            raise Farewell("bad_frame", "Frames are text.")
        try:
            frame: phone.FromPhone = _decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            _NOT_UNDERSTOOD.inc()
            if _is_of_unknown_type(text):
                return None
            raise Farewell("bad_frame", f"This is no frame of version {phone.VERSION}: {error}") from error
        _HEARD[type(frame)].inc()
        return frame

    async def send(self, frame: phone.Frame) -> None:
        """Sends one frame. Raises Gone when it does not leave."""
        _SAID[type(frame)].inc()
        if isinstance(frame, phone.Bye):
            BYES.labels(frame.code).inc()
        await self._within(SEND_S, {"type": "websocket.send", "text": _encode(frame).decode()})

    async def close(self) -> None:
        """Closes; a phone that is gone already does no harm."""
        try:
            await self._within(1.0, {"type": "websocket.close", "code": 1000})
        except Gone:
            return

    async def _within(self, seconds: float, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._send(message)
        except Exception as error:
            raise Gone from error


def _is_of_unknown_type(text: str) -> bool:
    """Later versions may add frames; only what this version should understand must parse."""
    try:
        return _decode_any(text).type not in _KNOWN_TYPES
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
