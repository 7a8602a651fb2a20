"""Keeps the phone connected: enrols it once, opens sessions and comes back after every kind of failure."""

import asyncio
import ipaddress
import itertools
import logging
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from agent.backoff import Backoff
from agent.drivers.base import RadioDriver
from agent.home import PhoneHome
from agent.ledger import Ledger
from agent.session import Broken, Farewell, Session, Wire
from agent.settings import Settings
from agent.work import Desk
from shared.contracts import phone

MAX_RETRY_AFTER_S: Final = 3600.0
_CLOSE_S: Final = 2.0

log = logging.getLogger("agent.client")


class Client:
    """The connection of one phone over its whole life; at most one session at a time."""

    def __init__(
        self,
        *,
        settings: Settings,
        home: PhoneHome,
        radio: RadioDriver,
        desk: Desk,
        ledger: Ledger,
        backoff: Backoff,
        now_ms: Callable[[], int],
        on_taken: Callable[[], None],
        software: str,
    ) -> None:
        """`on_taken` is called when the desk may have work for a radio."""
        self._settings = settings
        self._limits = settings.limits
        self._home = home
        self._radio = radio
        self._desk = desk
        self._ledger = ledger
        self._backoff = backoff
        self._now_ms = now_ms
        self._on_taken = on_taken
        self._software = software
        self._seq = itertools.count(1)
        self._session: Session | None = None
        self._token_refused = False
        self._changed = asyncio.Event()

    async def run(self) -> str:
        """Connects again and again. Returns, with the reason, only when there is no sense in coming back."""
        while True:
            token = None if self._token_refused else self._ledger.token
            if token is None and self._settings.enrolment_key is None:
                return "there is no device token and no enrolment key (SMSFLEET_PHONE_ENROLMENT_KEY)"
            ending, lasted_s = await self._visit(token)
            if lasted_s >= self._limits.lasted_s:
                self._backoff.reset()
            wait_s = self._backoff.next_s()
            if isinstance(ending, Farewell):
                bye = ending.bye
                key_left = token is not None and self._settings.enrolment_key is not None
                if bye.code == "unauthorized" and key_left:
                    log.warning("the device token is refused; trying the enrolment key")
                    self._token_refused = True
                    continue
                if bye.retry_after_s is None:
                    return f"the gateway refuses this phone ({ending})"
                wait_s = max(wait_s, min(bye.retry_after_s, MAX_RETRY_AFTER_S))
            log.warning("not connected: %s; next try in %.1f s", str(ending) or type(ending).__name__, wait_s)
            await asyncio.sleep(wait_s)

    def place_free(self) -> None:
        """A radio began with a job, or the desk was closed."""
        if self._session is not None:
            self._session.place_free()

    def report_kept(self) -> None:
        """The journal holds something new for the gateway."""
        if self._session is not None:
            self._session.report_kept()

    async def flushed(self) -> None:
        """Waits until the gateway has acknowledged everything, or no session is left to bring it there."""
        while True:
            self._changed.clear()
            if self._session is None or not await self._ledger.anything_waiting():
                return
            await self._changed.wait()

    async def _visit(self, token: str | None) -> tuple[Exception, float]:
        """One connection from its beginning to its end; gives what ended it and the session's seconds."""
        endings: list[BaseException] = []
        clock = asyncio.get_running_loop().time
        opened_at: float | None = None
        try:
            async with connect(
                self._settings.url,
                open_timeout=self._limits.connect_s,
                close_timeout=_CLOSE_S,
                # The protocol has pings of its own, which also prove that the gateway's code answers.
                ping_interval=None,
                max_size=phone.MAX_FRAME_BYTES,
                compression=None,
                proxy=None if _is_loopback(self._settings.url) else True,
            ) as socket:
                wire = Wire(socket, self._limits)
                async with asyncio.timeout(self._limits.connect_s):
                    welcome = await self._greet(wire, token)
                opened_at = clock()
                await self._run_session(wire, welcome)
        except* (OSError, WebSocketException, Broken, Farewell) as group:
            endings = _leaves(group)
        lasted_s = 0.0 if opened_at is None else clock() - opened_at
        causes = [ending for ending in endings if isinstance(ending, Exception)]
        # When several tasks saw the end, a `bye` says most.
        causes.sort(key=lambda cause: not isinstance(cause, Farewell))
        return (causes[0] if causes else Broken("the session ended without a reason")), lasted_s

    async def _greet(self, wire: Wire, token: str | None) -> phone.Welcome:
        await wire.send(
            phone.Hello(
                version=phone.VERSION,
                journal=self._ledger.journal_id,
                name=self._settings.name,
                sims=[phone.Sim(slot=s.slot, number=s.number, carrier=s.carrier) for s in self._radio.sims],
                token=token,
                enrolment_key=self._settings.enrolment_key if token is None else None,
                channels=list(self._radio.channels),
                software=self._software,
            )
        )
        welcome = await wire.receive()
        if not isinstance(welcome, phone.Welcome):
            raise Broken("the gateway did not answer hello with welcome or bye")
        if welcome.version != phone.VERSION:
            raise Broken(f"the gateway speaks version {welcome.version} of the protocol, not {phone.VERSION}")
        if welcome.token is not None:
            await self._ledger.remember_token(welcome.token)
            self._token_refused = False
            log.info("enrolled as device %s", welcome.device)
        return welcome

    async def _run_session(self, wire: Wire, welcome: phone.Welcome) -> None:
        session = Session(
            wire=wire,
            welcome=welcome,
            desk=self._desk,
            ledger=self._ledger,
            limits=self._limits,
            now_ms=self._now_ms,
            next_seq=lambda: next(self._seq),
            on_taken=self._on_taken,
            on_acked=self._changed.set,
        )
        self._session = session
        self._home.say_connected(welcome.device, welcome.session)
        log.info("session %d is open", welcome.session)
        try:
            await session.run()
        finally:
            self._session = None
            self._home.say_disconnected()
            self._desk.connection_lost()
            self._changed.set()


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
