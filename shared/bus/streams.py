"""Looks at a stream from outside: what nats-py's own types leave out."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contracts.registry import Stream
from shared.errors import Unavailable


class _State(msgspec.Struct):
    messages: int
    first_ts: datetime


class _Info(msgspec.Struct):
    state: _State | None = None
    error: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Info).decode


async def oldest_stored_at(client: Client, stream: Stream, timeout: float = 2.0) -> float | None:
    """When the oldest message in the stream was stored, Unix seconds; None when the stream is empty.

    Raises Unavailable when JetStream does not say so within `timeout` seconds.
    """
    try:
        answer = await client.request(f"$JS.API.STREAM.INFO.{stream.name}", timeout=timeout)
        info = _decode(answer.data)
    except (nats.errors.Error, OSError, TimeoutError, msgspec.DecodeError) as error:
        raise Unavailable(f"The stream {stream.name} does not answer.") from error
    if info.state is None:
        raise Unavailable(f"The stream {stream.name} does not answer.")
    return info.state.first_ts.astimezone(UTC).timestamp() if info.state.messages else None
