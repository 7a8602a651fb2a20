"""The envelope: many items as one stream message, so that one fsync serves many requests.

Items are kept as raw msgpack until each is decoded by itself: an item that cannot be decoded harms no neighbour.
"""

from collections.abc import Iterable, Sequence

import msgspec

MAX_ITEMS = 256
MAX_BYTES = 256 * 1024


class Envelope(msgspec.Struct, frozen=True, tag="envelope.v1"):
    """Up to 256 items or 256 KiB (one larger item travels alone). Immutable once made."""

    items: list[msgspec.Raw]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def encode_item(item: msgspec.Struct) -> bytes:
    """One item's bytes. Raises UnicodeEncodeError for a lone surrogate."""
    return _encoder.encode(item)


def encode_envelope(items: Sequence[bytes]) -> bytes:
    """The stream message that holds these encoded items."""
    return _encoder.encode(Envelope([msgspec.Raw(item) for item in items]))


def decode_envelope(body: bytes) -> list[bytes]:
    """The encoded items. Raises msgspec.DecodeError when the body is no envelope."""
    return [bytes(item) for item in _decoder.decode(body).items]


def split(sizes: Iterable[int]) -> int:
    """How many of the waiting items, in order, fit into one envelope (at least 1)."""
    count = total = 0
    for size in sizes:
        if count and (count >= MAX_ITEMS or total + size > MAX_BYTES):
            break
        count, total = count + 1, total + size
    return count
