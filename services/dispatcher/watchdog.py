"""Looks again and again for what is out of the ordinary, and says so in the metrics and, when it changes, the log."""

import structlog

from services.dispatcher import metrics
from services.dispatcher.store.watch import Watch
from shared.contracts.rpc.messages import FLAG_KINDS, Attention, Flag, ListAttention

log = structlog.get_logger()

PERIOD_S = 15.0


class Watchdog:
    """Keeps the newest flags."""

    def __init__(self, watch: Watch) -> None:
        """Has flagged nothing yet."""
        self._watch = watch
        self._told: dict[tuple[str, int, str | None], int] = {}

    async def tick(self) -> None:
        """Reads the flags, sets the gauges, and logs those that are new or gone."""
        flags = await self._watch.flags()
        for kind in FLAG_KINDS:
            metrics.FLAGGED.labels(kind).set(sum(flag.messages for flag in flags if flag.kind == kind))
        await self._measure()
        now = {_key(flag): flag.messages for flag in flags}
        for flag in flags:
            if _key(flag) not in self._told:
                log.warning(
                    "needs attention",
                    kind=flag.kind,
                    account=flag.account,
                    device=flag.device,
                    messages=flag.messages,
                    oldest_s=round(flag.oldest_s),
                )
        for gone in self._told.keys() - now.keys():
            log.info("needs no more attention", kind=gone[0], account=gone[1], device=gone[2])
        self._told = now

    async def _measure(self) -> None:
        seen = await self._watch.figures()
        for state, messages in seen.work.items():
            metrics.WORK.labels(state).set(messages)
        metrics.OLDEST_READY.set(seen.oldest_ready_s)
        metrics.UNKNOWN.set(seen.unknown)
        metrics.PHONES.labels("online").set(seen.online)
        metrics.PHONES.labels("offline").set(seen.offline)
        metrics.OUTBOX.set(seen.outbox)
        metrics.OUTBOX_LAG.set(seen.outbox_lag_s)
        metrics.SEARCH_LAG.set(seen.search_lag_s)

    async def attention(self, ask: ListAttention) -> Attention:
        """What is flagged at this moment."""
        return Attention(await self._watch.flags(ask.account))


def _key(flag: Flag) -> tuple[str, int, str | None]:
    return flag.kind, flag.account, flag.device
