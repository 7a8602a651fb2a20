"""Keeps what access tokens are verified with: auth's public keys and the tokens that ended before their time."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from services.gateway.bearer import LEEWAY_S, Keys
from services.gateway.epochs import Epochs
from shared.bus.rpc import RpcClient
from shared.contracts.registry import AUTH_TRUST
from shared.contracts.rpc.auth import AskTrust, VerifyingKey
from shared.errors import Unavailable
from shared.security.jwt import verifying_key

log = structlog.get_logger()

FRESH_S: Final = 60.0
"""Trust is asked for again after this many seconds, even if nothing has changed."""

AWAY_PAUSE_S: Final = 1.0
"""Pause between questions while auth is away, and between those for keys that it does not know, in seconds."""


class Trust:
    """The keys and the revocations as of an epoch.

    They are level while no newer epoch was heard; else auth is asked first. While it does not answer, what is known
    stays usable for `stale_s`, and revocations stay for as long as their tokens would have lived.
    """

    def __init__(
        self,
        rpc: RpcClient,
        epochs: Epochs,
        monotonic: Callable[[], float],
        clock: Callable[[], float],
        stale_s: float,
    ) -> None:
        """`monotonic`: seconds that only grow; `clock`: Unix seconds."""
        self._rpc = rpc
        self._epochs = epochs
        self._monotonic = monotonic
        self._clock = clock
        self._stale_s = stale_s
        self._told: list[VerifyingKey] = []
        self._revoked: dict[str, int] = {}
        self._epoch = 0
        self._asked_at = float("-inf")
        self._away = False
        self._ask_again_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self.keys: Keys = {}
        """Another object whenever they have changed."""
        self.issuer = ""
        """Who makes the tokens, and whom they are for."""

    @property
    def published(self) -> list[VerifyingKey]:
        """The keys as auth told them; none before it was reached."""
        return self._told

    def is_level(self) -> bool:
        """Whether nothing can have changed that is not known here."""
        now = self._monotonic()
        return now - self._asked_at < FRESH_S and self._epochs.covers(self._epoch, self._asked_at, now)

    def revoked(self, jti: str) -> bool:
        """Whether this token ended before its time, by all that is known here."""
        return jti in self._revoked

    def upholds(self, jti: str, keys: Keys) -> bool:
        """Whether a token that was verified with these keys is good right now, without a question."""
        return keys is self.keys and jti not in self._revoked and self.is_level()

    async def settle(self) -> None:
        """Returns when trust is level, or as level as auth's absence allows.

        Raises Unavailable when auth does not answer and nothing usable is known.
        """
        if self.is_level():
            return
        now = self._monotonic()
        usable = now - self._asked_at < self._stale_s
        waits = not (self._away and now < self._ask_again_at)
        if not usable:
            if not waits:
                raise Unavailable("The auth service does not answer.")
            await asyncio.shield(self._question())
        elif waits:
            was_away, question = self._away, self._question()
            if was_away:
                return
            try:
                await asyncio.shield(question)
            except Unavailable:
                return

    async def look_again(self) -> None:
        """Asks for keys that are not known here, at most once a second.

        Raises Unavailable when auth does not answer, so that nobody can say whether there are such keys.
        """
        now = self._monotonic()
        if self._away and now < self._ask_again_at:
            raise Unavailable("The auth service does not answer.")
        if now - self._asked_at >= AWAY_PAUSE_S or not self.is_level():
            await asyncio.shield(self._question())

    async def run(self) -> None:
        """Keeps it level until cancelled, so that few requests have to wait for that."""
        while True:
            self._epochs.moved.clear()
            try:
                if not self.is_level():
                    await asyncio.shield(self._question())
            except Unavailable:
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            try:
                async with asyncio.timeout(AWAY_PAUSE_S):
                    await self._epochs.moved.wait()
            except TimeoutError:
                pass

    async def load(self) -> None:
        """Asks once, before the gateway is ready; auth may be away."""
        try:
            await asyncio.shield(self._question())
        except Unavailable:
            log.warning("auth does not answer yet: access tokens cannot be judged")

    async def close(self) -> None:
        """Ends the question under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _question(self) -> "asyncio.Task[None]":
        """The question that is under way; all who need it share it."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="trust")
            self._asking.add_done_callback(_retrieved)
        return self._asking

    async def _ask(self) -> None:
        try:
            told, asked_at = await self._epochs.ask(self._rpc, AUTH_TRUST, AskTrust(self._epoch))
            if told.epoch < self._epoch:
                # The database was restored: what is new in it may be older than what was asked for.
                told, asked_at = await self._epochs.ask(self._rpc, AUTH_TRUST, AskTrust())
        except Unavailable:
            self._away = True
            self._ask_again_at = self._monotonic() + AWAY_PAUSE_S
            raise
        finally:
            self._asking = None
        self._away = False
        self.issuer = told.issuer
        if told.keys != self._told:
            self.keys = {key.kid: verifying_key(key.public) for key in told.keys}
            self._told = told.keys
        forgotten = self._clock() - LEEWAY_S
        known = self._revoked | {revoked.jti: revoked.expires_at for revoked in told.revoked}
        self._revoked = {jti: expires_at for jti, expires_at in known.items() if expires_at > forgotten}
        self._epoch, self._asked_at = told.epoch, asked_at


def _retrieved(question: "asyncio.Task[None]") -> None:
    """Whoever asked may be gone; an unwatched failure is nobody's business."""
    if not question.cancelled():
        question.exception()
