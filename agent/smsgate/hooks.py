"""The app's webhooks: what happens on the phone is posted to the URLs that the server listed, until one answers 2xx."""

import secrets
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

import aiohttp

from agent.smsgate import facts, signature, wire
from agent.smsgate.backoff import webhook_s
from agent.smsgate.clock import Clock
from agent.smsgate.errors import Failure
from agent.smsgate.facts import HookEvent
from agent.smsgate.memory import Memory
from agent.smsgate.preferences import Webhooks
from agent.smsgate.rest import NETWORK_ERRORS, check_cleartext, new_session
from agent.smsgate.rows import Job
from agent.smsgate.store import Store
from agent.smsgate.work import Courier

_DEADLINES: Final = aiohttp.ClientTimeout(
    total=facts.HOOK_TOTAL_S, sock_connect=facts.HOOK_SOCKET_S, sock_read=facts.HOOK_SOCKET_S
)


class Hooks:
    """The webhook calls of one phone."""

    def __init__(
        self,
        *,
        memory: Memory,
        clock: Clock,
        preferences: Callable[[], Webhooks],
        cleartext: bool,
        tls: ssl.SSLContext | None,
    ) -> None:
        """`cleartext`: http is allowed; `tls`: which certificates are trusted, None for the machine's."""
        self._memory = memory
        self._clock = clock
        self._preferences = preferences
        self._cleartext = cleartext
        self._tls = tls
        self.calls = Courier(
            kind="call",
            memory=memory,
            clock=clock,
            carry=self._post,
            tries=lambda: preferences().retry_count,
            wait_s=webhook_s,
            at_once=facts.HOOKS_AT_ONCE,
        )

    async def emit(self, event: HookEvent, payload: dict[str, Any]) -> None:
        """Something happened: it is in the queue for each URL that wants to know, and survives the app."""
        self.begin(await self._memory.ask(lambda store: self.queue(store, event, payload)))

    def queue(self, store: Store, event: HookEvent, payload: dict[str, Any]) -> list[int]:
        """The numbers of the new calls, for `begin` once they are committed with what else is being written."""
        now_ms, device = self._clock.now_ms(), self._memory.facts.get("device")
        return [
            store.add_job("call", url, _body(event, webhook, device, payload), now_ms)
            for webhook, url in store.hooks(event)
        ]

    def begin(self, calls: Iterable[int]) -> None:
        """These calls are in the queue."""
        for n in calls:
            self.calls.add(n)

    async def _post(self, job: Job) -> None:
        check_cleartext(job.target, self._cleartext)
        key = self._preferences().signing_key or self._memory.facts["signing_key"]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": facts.REST_AGENT,
            **signature.headers(key, job.body, self._clock.now_ms() // 1000),
        }
        try:
            # A new client for each call (1.9): no connection is kept.
            async with (
                new_session(None, self._tls) as session,
                session.post(job.target, data=job.body, headers=headers, timeout=_DEADLINES) as response,
            ):
                status = response.status
        except NETWORK_ERRORS as error:
            raise Failure(type(error).__name__) from error
        if not 200 <= status < 300:
            raise Failure(str(status))


def _body(event: HookEvent, webhook: str, device: str | None, payload: dict[str, Any]) -> bytes:
    return wire.encoded(
        {"id": secrets.token_urlsafe(16), "webhookId": webhook, "event": event, "deviceId": device, "payload": payload}
    )
