"""Remembers who is behind a credential, so that accepting needs no question and outlives auth being away."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from services.gateway.epochs import Epochs
from shared.bus.rpc import RpcClient
from shared.contracts.registry import AUTH_VERIFY
from shared.contracts.rpc.auth import CredentialKind, Verdict, Verify
from shared.errors import Unavailable

log = structlog.get_logger()

FRESH_S: Final = 60.0
"""A verdict is used without a question for this long, in seconds."""

UNKNOWN_FRESH_S: Final = 5.0
"""The same for "no such credential"."""

AWAY_PAUSE_S: Final = 1.0
"""While auth is away it is asked about known credentials no more often than this, in seconds."""

MAX_KNOWN: Final = 100_000
MAX_UNKNOWN: Final = 10_000
MAX_ASKING: Final = 1_000
"""Different credentials that are being asked about at once; more are refused with Unavailable."""


class _Entry:
    __slots__ = ("asked_at", "verdict")

    def __init__(self, verdict: Verdict, asked_at: float) -> None:
        self.verdict = verdict
        self.asked_at = asked_at


class Verdicts:
    """Auth's verdicts on one kind of credential, by digest.

    A positive verdict is fresh for 60 s, unless auth has changed since (a newer epoch), was not heard for 3 s, or
    the connection broke: then it is asked again on its next use, and stays usable for `stale_s` while auth does not
    answer. Once auth has failed to answer, known ones wait for no further question; it is asked behind their backs.
    """

    def __init__(
        self,
        kind: CredentialKind,
        rpc: RpcClient,
        epochs: Epochs,
        monotonic: Callable[[], float],
        stale_s: float,
    ) -> None:
        """`monotonic`: seconds that only grow; `stale_s`: how long a positive verdict outlives auth."""
        self._kind: CredentialKind = kind
        self._rpc = rpc
        self._epochs = epochs
        self._monotonic = monotonic
        self._stale_s = stale_s
        self._known: dict[bytes, _Entry] = {}
        self._unknown: dict[bytes, _Entry] = {}
        self._asking: dict[bytes, asyncio.Task[Verdict]] = {}
        self._away = False
        self._ask_again_at = float("-inf")

    def fresh(self, digest: bytes) -> Verdict | None:
        """The positive verdict that may be used right now, if there is one. Costs one look-up."""
        entry = self._known.get(digest)
        if entry is not None and self._is_fresh(entry, FRESH_S):
            return entry.verdict
        return None

    def knows(self, digest: bytes) -> bool:
        """Whether it was good when last asked about, or is known to be nobody's: a stranger's costs a question."""
        negative = self._unknown.get(digest)
        return digest in self._known or (negative is not None and self._is_fresh(negative, UNKNOWN_FRESH_S))

    async def of(self, digest: bytes) -> Verdict:
        """The verdict on this credential; its `account` is None for an unknown one.

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

    async def close(self) -> None:
        """Ends the questions under way."""
        questions = list(self._asking.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    def _is_fresh(self, entry: _Entry, fresh_s: float) -> bool:
        now = self._monotonic()
        asked_at = entry.asked_at
        return now - asked_at < fresh_s and self._epochs.covers(entry.verdict.epoch, asked_at, now)

    def _question(self, digest: bytes) -> asyncio.Task[Verdict]:
        """The question about this credential that is under way; all who miss it share one."""
        question = self._asking.get(digest)
        if question is None:
            if len(self._asking) >= MAX_ASKING:
                raise Unavailable("Too many credentials are being checked already.")
            question = asyncio.create_task(self._ask(digest), name="verdict")
            question.add_done_callback(_retrieved)
            self._asking[digest] = question
        return question

    async def _ask(self, digest: bytes) -> Verdict:
        try:
            verdict, asked_at = await self._epochs.ask(self._rpc, AUTH_VERIFY, Verify(self._kind, digest))
        except Unavailable as error:
            if not self._away:
                log.warning("auth does not answer", error=str(error.__cause__))
            self._away = True
            self._ask_again_at = self._monotonic() + AWAY_PAUSE_S
            raise
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


def _bounded(entries: dict[bytes, _Entry], bound: int) -> dict[bytes, _Entry]:
    while len(entries) >= bound:
        del entries[next(iter(entries))]
    return entries


def _retrieved(question: asyncio.Task[Verdict]) -> None:
    """Whoever asked may be gone; an unwatched failure is nobody's business."""
    if not question.cancelled():
        question.exception()
