"""Key-value buckets in which the first writer of a key wins, whoever else writes at the same moment."""

import asyncio
import time
from typing import Final

import nats.errors
import nats.js.errors
import structlog
from nats.js import JetStreamContext
from nats.js.api import Header

from shared.contracts.registry import Bucket
from shared.errors import Unavailable

log = structlog.get_logger()

ACK_TIMEOUT_S: Final = 2.0
"""How long one answer may take before the same is tried again."""

DEADLINE_S: Final = 5.0
"""How long one call is retried before it is refused."""

_WRONG_LAST_SEQUENCE: Final = 10071
_TROUBLES: Final = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError)


class FirstWins:
    """Entries that are made once, never changed, and gone after the bucket's time."""

    def __init__(self, jetstream: JetStreamContext, bucket: Bucket) -> None:
        """The bucket is made by shared/bus/provision.py."""
        self._jetstream = jetstream
        self._bucket = bucket

    async def create(self, key: str, value: bytes) -> bytes:
        """Returns what stands under the key from now on, on disk: this value, or the one that was there first.

        Raises Unavailable when neither is certain.
        """
        deadline = time.monotonic() + DEADLINE_S
        pause = 0.05
        while True:
            try:
                await self._publish(key, value)
                return value
            except nats.js.errors.APIError as error:
                if error.err_code != _WRONG_LAST_SEQUENCE:
                    if not _may_pass(error):
                        log.warning("bucket refuses", bucket=self._bucket.name, error=str(error))
                        raise Unavailable(f"The bucket {self._bucket.name} is full or missing.") from error
                elif (first := await self.get(key)) is not None:
                    return first
            except _TROUBLES as error:
                log.debug("bucket does not answer", bucket=self._bucket.name, error=repr(error))
            if time.monotonic() + pause > deadline:
                raise Unavailable(f"The bucket {self._bucket.name} does not answer.")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.5)

    async def get(self, key: str) -> bytes | None:
        """What stands under the key. Raises Unavailable."""
        try:
            # The stream's leader is asked: a follower that answers a direct get may not have heard of it yet.
            message = await self._jetstream.get_msg(self._bucket.stream, subject=self._bucket.subject(key))
        except nats.js.errors.NotFoundError:
            return None
        except _TROUBLES as error:
            raise Unavailable(f"The bucket {self._bucket.name} does not answer.") from error
        return message.data or None

    async def _publish(self, key: str, value: bytes) -> None:
        await self._jetstream.publish(
            self._bucket.subject(key),
            value,
            timeout=ACK_TIMEOUT_S,
            stream=self._bucket.stream,
            headers={Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: "0"},
        )


def _may_pass(error: nats.js.errors.APIError) -> bool:
    return isinstance(error, (nats.js.errors.NoStreamResponseError, nats.js.errors.ServiceUnavailableError))
