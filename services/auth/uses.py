"""What is written behind: when credentials were used and who was refused, gathered and stored in batches."""

from collections import Counter

import structlog

from services.auth.memory import Memory
from services.auth.store.audit import Audit, Refusal, Uses

log = structlog.get_logger()

EVERY_S = 60.0
"""A credential's use is stored at most once in so many seconds."""

MAX_WAITING = 10_000
"""Uses that wait to be stored; more are let go."""

MAX_REFUSALS = 256
"""Kinds of refusals that wait to be stored: strangers choose them, and must not fill the log with them."""

BATCH = 1000


class Gathered:
    """Uses and refusals since the last flush. No answer waits for them or fails because they cannot be stored."""

    def __init__(self, uses: Uses, audit: Audit) -> None:
        """Stores by these."""
        self._uses = uses
        self._audit = audit
        self._seen: dict[str, float] = {}
        self._waiting: dict[str, float] = {}
        self._refusals: Counter[tuple[str, int | None, str, str]] = Counter()

    def used(self, credential: str, now: float) -> None:
        """Somebody asked about this key or client just now (Unix seconds)."""
        if now - self._seen.get(credential, 0.0) >= EVERY_S and len(self._waiting) < MAX_WAITING:
            self._seen[credential] = self._waiting[credential] = now

    def refused(self, memory: Memory, client_id: str, address: str, reason: str, now: float) -> None:
        """A token was refused to whoever showed this client id."""
        known = memory.client(client_id, now)
        kind = (_printable(client_id), known.account if known else None, _printable(address), reason)
        if kind in self._refusals or len(self._refusals) < MAX_REFUSALS:
            self._refusals[kind] += 1

    async def flush(self, now: float) -> None:
        """Stores what waits; what cannot be stored waits on. Raises what the store raises."""
        self._seen = {each: at for each, at in self._seen.items() if now - at < EVERY_S}
        while self._waiting:
            batch = dict(list(self._waiting.items())[:BATCH])
            await self._uses.note(batch)
            self._waiting = {each: at for each, at in self._waiting.items() if batch.get(each) != at}
        if refusals := self._refusals.copy():
            await self._audit.refused([Refusal(*kind, count) for kind, count in refusals.items()])
            self._refusals -= refusals


def _printable(text: str) -> str:
    """What a stranger chose, fit to be stored and shown."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:64])
