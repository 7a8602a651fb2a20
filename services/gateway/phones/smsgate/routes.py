"""The calls of the app, under any number of slashes: registration, lists, reports, settings, webhooks, the stream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.gateway.asgi import Gone, Receive, Reply, Scope, Send, check_size, has_body, read_body, respond
from services.gateway.errors import MethodNotAllowed
from services.gateway.phones.connections import Connections
from services.gateway.phones.farewell import Farewell
from services.gateway.phones.frames import word
from services.gateway.phones.session import Publishes
from services.gateway.phones.smsgate import facts, wire
from services.gateway.phones.smsgate.door import Door, Owner
from services.gateway.phones.smsgate.errors import DONE, NoRoute, NotOffered, OtherDevice, answer, refusal
from services.gateway.phones.smsgate.outcomes import told
from services.gateway.phones.smsgate.receiver import Capabilities
from services.gateway.phones.smsgate.signs import Signs
from services.gateway.phones.smsgate.streams import Stream, Streams
from services.gateway.store import Store
from shared.bus.rpc import RpcClient
from shared.contracts.envelope import encode_item
from shared.contracts.registry import (
    DISPATCHER_APP_ATTACH,
    DISPATCHER_APP_LOSE,
    DISPATCHER_APP_PULL,
    DISPATCHER_APP_UPDATE,
    all_subjects,
    ask_back_subject,
    asked_subject,
    lost_subject,
    pulled_subject,
    settings_subject,
    spoke_subject,
    wake_subject,
)
from shared.contracts.rpc.apps import AttachApp, LoseList, PullWork, UpdateApp
from shared.errors import Invalid, SmsFleetError, Unavailable

log = structlog.get_logger()

PREFIXES: Final = ("/mobile/v1", "/api/mobile/v1")
TIMEOUT_S: Final = 5.0
UNSUBSCRIBE_S: Final = 2.0


class Asked(NamedTuple):
    """A request: its caller's address, user agent and credential, and where its body comes from."""

    address: str
    agent: str
    authorization: bytes | None
    has_body: bool
    receive: Receive

    async def body(self) -> bytes:
        """Raises RequestTooLarge, RequestTimeout, Gone."""
        return await read_body(self.receive) if self.has_body else b""


class Means(NamedTuple):
    """What the routes work with. `clock`: Unix seconds; `monotonic`: seconds that only grow."""

    rpc: RpcClient
    client: Client
    attempts: Publishes
    connections: Connections
    streams: Streams
    capabilities: Capabilities
    signs: Signs
    store: Store
    seen: Callable[[int, str], None]
    clock: Callable[[], float]
    monotonic: Callable[[], float]


class AppRoutes:
    """Serves everything below the prefixes."""

    def __init__(self, door: Door, means: Means) -> None:
        """`means.seen` hears the account and device of each phone that registers."""
        self._door = door
        self._means = means
        self._routes: dict[str, dict[str, Callable[[Asked], Awaitable[Reply]]]] = {
            "device": {"POST": self._register, "PATCH": self._update, "GET": self._show},
            "message": {"GET": self._pull, "PATCH": self._report},
            "messages": {"GET": self._pull, "PATCH": self._report},
            "webhooks": {"GET": self._webhooks},
            "settings": {"GET": self._settings},
            "user/code": {"GET": _not_offered},
            "user/password": {"PATCH": _not_offered},
        }

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI handler, mounted at a prefix."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            reply = await self._answer(scope, receive, send)
        except Gone:
            return
        except SmsFleetError as error:
            reply = refusal(error)
        except Exception as error:
            log.exception("request failed", path=scope["path"])
            reply = refusal(error)
        if reply is not None:
            await respond(send, reply)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Reply | None:
        """None: it has been answered as a stream."""
        path, method = scope["path"], scope["method"]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        check_size(scope["query_string"], headers)
        asked = Asked(
            scope["client"][0] if scope["client"] else "",
            word(headers.get(b"user-agent", b"").decode("latin-1")),
            headers.get(b"authorization"),
            has_body(headers),
            receive,
        )
        name = "/".join(part for part in path.split("/") if part) if path.startswith("/") else ""
        if name == "events" and method == "GET":
            await self._stream(asked, send)
            return None
        methods = self._routes.get(name)
        if methods is None and name != "events":
            raise NoRoute
        if methods is None or method not in methods:
            raise MethodNotAllowed("This method is not served here.")
        return await methods[method](asked)

    async def _register(self, asked: Asked) -> Reply:
        described = wire.read(await asked.body() or b"{}", wire.Described)
        enrolled = await self._door.enrol(asked.authorization, asked.address, described, asked.agent)
        self._means.seen(enrolled.account, enrolled.device)
        log.info("app registered", device=enrolled.device, approved=enrolled.approved)
        login = f"account-{enrolled.account}"
        return answer(201, {"id": enrolled.device, "token": enrolled.token, "login": login})

    async def _update(self, asked: Asked) -> Reply:
        owner = await self._owner(asked)
        described = wire.read(await asked.body(), wire.Described)
        if described.id != owner.device:
            raise OtherDevice
        question = UpdateApp(account=owner.account, device=owner.device, software=asked.agent, sims=described.sims)
        await self._means.rpc.ask(DISPATCHER_APP_UPDATE, question, TIMEOUT_S)
        return DONE

    async def _show(self, asked: Asked) -> Reply:
        told: dict[str, object] = {"externalIp": asked.address}
        if asked.authorization is not None:
            told["device"] = {"id": (await self._owner(asked)).device}
        return answer(200, told)

    async def _pull(self, asked: Asked) -> Reply:
        owner = await self._owner(asked)
        question = PullWork(account=owner.account, device=owner.device)
        async with self._listing(owner.device) as fresh:
            hanging_up = asyncio.ensure_future(_hung_up(asked.receive))
            try:
                pulled = await self._means.rpc.ask(DISPATCHER_APP_PULL, question, TIMEOUT_S)
                is_gone = hanging_up.done()
            finally:
                hanging_up.cancel()
            if not is_gone:
                fresh += [job.attempt for job in pulled.jobs[: pulled.fresh]]
        if is_gone and pulled.jobs:
            await self._lose(owner, [job.attempt for job in pulled.jobs])
            raise Gone
        return answer(200, [wire.message(job) for job in pulled.jobs])

    @contextlib.asynccontextmanager
    async def _listing(self, device: str) -> AsyncIterator[list[str]]:
        """The phone's stream, wherever it is, wakes it not in the context's time, which fills in what is new for it."""
        streams, fresh = self._means.streams, list[str]()
        elsewhere = streams.of(device) is None
        if elsewhere:
            await self._tell(asked_subject(device))
        streams.list_begins(device)
        try:
            yield fresh
        finally:
            streams.list_ends(device, fresh)
            if elsewhere:
                await self._tell(pulled_subject(device), " ".join(fresh))

    async def _lose(self, owner: Owner, attempts: list[str]) -> None:
        """The phone has given up the call for this list, as it does whenever it is woken meanwhile.

        It asks again, and may have done so already; not necessarily here.
        """
        question = LoseList(account=owner.account, device=owner.device, attempts=attempts)
        await self._means.rpc.ask(DISPATCHER_APP_LOSE, question, TIMEOUT_S)
        if stream := self._means.streams.of(owner.device):
            stream.wake()
        else:
            await self._tell(lost_subject(owner.device))

    async def _report(self, asked: Asked) -> Reply:
        """On JetStream's disk before the answer; ids that are not ours are accepted and passed over."""
        owner = await self._owner(asked)
        said = wire.read(await asked.body(), list[wire.Reported])
        if len(said) > wire.MAX_REPORTS:
            raise Invalid(f"A report holds at most {wire.MAX_REPORTS} messages.")
        now = self._means.clock()
        found = [each for one in said if (each := told(*owner, one, now))]
        items = [encode_item(report) for each in found for report in each.reports]
        await asyncio.gather(*(self._means.attempts.publish(item) for item in items))
        for each in found:
            if each.expired or not each.reports:
                self._means.signs.spoke_of(*owner, each.attempt, expired=each.expired)
            if stream := self._means.streams.of(owner.device):
                stream.spoke_of(each.attempt)
            else:
                await self._tell(spoke_subject(owner.device), each.attempt)
        return DONE

    async def _tell(self, subject: str, content: str = "") -> None:
        """Tells whichever gateway has the phone's stream, if any; what is lost here costs time and no message."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._means.client.publish(subject, content.encode())

    async def _webhooks(self, asked: Asked) -> Reply:
        owner = await self._owner(asked)
        return answer(200, facts.webhooks(self._means.capabilities.url(owner), asked.agent))

    async def _settings(self, asked: Asked) -> Reply:
        owner = await self._owner(asked)
        pause_ms = await self._means.store.pause(*owner)
        return answer(200, facts.settings(self._means.capabilities.signing_key(owner.device), pause_ms))

    async def _owner(self, asked: Asked) -> Owner:
        owner = await self._door.owner(asked.authorization, asked.address)
        self._means.signs.seen(*owner)
        return owner

    async def _stream(self, asked: Asked, send: Send) -> None:
        means = self._means
        means.streams.check_open()
        owner = await self._owner(asked)
        question = AttachApp(account=owner.account, device=owner.device, gateway=means.connections.gateway)
        attached = await means.rpc.ask(DISPATCHER_APP_ATTACH, question, TIMEOUT_S)
        stream = Stream(owner.account, owner.device, attached.session, means.monotonic)
        try:
            try:
                means.connections.add(stream)
            except Farewell as farewell:
                raise Unavailable(farewell.bye.message) from farewell
            with means.streams.held(stream):
                async with _listening(means.client, stream):
                    await means.streams.pause(owner.device)
                    log.info("app connected", device=owner.device, session=stream.session)
                    await stream.run(asked.receive, send)
        finally:
            log.info("app gone", device=owner.device, session=stream.session)
            # Nothing is leased to it, and thousands of sessions at once are not closed in the time that is left.
            await means.connections.remove(stream, lambda: not means.streams.draining)


@contextlib.asynccontextmanager
async def _listening(client: Client, stream: Stream) -> AsyncIterator[None]:
    """What is said about the phone reaches its stream for the context's time. Raises Unavailable."""
    device = stream.device

    heard: dict[str, Callable[[str], None]] = {
        wake_subject(device): lambda _: stream.wake(),
        ask_back_subject(device): stream.ask_back,
        settings_subject(device): lambda _: stream.outdate(),
        asked_subject(device): lambda _: stream.list_begins(),
        pulled_subject(device): lambda fresh: stream.list_ends(fresh.split()),
        lost_subject(device): lambda _: stream.wake(),
        spoke_subject(device): stream.spoke_of,
    }

    async def hear(message: Msg) -> None:
        if (do := heard.get(message.subject)) is not None:
            do(message.data.decode())

    try:
        hearing = await client.subscribe(all_subjects(stream.device), cb=hear)
    except (nats.errors.Error, OSError) as error:
        raise Unavailable("NATS does not answer.") from error
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(UNSUBSCRIBE_S):
                await hearing.unsubscribe()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            log.debug("not unsubscribed", error=repr(error))


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _not_offered(_: Asked) -> Reply:
    raise NotOffered
