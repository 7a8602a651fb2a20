"""Send once: whoever comes again with a key gets the message that the key stands for, and no second one is sent.

The entry in the bucket is made before the command is published, and the command always goes out under the entry's ids,
so that a crash between the two loses nothing: the dispatcher's primary key makes all such commands one.
"""

import hashlib

import msgspec

from services.gateway.errors import KeyReused
from shared.bus.buckets import FirstWins
from shared.model.ids import MessageId


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What a key stands for: the first message id of the request, when it was accepted, and what it wants."""

    first: bytes
    at: float
    """Unix seconds."""
    content: bytes
    """SHA-256 of everything that decides what is sent."""

    @property
    def first_id(self) -> MessageId:
        """The first message id."""
        return MessageId(self.first)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class Once:
    """The keys of the last 7 days."""

    def __init__(self, bucket: FirstWins) -> None:
        """Of two replicas that are asked at once the bucket lets one win."""
        self._bucket = bucket

    async def enter(self, account: int, key: str, entry: Entry) -> Entry:
        """The entry that counts: this one, or the one that was there first.

        Raises KeyReused when that one wants something else, Unavailable when nothing is certain.
        """
        return _checked(await self._bucket.create(_bucket_key(account, key), _encode(entry)), entry.content)

    async def find(self, account: int, key: str, content: bytes) -> Entry | None:
        """The entry of the key, if there is one. Raises as `enter` does."""
        found = await self._bucket.get(_bucket_key(account, key))
        return None if found is None else _checked(found, content)


def content_of(*wishes: object) -> bytes:
    """SHA-256 of what a request wants, unambiguously encoded."""
    return hashlib.sha256(_encode(wishes)).digest()


def _bucket_key(account: int, key: str) -> str:
    return hashlib.sha256(account.to_bytes(8, "big") + key.encode()).hexdigest()


def _checked(stored: bytes, content: bytes) -> Entry:
    found = _decode(stored)
    if found.content != content:
        raise KeyReused
    return found
