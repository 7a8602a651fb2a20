"""One phone of this kind, whole: what its parts are, in which order they start, and what each event makes them do."""

import asyncio
import logging
import random
import zlib
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import msgspec

from agent.smsgate import facts, preferences, wire
from agent.smsgate.backoff import background_s
from agent.smsgate.channel import Channel, Event
from agent.smsgate.clock import Clock
from agent.smsgate.errors import Failure, Unauthorized, Unreadable
from agent.smsgate.facts import HookEvent
from agent.smsgate.hooks import Hooks
from agent.smsgate.memory import Memory
from agent.smsgate.radio import Radio
from agent.smsgate.rest import Rest, new_session
from agent.smsgate.rows import Job, Text
from agent.smsgate.sending import Sender
from agent.smsgate.setup import Setup
from agent.smsgate.store import Store
from agent.smsgate.work import Courier, Periodic, keep_trying

log: Final = logging.getLogger("agent.smsgate")


class Phone:
    """One life of the app, from its start to its end; a restart is a new Phone with the same memory."""

    def __init__(
        self,
        setup: Setup,
        *,
        memory: Memory,
        radio: Radio,
        clock: Clock,
        rng: random.Random,
        connector: aiohttp.TCPConnector | None = None,
        on_channel: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """`connector` may be shared by many phones; `on_channel` hears whether the event channel is open."""
        self._setup = setup
        self._memory = memory
        self._radio = radio
        self._clock = clock
        self._connector = connector
        self._on_channel = on_channel
        self.preferences = preferences.decode(memory.facts.get("preferences", "{}"))
        self._hooks = Hooks(
            memory=memory,
            clock=clock,
            preferences=lambda: self.preferences.webhooks,
            cleartext=setup.cleartext,
            tls=setup.tls,
        )
        self._reports = Courier(
            kind="report",
            memory=memory,
            clock=clock,
            carry=self._report,
            tries=lambda: 1 + facts.REPORT_RETRIES,
            wait_s=background_s,
            at_once=facts.REPORTS_AT_ONCE,
        )
        self._sender = Sender(
            memory=memory,
            radio=radio,
            clock=clock,
            rng=rng,
            preferences=lambda: self.preferences.messages,
            on_report=self._reports.add,
            emit=self._hooks.emit,
        )
        self._rest: Rest | None = None

    @property
    def device(self) -> str | None:
        """The id that the server gave, None before the first registration."""
        return self._memory.facts.get("device")

    async def run(self) -> None:
        """Lives until cancelled, which is as sudden for the server as the app's death. Exceptions come in a group."""
        async with (
            new_session(self._connector, self._setup.tls) as rest_session,
            new_session(self._connector, self._setup.tls) as channel_session,
            asyncio.TaskGroup() as tasks,
        ):
            # Both pushed values are for the next start (1.10), which is now.
            base = self.preferences.gateway.cloud_url or self._setup.url
            self._rest = Rest(rest_session, base, cleartext=self._setup.cleartext)
            self._pull = Periodic("the pull", self._pull_once, facts.PULL_EVERY_S, self._clock, tasks)
            self._lists = Periodic("the webhooks", self._hooks_once, facts.HOOKS_EVERY_S, self._clock, tasks)
            self._wishes = Periodic("the settings", self._settings_once, facts.SETTINGS_EVERY_S, self._clock, tasks)
            self._radio.start(tasks, self._sender.on_result)
            await self._reports.start(tasks)
            await self._hooks.calls.start(tasks)
            tasks.create_task(self._sender.run())
            tasks.create_task(self._forget_old())
            tasks.create_task(self._live(tasks, self._channel(self._rest, channel_session)))
            if self.preferences.ping.interval_seconds:
                tasks.create_task(self._ping(self.preferences.ping.interval_seconds))

    async def settled(self) -> None:
        """Waits until the radio owes no result and the server no answer to a report or a webhook."""
        await self._radio.quiet()
        await self._reports.idle()
        await self._hooks.calls.idle()

    async def receive(self, number: str, text: str, sim: int, at_ms: int, *, noticed: bool = True) -> bool:
        """A text comes in; False if the app takes it for one that it has (1.9).

        `noticed` False: it is in Android's inbox only, as when the app was dead; an export finds it.
        """
        told = f"{number}\0{at_ms}\0{sim}\0{text}".encode()
        kept = Text(f"{zlib.crc32(told):08x}", sim, number, text, at_ms)

        def take_in(store: Store) -> list[int] | None:
            if not store.take_in(kept, seen=noticed):
                return None
            return self._queue_text(store, kept) if noticed else []

        calls = await self._memory.ask(take_in)
        self._hooks.begin(calls or ())
        return calls is not None

    def ask(self) -> None:
        """Asks for its list now, as it does every quarter of an hour, and more often by its pings."""
        self._pull.replace()

    async def emit(self, event: HookEvent, payload: dict[str, Any]) -> None:
        """Anything else that webhooks tell, such as an MMS."""
        await self._hooks.emit(event, payload)

    async def public_ip(self) -> bytes:
        """What GET /device answers to the app's question for its address."""
        return await self._server().public_ip(self._memory.facts.get("token"))

    async def _live(self, tasks: asyncio.TaskGroup, channel: Channel) -> None:
        """The order of a start (1.3): with a token all calls go out at once, without one they need it first."""
        registered_before = "token" in self._memory.facts
        if registered_before:
            self._ask_for_all()
        await self._hooks.emit("app:started", {"simCards": [{"simNumber": sim.slot} for sim in self._radio.sims]})
        await keep_trying("the registration", self._register, self._clock)
        if not registered_before:
            self._ask_for_all()
        if self._setup.push_token is None or self.preferences.gateway.notification_channel == "SSE_ONLY":
            tasks.create_task(channel.run())

    def _channel(self, rest: Rest, session: aiohttp.ClientSession) -> Channel:
        def opened() -> None:
            self._on_channel(True)
            self._pull.replace()

        return Channel(
            session,
            url=lambda: rest.url("/events"),
            token=lambda: self._memory.facts["token"],
            clock=self._clock,
            on_open=opened,
            on_event=self._on_event,
            on_close=lambda: self._on_channel(False),
        )

    def _ask_for_all(self) -> None:
        for work in (self._pull, self._lists, self._wishes):
            work.replace()

    async def _register(self) -> None:
        rest, known = self._server(), self._memory.facts
        if "token" in known:
            try:
                await rest.update(known["token"], known["device"], self._radio.sims, self._setup.push_token)
            except Unauthorized:
                log.info("the device token is refused; registering anew")
            else:
                return
        private_token = self.preferences.gateway.private_token or self._setup.private_token
        answer = await rest.register(private_token, self._setup.name, self._radio.sims, self._setup.push_token)
        given = {"device": answer.id, "token": answer.token, "login": answer.login}
        if answer.password is not None:
            given["password"] = answer.password
        await self._memory.remember(**given)
        log.info("registered as device %s", answer.id)

    async def _on_event(self, event: Event) -> None:
        try:
            match event.name:
                case "MessageEnqueued":
                    self._pull.replace()
                case "MessageCancelled":
                    await self._sender.cancel(msgspec.json.decode(event.data, type=dict[str, str])["messageId"])
                case "WebhooksUpdated":
                    self._lists.replace()
                case "SettingsUpdated":
                    self._wishes.replace()
                case "MessagesExportRequested":
                    await self._export(msgspec.json.decode(event.data, type=dict[str, str]))
                case _:
                    log.warning("the event %s is unknown", event.name)
        except (msgspec.MsgspecError, KeyError, Unreadable) as error:
            log.warning("the event %s cannot be read: %s", event.name, error)

    async def _pull_once(self) -> None:
        body = await self._server().messages(self._token(), self.preferences.messages.processing_order)
        for item in wire.messages(body):
            await self._sender.take_up(item)

    async def _hooks_once(self) -> None:
        hooks = wire.hooks(await self._server().webhooks(self._token()))
        await self._memory.ask(lambda store: store.put_hooks(hooks))

    async def _settings_once(self) -> None:
        body = await self._server().settings(self._token())
        self.preferences = preferences.merged(self.preferences, body)
        await self._memory.remember(preferences=preferences.encode(self.preferences))

    async def _report(self, job: Job) -> None:
        report = await self._memory.ask(lambda store: store.report(job.target))
        if report is None:
            return
        body = wire.report_body(report, self._clock.utc_offset_min)
        await self._clock.sleep(self._setup.report_lag_s())
        await self._server().report(self._token(), body)

    async def _export(self, wanted: dict[str, str]) -> None:
        """Tells of texts that the app has not noticed; the noticed are not told again (1.6)."""
        since_ms, until_ms = wire.unix_ms(wanted["since"]) or 0, wire.unix_ms(wanted["until"]) or 0
        if "SMS" not in wanted.get("messageTypes", "SMS").split(",") or wanted.get("triggerWebhooks") == "false":
            return

        def queue(store: Store) -> list[int]:
            texts = store.unseen(since_ms, until_ms, facts.EXPORT_AT_ONCE)
            store.mark_seen(text.hash for text in texts)
            return [n for text in texts for n in self._queue_text(store, text)]

        while calls := await self._memory.ask(queue):
            self._hooks.begin(calls)

    def _queue_text(self, store: Store, text: Text) -> list[int]:
        own = next((sim.number for sim in self._radio.sims if sim.slot == text.sim), None)
        return self._hooks.queue(
            store,
            "sms:received",
            {
                "messageId": text.hash,
                "sender": text.number,
                "recipient": own,
                "simNumber": text.sim,
                "phoneNumber": text.number,
                "message": text.text,
                "receivedAt": wire.date(text.at_ms, self._clock.utc_offset_min),
            },
        )

    async def _ping(self, every_s: float) -> None:
        while True:
            await self._clock.sleep(every_s)
            self._pull.replace()
            await self._hooks.emit("system:ping", {"health": {"status": "pass"}})

    async def _forget_old(self) -> None:
        while True:
            if days := self.preferences.messages.log_lifetime_days:
                before_ms = self._clock.now_ms() - days * 86_400_000
                await self._memory.ask(lambda store: store.forget(before_ms))  # noqa: B023
            await self._clock.sleep(facts.FORGET_EVERY_S)

    def _server(self) -> Rest:
        if self._rest is None:
            raise Failure("the app does not run")
        return self._rest

    def _token(self) -> str:
        if "token" not in self._memory.facts:
            raise Failure("not registered")
        return self._memory.facts["token"]
