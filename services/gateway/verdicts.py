"""Remembers whose key is whose, so that accepting needs no question and outlives auth being away."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from shared.bus.rpc import RpcClient
from shared.contracts.registry import AUTH_VERIFY
from shared.contracts.rpc.auth import AuthChanged, Verdict, Verify
from shared.errors import SmsFleetError, Unavailable

log = structlog.get_logger()

FRESH_S: Final = 60.0
"""A verdict is used without a question for this long, in seconds."""

UNKNOWN_FRESH_S: Final = 5.0
"""The same for "no such key"."""

GAP_S: Final = 3.0
"""Hearing nothing of auth for this many seconds (it speaks every 0.5 s) puts every verdict in doubt."""

RPC_TIMEOUT_S: Final = 2.0
RETRY_S: Final = 0.1
"""Pause before a replica that is behind is asked again, in seconds."""

AWAY_PAUSE_S: Final = 1.0
"""While auth is away it is asked about known keys no more often than this, in seconds."""

LOWER_EPOCH_S: Final = 10.0
"""When only lower epochs were heard for this long, the database was restored: the lower one counts, in seconds."""

MAX_KNOWN: Final = 100_000
MAX_UNKNOWN: Final = 10_000
MAX_ASKING: Final = 1_000
"""Different keys that are being asked about at once; more are refused with Unavailable."""


class _Entry:
    __slots__ = ("asked_at", "verdict")

    def __init__(self, verdict: Verdict, asked_at: float) -> None:
        self.verdict = verdict
        self.asked_at = asked_at


class Verdicts:
    """Auth's verdicts on API keys by the key's digest.

    A positive verdict is fresh for 60 s, unless auth has changed since (a newer epoch), was not heard for 3 s, or
    the connection broke: then it is asked again on its next use, and stays usable for `stale_s` while auth does not
    answer. Once auth has failed to answer, known keys wait for no further question; it is asked behind their backs.
    An answer that is behind the newest epoch heard is never used: another replica is asked within the same 2 s.
    """

    def __init__(self, rpc: RpcClient, monotonic: Callable[[], float], stale_s: float) -> None:
        """`monotonic`: seconds that only grow; `stale_s`: how long a positive verdict outlives auth."""
        self._rpc = rpc
        self._monotonic = monotonic
        self._stale_s = stale_s
        self._known: dict[bytes, _Entry] = {}
        self._unknown: dict[bytes, _Entry] = {}
        self._asking: dict[bytes, asyncio.Task[Verdict]] = {}
        self._epoch = 0
        self._epoch_at = float("-inf")
        self._heard_at = monotonic()
        self._valid_since = float("-inf")
        self._away = False
        self._ask_again_at = float("-inf")

    def fresh(self, digest: bytes) -> Verdict | None:
        """The positive verdict that may be used right now, if there is one. Costs one look-up."""
        entry = self._known.get(digest)
        if entry is not None and self._is_fresh(entry, FRESH_S):
            return entry.verdict
        return None

    async def of(self, digest: bytes) -> Verdict:
        """The verdict on this key; its `account` is None for an unknown one.

        Raises Unavailable when auth does not answer and nothing usable is known.
        """
        entry = self._known.get(digest)
        if entry is not None and self._is_fresh(entry, FRESH_S):
            return entry.verdict
        negative = self._unknown.get(digest)
        if negative is not None and self._is_fresh(negative, UNKNOWN_FRESH_S):
            return negative.verdict
        if entry is None or self._monotonic() - entry.asked_at >= self._stale_s:
            return await asyncio.shield(self._question(digest))
        if self._away and self._monotonic() < self._ask_again_at:
            return entry.verdict
        try:
            was_away = self._away
            question = self._question(digest)
            return entry.verdict if was_away else await asyncio.shield(question)
        except Unavailable:
            return entry.verdict

    def changed(self, data: bytes) -> None:
        """Takes in one AuthChanged broadcast."""
        try:
            epoch = _decode_changed(data).epoch
        except msgspec.DecodeError:
            log.warning("not an auth.changed broadcast")
            return
        now = self._monotonic()
        if now - self._heard_at > GAP_S:
            self._valid_since = now
        self._heard_at = now
        if epoch >= self._epoch:
            self._epoch, self._epoch_at = epoch, now
        elif now - self._epoch_at > LOWER_EPOCH_S:
            log.warning("auth's epoch went back", before=self._epoch, now=epoch)
            self._epoch, self._epoch_at, self._valid_since = epoch, now, now

    def reconnected(self) -> None:
        """Broadcasts may have been missed: every verdict is in doubt."""
        self._valid_since = self._monotonic()

    async def close(self) -> None:
        """Ends the questions under way."""
        questions = list(self._asking.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    def _is_fresh(self, entry: _Entry, fresh_s: float) -> bool:
        now = self._monotonic()
        asked_at = entry.asked_at
        return (
            now - asked_at < fresh_s
            and entry.verdict.epoch >= self._epoch
            and asked_at >= self._valid_since
            and now - max(self._heard_at, asked_at) < GAP_S
        )

    def _question(self, digest: bytes) -> asyncio.Task[Verdict]:
        """The question about this key that is under way; all who miss it share one."""
        question = self._asking.get(digest)
        if question is None:
            if len(self._asking) >= MAX_ASKING:
                raise Unavailable("Too many keys are being checked already.")
            question = asyncio.create_task(self._ask(digest), name="verdict")
            question.add_done_callback(_retrieved)
            self._asking[digest] = question
        return question

    async def _ask(self, digest: bytes) -> Verdict:
        try:
            async with asyncio.timeout(RPC_TIMEOUT_S):
                while True:
                    asked_at = self._monotonic()
                    verdict = await self._rpc.ask(AUTH_VERIFY, Verify("api_key", digest), RPC_TIMEOUT_S)
                    if verdict.epoch >= self._epoch:
                        break
                    await asyncio.sleep(RETRY_S)
        except (TimeoutError, SmsFleetError) as error:
            if not self._away:
                log.warning("auth does not answer", error=str(error))
            self._away = True
            self._ask_again_at = self._monotonic() + AWAY_PAUSE_S
            raise Unavailable("The auth service does not answer.") from error
        finally:
            del self._asking[digest]
        self._away = False
        self._keep(digest, _Entry(verdict, asked_at))
        return verdict

    def _keep(self, digest: bytes, entry: _Entry) -> None:
        """Newest last, so that the one asked longest ago goes first when it gets too many."""
        self._known.pop(digest, None)
        self._unknown.pop(digest, None)
        if entry.verdict.account is None:
            _bounded(self._unknown, MAX_UNKNOWN)[digest] = entry
        else:
            _bounded(self._known, MAX_KNOWN)[digest] = entry


_decode_changed = msgspec.msgpack.Decoder(AuthChanged).decode


def _bounded(entries: dict[bytes, _Entry], bound: int) -> dict[bytes, _Entry]:
    while len(entries) >= bound:
        del entries[next(iter(entries))]
    return entries


def _retrieved(question: asyncio.Task[Verdict]) -> None:
    """Whoever asked may be gone; an unwatched failure is nobody's business."""
    if not question.cancelled():
        question.exception()
